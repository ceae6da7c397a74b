"""Detecting which dates are the creation of a lead and the close of a deal: by names and by values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.clock import MS_PER_DAY, NEVER, days_to_ms
from features.columns import Bools, Floats, Ints
from features.crm.parsing import as_numbers
from features.crm.profile import TableProfile
from features.crm.propose.recipes import TableRecipe
from features.crm.propose.words import has_word
from features.crm_data import Crm
from features.messages import Message

_DAY = days_to_ms(1)
_NEARLY_ALL, _FEW, _MOSTLY, _HALF = 0.95, 0.05, 0.9, 0.5
_HORIZONS = (7, 14, 30, 60, 90, 120, 180, 270, 365, 545, 730)
_SHORTEST = 30
"""The shortest horizon that the wins alone suggest; only a short history makes it shorter."""
_PERIODS = 2.5
"""A history holds the horizon of the newest deals, that of the older ones, and the older ones themselves."""
_EARLY = 0.02
"""The share of the oldest leads that do not yet make a history."""
_CREATED_ENOUGH, _CLOSED_ENOUGH = 1.0, 2.5


@dataclass(frozen=True)
class Horizon:
    """A proposed horizon in days, and why; `notes` say what it could not be."""

    days: int
    reason: Message
    notes: tuple[Message, ...] = ()


USUAL_HORIZON = Horizon(90, Message("the usual time: no won deal has a date to tell it from"))


@dataclass(frozen=True)
class CloseColumns:
    """The date of the close: that of won deals, and that of lost ones if it is another.

    `undated_lost` says that lost deals have no date; `others` are further columns that may be the close.
    """

    closed_at: str
    lost_at: str | None = None
    undated_lost: bool = False
    others: tuple[str, ...] = ()
    remarks: tuple[Message, ...] = ()


def rank_created(table: TableProfile, recipe: TableRecipe) -> list[str]:
    """The columns that may be the creation of a row, the best first."""
    names = [c.name for c in table.columns if c.kind == "time"]
    scored = [(_score_created(table, recipe, name, names), name) for name in names]
    fitting = [(score, name) for score, name in scored if score >= _CREATED_ENOUGH]
    return [name for _, name in sorted(fitting, key=lambda pair: -pair[0])]


def _score_created(table: TableProfile, recipe: TableRecipe, name: str, names: Sequence[str]) -> float:
    """Creation has a value in (nearly) all rows, is the earliest date, and is not one moment of an import."""
    times = table.times(name)
    has_time = times != NEVER
    filled = float(has_time.mean()) if len(times) else 0.0
    listed = recipe.columns("created", table)
    score = 6.0 - listed.index(name) if name in listed else 0.0
    if not listed or name not in listed:
        is_other = has_word(name, "not_created") or has_word(name, "planned")
        score += -4.0 if is_other else 3.0 if has_word(name, "created") else 0.5
    score += 0.5 if filled > 0.995 else 0.0 if filled > _MOSTLY else -6.0
    score += 2.0 * _share_of_earliest(table, name, names)
    return score - 2.0 * (_largest_share(times[has_time]) > 0.5)


def _share_of_earliest(table: TableProfile, name: str, names: Sequence[str]) -> float:
    """In how many rows no other date is more than a day earlier; birthdays do not count."""
    times = table.times(name)
    is_earliest = times != NEVER
    for column in names:
        if column != name and not has_word(column, "birth"):
            is_earliest &= times <= table.times(column) + np.where(table.times(column) == NEVER, 0, _DAY)
    return float(is_earliest.mean()) if len(times) else 0.0


def _largest_share(times: Ints) -> float:
    if len(times) < 20:
        return 0.0
    return float(np.unique(times, return_counts=True)[1].max() / len(times))


def rises_in_time(table: TableProfile, number: str) -> bool:
    """Whether a running number rises (or falls) with the rows, or rises with one of the dates."""
    numbers = np.asarray(as_numbers(table.rows.table[number], ()).values, dtype=np.float64)
    steps = np.diff(numbers)
    if len(steps) and max((steps > 0).mean(), (steps < 0).mean()) > _MOSTLY:
        return True
    dates = [table.times(c.name) for c in table.columns if c.kind == "time" and c.filled > _HALF]
    return any(_rank_correlation(numbers, times_ms) > _HALF for times_ms in dates)


def _rank_correlation(numbers: Floats, times_ms: Ints) -> float:
    """Spearman's correlation of the rows that have both; 0 where one of them does not vary."""
    has_both = ~np.isnan(numbers) & (times_ms != NEVER)
    pair = numbers[has_both], times_ms[has_both]
    if any(len(np.unique(values)) < 2 for values in pair):
        return 0.0
    ranks = np.stack([np.unique(values, return_inverse=True)[1] for values in pair])
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def is_one_moment(table: TableProfile, name: str) -> bool:
    """Whether most rows of a column hold one moment: that of an import."""
    times = table.times(name)
    return _largest_share(times[times != NEVER]) > 0.5


