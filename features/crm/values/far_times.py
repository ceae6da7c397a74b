"""Dates far beyond all others: planned or mistyped ones, which must not become the moment of the export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.clock import MS_PER_DAY, days_to_ms, iso
from features.columns import Ints
from features.crm.findings import Finding

_FAR_SHARE, _MOST_FAR = 0.01, 50
"""The largest share and number of times that can be far from all others: more are records."""
_FAR_DAYS, _FAR_GAPS = 30.0, 3.0
"""How far: so many days, and so many times the longest pause between the others."""


@dataclass(frozen=True)
class FarTimes:
    """How many times of a column lie far after all others (or before), which one is the farthest (ms UTC),
    and the last (or first) of the others."""

    part: str
    column: str
    count: int
    farthest: int
    nearest: int


def find_last_recorded(times: Ints) -> int:
    """The latest of some times (ms UTC), without those that lie far after all others."""
    most = min(int(_FAR_SHARE * len(times)), _MOST_FAR)
    if not most:
        return int(times.max())
    place = len(times) - most - 1
    ordered = np.partition(times, place)
    if ordered[place:].max() - ordered[place] <= days_to_ms(_FAR_DAYS):
        return int(times.max())
    ordered.sort()
    pauses = np.diff(ordered)
    usual = pauses[len(ordered) // 2 : place].max(initial=0)
    far = np.flatnonzero(pauses[place:] > max(days_to_ms(_FAR_DAYS), _FAR_GAPS * usual))
    return int(ordered[place + far[0]] if len(far) else ordered[-1])


def find_far_times(times: Mapping[tuple[str, str], Ints]) -> list[FarTimes]:
    """The far times by part and column of crm.toml, among all of them together."""
    columns = {name: values for name, values in times.items() if len(values)}
    if not columns:
        return []
    pooled = np.concatenate([*columns.values()])
    last, first = find_last_recorded(pooled), -find_last_recorded(-pooled)
    sides = [(name, values[values > last], last) for name, values in columns.items()]
    sides += [(name, values[values < first], first) for name, values in columns.items()]
    return [
        FarTimes(*name, len(far), int(far.max() if nearest == last else far.min()), nearest)
        for name, far, nearest in sides
        if len(far)
    ]


def check_far_times(found: Sequence[FarTimes], snapshot: int) -> Iterator[Finding]:
    """What lies far from all others, and which moment of the export (ms UTC) is used."""
    for far in found:
        days = abs(far.farthest - far.nearest) / MS_PER_DAY
        is_late = far.farthest > far.nearest
        lies_en = "1 date lies" if far.count == 1 else f"{far.count:,} dates lie"
        where_en, where_ja = ("after", "後") if is_late else ("before", "前")
        used_en = f" The moment of the export is {iso(snapshot)[:10]}; if it is another, set [crm] as_of."
        used_ja = (
            f"出力時点は{iso(snapshot)[:10]}とみなします。異なる場合は[crm]の as_of で指定してください。"
        )
        yield Finding(
            code="far_time",
            severity="warning",
            en=(
                f"{far.part}, '{far.column}': {lies_en} up to {days:,.0f} days {where_en} all other dates "
                f"({iso(far.farthest)[:10]}): planned or mistyped. Mend them in the CRM."
                f"{used_en if is_late else ''}"
            ),
            ja=(
                f"{far.part}：「{far.column}」の{far.count:,}件の日付が、ほかのすべての日付より"
                f"最大{days:,.0f}日{where_ja}です（{iso(far.farthest)[:10]}）。"
                "予定日または誤入力です。CRMで修正してください。"
                f"{used_ja if is_late else ''}"
            ),
            column=far.column,
        )
