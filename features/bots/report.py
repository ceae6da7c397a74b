"""What a CRM holds of machines: the finding of the audit, and the list in bots.csv."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from features.bots.bursts import WINDOW_MS
from features.clock import from_ms
from features.crm.findings import Finding
from features.crm.values.csv_output import csv_text
from features.crm_data import Activities, Crm
from features.files import atomic_file

BOTS_FILE = "bots.csv"
_MANY = 0.1
"""Above this share it is likelier that times are those of an import than that machines did so much."""


def check_bots(crm: Crm) -> Iterator[Finding]:
    """One finding with the number of activities that machines made; a warning if they are many."""
    count, leads = len(crm.bots), len(np.unique(crm.bots.activities.lead))
    if not count:
        return
    share, densest = count / (count + len(crm.activities)), _count_densest(crm.bots.activities)
    is_much = share > _MANY
    more = (
        f" They are {share:.0%} of all activities: if an import wrote their times, set [activities] "
        'bursts = "keep".'
    )
    more_ja = (
        f"全行動の{share:.0%}に当たります。取り込み時に付いた時刻であれば、"
        '[activities]に bursts = "keep" と書いてください。'
    )
    yield Finding(
        code="bursts",
        severity="warning" if is_much else "note",
        en=(
            f"{count:,} activities of {leads:,} leads look like those of a link scanner or a bot (up to "
            f"{densest:,} within {WINDOW_MS / 1_000:g} seconds) and are left out; {BOTS_FILE} in the output "
            f"folder lists them.{more if is_much else ''}"
        ),
        ja=(
            f"リード{leads:,}件の行動{count:,}件は、リンクの自動検査やボットによるものとみられるため"
            f"（{WINDOW_MS / 1_000:g}秒以内に最多{densest:,}件）、除外しました。"
            f"一覧は出力フォルダーの{BOTS_FILE}にあります。"
            f"{more_ja if is_much else ''}"
        ),
    )


def _count_densest(activities: Activities) -> int:
    """The largest number of activities of one lead within a window."""
    first, span = int(activities.time_ms.min()), int(np.ptp(activities.time_ms)) + WINDOW_MS + 1
    keys = np.sort(activities.lead.astype(np.int64) * span + (activities.time_ms - first))
    return int((np.searchsorted(keys, keys + WINDOW_MS, side="right") - np.arange(len(keys))).max())


def write_bots(crm: Crm, path: Path) -> None:
    """Write the activities of machines as CSV, by lead and time; without any an existing file is removed."""
    if not len(crm.bots):
        path.unlink(missing_ok=True)
        return
    with atomic_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.write(csv_text(("lead_id", "at", "type", "value", "rule"), _rows(crm)))


def _rows(crm: Crm) -> Iterator[tuple[object, ...]]:
    activities, rules = crm.bots.activities, crm.bots.rules
    for row in np.lexsort((activities.time_ms, activities.lead)).tolist():
        value = np.nan if activities.value is None else float(activities.value[row])
        yield (
            crm.lead_ids[activities.lead[row]],
            from_ms(int(activities.time_ms[row])).isoformat(timespec="milliseconds"),
            activities.types[activities.type[row]],
            "" if value != value else value,
            rules[row],
        )