def find_close(
    table: TableProfile, recipe: TableRecipe, won: Bools, lost: Bools, created: Ints | None, skipped: set[str]
) -> CloseColumns | None:
    """The date of the close; None if no date is that of won deals.

    `created` are the times of creation of the rows of `table` if they are known.
    """
    scored = []
    for column in table.columns:
        if column.kind == "time" and column.name not in skipped:
            score = _score_close(table, recipe, column.name, won, lost, created)
            if score >= _CLOSED_ENOUGH:
                scored.append((score, column.name))
    ranked = [name for _, name in sorted(scored, key=lambda pair: -pair[0])]
    if not ranked:
        return None
    best, *others = ranked
    dated = float((table.times(best)[lost] != NEVER).mean()) if lost.any() else 1.0
    if dated >= _NEARLY_ALL:
        return CloseColumns(best, others=tuple(others))
    lost_at = _find_lost_date(table, recipe, won, lost, skipped | {best})
    undated = int((lost & (table.times(lost_at or best) == NEVER)).sum())
    remark = Message(
        "{count:,} lost deals have no date; they count as lost when the horizon ends", count=undated
    )
    return CloseColumns(best, lost_at, bool(undated), tuple(others), (remark,) if undated else ())


def _score_close(
    table: TableProfile, recipe: TableRecipe, name: str, won: Bools, lost: Bools, created: Ints | None
) -> float:
    """A close has a value where a deal is closed, none where it is open, and lies after the creation."""
    times = table.times(name)
    has_time = times != NEVER
    listed = recipe.columns("closed", table)
    score = 5.0 - 0.2 * listed.index(name) if name in listed else 0.0
    if name not in listed:
        if has_word(name, "planned") or has_word(name, "not_closed"):
            return -1.0
        score += 2.0 * has_word(name, "closed")
    is_open = ~won & ~lost
    won_share, lost_share = (float(has_time[rows].mean()) if rows.any() else 1.0 for rows in (won, lost))
    open_share = float(has_time[is_open].mean()) if is_open.any() else 1.0
    if won_share < _NEARLY_ALL:
        return -1.0
    score += 2.0 if lost_share >= _NEARLY_ALL else 1.0
    score += 1.5 * (open_share <= _FEW)
    if created is not None:
        is_dated = has_time & (won | lost) & (created != NEVER)
        early = float((times[is_dated] < created[is_dated] - _DAY).mean()) if is_dated.any() else 0.0
        score -= 3.0 * (early > 0.2)
    return score


def _find_lost_date(
    table: TableProfile, recipe: TableRecipe, won: Bools, lost: Bools, skipped: set[str]
) -> str | None:
    """A date that lost deals alone have."""
    listed = recipe.columns("lost_at", table)
    names = [c.name for c in table.columns if c.kind == "time" and c.name not in skipped]
    for name in (*listed, *names):
        has_time = table.times(name) != NEVER if name in names else np.zeros(len(table), bool)
        if has_time[lost].mean() >= _NEARLY_ALL and has_time[won].mean() <= _FEW:
            return name
    return None


def suggest_horizon(crm: Crm) -> Horizon:
    """A round number of days within which nine in ten of the won deals were won.

    It is shorter where the history would leave no older deals to measure with: their outcomes must be known
    before the newest deals begin, whose outcomes must be known too.
    """
    won = crm.outcomes.won
    if not crm.horizon_applies or not won.any():
        return USUAL_HORIZON
    days_to_win = (crm.outcomes.won_at[won] - crm.created[won]) / MS_PER_DAY
    days_to_win = days_to_win[days_to_win >= 0]
    needed = float(np.quantile(days_to_win, 0.9)) if len(days_to_win) else USUAL_HORIZON.days
    days = next((h for h in _HORIZONS if h >= max(needed, _SHORTEST)), _HORIZONS[-1])
    history = int((crm.snapshot - np.quantile(crm.created, _EARLY)) / MS_PER_DAY)
    if days * _PERIODS <= history:
        return Horizon(days, Message("nine in ten wins came within this time"))
    return _shorten_horizon(days, history)


def _shorten_horizon(days: int, history: int) -> Horizon:
    """The longest horizon that a history of so many days can be measured with."""
    longest = int(history / _PERIODS)
    shorter = max((h for h in _HORIZONS if h <= longest), default=max(longest, 1))
    reason = Message(
        "nine in ten wins need about {days} days, but with a history of {history} days nothing longer than "
        "{longest} days can be measured; raise it when the history is longer",
        days=days,
        history=history,
        longest=longest,
    )
    return Horizon(
        shorter, reason, (Message("horizon_days = {days}: {reason}.", days=shorter, reason=reason),)
    )
