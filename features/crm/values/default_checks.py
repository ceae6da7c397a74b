"""Checks of values that nobody chose: defaults, placeholders, and hundreds of rows of one sender in a day."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from features.columns import Texts
from features.crm.findings import Finding
from features.crm.load import Loaded
from features.crm.parsing import encode_column
from features.crm.values.defaults import count_most_in_a_day, count_placeholders, find_default
from features.crm.values.find_times import sounds_like_a_time
from features.crm_data import Crm

_MANY_A_DAY, _PLACEHOLDERS = 100, 0.05


def check_defaults(loaded: Loaded) -> Iterator[Finding]:
    """The findings on attributes, on activities and on the columns of the leads' table."""
    yield from _defaults(loaded.crm)
    yield from _busy_lead(loaded.crm)
    for column, texts in _lead_texts(loaded):
        yield from _placeholders(column, texts)
        yield from _one_sender(column, texts, loaded.crm)


def _defaults(crm: Crm) -> Iterator[Finding]:
    """The columns that a default fills, in one finding."""
    defaults = {
        column: default for column, values in crm.attributes.items() if (default := find_default(values))
    }
    if not defaults:
        return
    en = ", ".join(f"'{column}' {value!r} ({share:.0%})" for column, (value, share) in defaults.items())
    ja = "、".join(f"「{column}」{value!r}（{share:.0%}）" for column, (value, share) in defaults.items())
    yield Finding(
        code="default_value",
        severity="note",
        en=(
            f"One value fills nearly all rows of {en}: perhaps a default that nobody chose; then add it to "
            "`missing` in [crm]."
        ),
        ja=(
            f"ほぼ全ての行が同じ値の列があります：{ja}。誰も入力していない既定値であれば、[crm]の missing に"
            "加えてください。"
        ),
        column=next(iter(defaults)) if len(defaults) == 1 else None,
    )


def _lead_texts(loaded: Loaded) -> Iterator[tuple[str, Texts]]:
    """The columns of the leads' table, but for dates."""
    empty = frozenset({"", *loaded.settings.missing})
    for column in loaded.leads.column_names:
        if not sounds_like_a_time(column) and not pa.types.is_temporal(loaded.leads[column].type):
            yield column, encode_column(loaded.leads[column], empty)


def _placeholders(column: str, texts: Texts) -> Iterator[Finding]:
    """Values that stand for a missing one."""
    placeholders = count_placeholders(texts)
    count = sum(placeholders.values())
    if count > _PLACEHOLDERS * len(texts.codes):
        shown = ", ".join(map(repr, list(placeholders)[:3]))
        yield Finding(
            code="placeholders",
            severity="note",
            en=(
                f"'{column}': {count:,} rows hold a placeholder ({shown}), which is read as a value; add it "
                "to `missing` in [crm]."
            ),
            ja=(
                f"「{column}」の{count:,}行は仮の値（{shown}）で、値として読まれます。"
                "[crm]の missing に加えてください。"
            ),
            column=column,
        )


def _busy_lead(crm: Crm) -> Iterator[Finding]:
    """Hundreds of activities of one lead within a day: a test or a bot."""
    count = count_most_in_a_day(crm.activities.lead.astype(np.int64), crm.activities.time_ms)
    if count >= _MANY_A_DAY:
        yield Finding(
            code="busy_lead",
            severity="warning",
            en=(
                f"One lead has {count:,} activities within a day: a test user or a bot counts like a buyer. "
                "Leave its rows out with skip_where."
            ),
            ja=(
                f"1日に{count:,}件の行動があるリードがあります。テスト利用者やボットも購買者と同じように数えられます。"
                "skip_where で除外してください。"
            ),
        )


def _one_sender(column: str, texts: Texts, crm: Crm) -> Iterator[Finding]:
    """Hundreds of leads of one sender within a day, by a column of mail addresses, names ..."""
    if crm.order != "date" or len(texts.categories) < 0.3 * len(crm):
        return
    count = count_most_in_a_day(texts.codes.astype(np.int64), crm.created)
    if count >= _MANY_A_DAY:
        yield Finding(
            code="same_sender",
            severity="warning",
            en=(
                f"{count:,} leads of one day have the same '{column}': one person, a test or a bot sent "
                "them, and each counts as a lead. Leave them out with skip_where."
            ),
            ja=(
                f"同じ日の{count:,}件のリードで「{column}」が同じです。同じ人、テスト、ボットによるものでも、"
                "1件ずつリードとして数えられます。skip_where で除外してください。"
            ),
            column=column,
        )
