"""Columns written at the close by their times: dates near it, numbers that measure the time until it, and
values of which the history shows a change at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.clock import MS_PER_DAY, NEVER
from features.columns import Bools, Floats, Ints, Texts
from features.crm.findings import Finding
from features.crm.hindsight.advice import ADVICE_EN, ADVICE_JA
from features.crm.hindsight.audited import AuditedColumn
from features.crm.parsing import as_times, sample_values
from features.moments import MIN_WINS

_AFTER, _REACH = 1.0, 1.5
"""How many days before the close a date may lie and is written at it, and how far on either side."""
_MIN_AGE = 3.0
"""Leads that close sooner (in days) tell nothing: their creation is near the close as well."""
_MAJORITY, _MANY = 0.5, 0.2
_TIMES_CHANCE = 4.0
_HOURS = 24.0


@dataclass(frozen=True)
class _ClosedLeads:
    """The positions of decided leads that closed some days after their creation, their creation and close
    (ms UTC) and whether they are won."""

    position: Ints
    created: Ints
    closed_at: Ints
    won: Bools

    @staticmethod
    def from_column(column: AuditedColumn) -> _ClosedLeads:
        crm, lead = column.loaded.crm, column.decided.lead
        created, closed_at = crm.created[lead], crm.outcomes.closed_at[lead]
        is_used = (column.place >= 0) & (closed_at < NEVER) & (closed_at - created >= _MIN_AGE * MS_PER_DAY)
        rows = np.flatnonzero(is_used)
        return _ClosedLeads(rows, created[rows], closed_at[rows], column.decided.won[rows])

    @property
    def days(self) -> Floats:
        """From the creation to the close."""
        return np.asarray((self.closed_at - self.created) / MS_PER_DAY)

    def best_share(self, is_near: Bools, filled: Bools) -> float:
        """The share of the filled rows that are near: of all, of the won or of the lost ones, the largest."""
        groups = [filled, filled & self.won, filled & ~self.won]
        shares = [float(is_near[g].mean()) for g in groups if g.sum() >= MIN_WINS]
        return max(shares, default=0.0)


def find_close_dates(column: AuditedColumn) -> Finding | None:
    """A column of dates on, after or near the close of most leads, or of far more than by chance."""
    if not column.loaded.crm.horizon_applies or (times := _read_times(column)) is None:
        return None
    closed = _ClosedLeads.from_column(column)
    date = times[column.place[closed.position]]
    filled = date < NEVER
    if not filled.any():
        return None
    days_after = np.where(filled, date - closed.closed_at, 0) / MS_PER_DAY
    share = float((days_after[filled] >= -_AFTER).mean())
    if share >= _MAJORITY:
        return _date_after_close(column.name, share)
    is_near = np.abs(days_after) <= _REACH
    share = closed.best_share(is_near, filled)
    chance = float(np.minimum(2 * _REACH / closed.days[filled], 1).mean())
    if share < _MANY or share < _TIMES_CHANCE * chance or is_near[filled].sum() < MIN_WINS:
        return None
    return _date_near_close(column.name, share, share >= _MAJORITY)


def _read_times(column: AuditedColumn) -> Ints | None:
    """The values as times (ms UTC, NEVER: none); None for a column that holds no dates."""
    if not isinstance(column.values, Texts):
        return None
    settings = column.loaded.settings
    empty = frozenset({"", *settings.missing})
    time_format, zone = settings.leads.time_format_of(column.name), settings.zone
    if as_times(sample_values(column.raw), empty, zone, time_format).unreadable.mean() > 0.5:
        return None
    parsed = as_times(column.raw, empty, zone, time_format)
    if parsed.unreadable.mean() > 0.05 or not (parsed.values < NEVER).any():
        return None
    return np.asarray(parsed.values, dtype=np.int64)


def _date_after_close(name: str, share: float) -> Finding:
    return Finding(
        code="date_after_close",
        severity="leak",
        en=(
            f"'{name}' holds dates on or after the day of the close for {share:.0%} of the closed "
            f"leads: it is written when the deal ends. {ADVICE_EN}"
        ),
        ja=(
            f"「{name}」の日付は、クローズしたリードの{share:.0%}でクローズ当日以降です。"
            f"案件の終了時に書き込まれる項目です。{ADVICE_JA}"
        ),
    )


def _date_near_close(name: str, share: float, is_certain: bool) -> Finding:
    return Finding(
        code="date_near_close",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{name}' holds dates within a day or so of the close for {share:.0%} of the won or lost leads, "
            f"far more than by chance: it is {'' if is_certain else 'probably '}written when the deal ends. "
            f"{ADVICE_EN}"
        ),
        ja=(
            f"「{name}」の日付は、成約または失注リードの{share:.0%}でクローズ日の前後1日程度に集中しています。"
            f"案件の終了時に書き込まれる{'項目です' if is_certain else '可能性が高い項目です'}。{ADVICE_JA}"
        ),
    )


def find_time_to_close(column: AuditedColumn) -> Finding | None:
    """A column of numbers that measure the days or hours from the creation to the close."""
    if isinstance(column.values, Texts) or not column.loaded.crm.horizon_applies:
        return None
    closed = _ClosedLeads.from_column(column)
    value, days = column.values[closed.position], closed.days
    filled = ~np.isnan(value)
    for unit, tolerance in ((1.0, 1.0), (_HOURS, _HOURS)):
        is_near = np.abs(value - days * unit) <= tolerance
        share = closed.best_share(is_near, filled)
        # By chance: the time to close of another lead.
        chance = closed.best_share(np.abs(value - np.roll(days, len(days) // 3) * unit) <= tolerance, filled)
        if share >= _MAJORITY and share >= 2 * chance:
            return _time_to_close(column.name, share)
    return None


def _time_to_close(name: str, share: float) -> Finding:
    return Finding(
        code="time_to_close",
        severity="leak",
        en=(
            f"'{name}' is the time from creation to close for {share:.0%} of the won or lost leads: it is "
            f"known only when the deal ends. {ADVICE_EN}"
        ),
        ja=(
            f"「{name}」は、成約または失注リードの{share:.0%}で作成からクローズまでの期間と一致します。"
            f"案件の終了時に初めて分かる項目です。{ADVICE_JA}"
        ),
    )


def find_changes_at_close(column: AuditedColumn) -> Finding | None:
    """A column used as it stands today, of which the history in [changes] shows changes at the close."""
    crm = column.loaded.crm
    history = crm.changes.get(column.name)
    if history is None or not crm.horizon_applies or not _is_used_as_today(column):
        return None
    closed = _ClosedLeads.from_column(column)
    closed_at = np.full(len(crm), NEVER)
    closed_at[column.decided.lead[closed.position]] = closed.closed_at
    is_near = np.abs(history.time_ms - closed_at[history.lead]) <= _REACH * MS_PER_DAY
    near_count, count = len(np.unique(history.lead[is_near])), len(closed.position)
    of_closed = closed_at[history.lead] < NEVER
    chance = _expected_near(len(history.lead[of_closed]), closed.days)
    if near_count < MIN_WINS or near_count < _TIMES_CHANCE * chance:
        return None
    return _changes_at_close(column.name, near_count, count, near_count >= _MANY * count)


def _is_used_as_today(column: AuditedColumn) -> bool:
    uses = [use for use in column.loaded.settings.table.column_uses if use.column == column.name]
    return any(use.availability != "history" for use in uses)


def _expected_near(changes: int, days: Floats) -> float:
    """How many changes lie near the close if they come at any time between creation and close alike."""
    return float(changes * 2 * _REACH / days.sum()) * len(days) if len(days) else 0.0


def _changes_at_close(name: str, near_count: int, count: int, is_certain: bool) -> Finding:
    return Finding(
        code="changes_at_close",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{name}': [changes] shows a change within a day or so of the close for {near_count:,} of "
            f"{count:,} closed leads, so "
            'its value of today is that of the close. Say known = "history"; if those are '
            "corrections of a value that never changed, keep it with insist = true."
        ),
        ja=(
            f"「{name}」は、クローズ済みのリード{count:,}件中{near_count:,}件で、クローズの前後1日程度に変更があったことが"
            '[changes]から分かります。現在の値はクローズ時の値です。known = "history" と書いてください。'
            "変わらない値を訂正しただけであれば、insist = true で使えます。"
        ),
    )
