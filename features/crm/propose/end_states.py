"""Values of an outcome that are neither won nor lost by their words, and yet the end of a deal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from features.clock import NEVER
from features.columns import Bools
from features.crm.profile import TableProfile
from features.crm.propose.outcomes import OutcomeColumn, is_in
from features.crm.propose.times import CloseColumns
from features.messages import Message, abridge

_ALL, _NONE, _MOSTLY, _SHOWN = 0.95, 0.05, 0.9, 6


def settle_end_states(
    outcome: OutcomeColumn, table: TableProfile, close: CloseColumns | None, latest: int
) -> OutcomeColumn:
    """The outcome without end states among its open values, and with a remark on what is left out.

    A value is an end state if its rows have the date of the close, which other open values lack. `latest`
    (ms UTC) is the newest time that was recorded.
    """
    remarks = list(outcome.remarks)
    if close is not None and not outcome.open_where:
        is_dated = _has_date(table, close)
        ended = _find_ended(outcome, table, is_dated)
        ignore = tuple(v for v in outcome.ignore if v not in ended)
        outcome = replace(outcome, ignore=ignore, leave_out=(*outcome.leave_out, *ended))
        if ended:
            remarks.append(
                Message(
                    "{values}: closed by {column}, but no known word for won or lost",
                    values=abridge(ended, _SHOWN),
                    column=close.closed_at,
                )
            )
        remarks += _ask_about_dated(outcome, table, close, is_dated, latest)
    if outcome.leave_out:
        remarks.append(_describe_left_out(outcome, table))
    return replace(outcome, remarks=tuple(remarks))


def _has_date(table: TableProfile, close: CloseColumns) -> Bools:
    columns = [column for column in (close.closed_at, close.lost_at) if column]
    return np.asarray(np.logical_or.reduce([table.times(column) != NEVER for column in columns]))


def _find_ended(outcome: OutcomeColumn, table: TableProfile, is_dated: Bools) -> tuple[str, ...]:
    """The open values of which all rows have a date of the close; none if open rows have planned dates."""
    won, lost = outcome.decide(table)
    undecided = [value for value in outcome.ignore if value not in outcome.answered]
    rows = {value: is_in(table, outcome.name, (value,)) & ~won & ~lost for value in undecided}
    ended = tuple(value for value, mask in rows.items() if mask.any() and is_dated[mask].mean() >= _ALL)
    others = [mask for value, mask in rows.items() if value not in ended]
    is_open = np.logical_or.reduce([np.zeros(len(table), dtype=bool), *others])
    return ended if is_open.any() and is_dated[is_open].mean() <= _NONE else ()


def _ask_about_dated(
    outcome: OutcomeColumn, table: TableProfile, close: CloseColumns, is_dated: Bools, latest: int
) -> list[Message]:
    """A question on open deals with a date of the close that has passed."""
    won, lost = outcome.decide(table)
    is_open = ~won & ~lost & ~is_in(table, outcome.name, outcome.leave_out)
    dated = is_open & is_dated
    share = float(dated.sum() / max(1, is_open.sum()))
    closes = table.times(close.closed_at)
    has_passed = closes[dated] <= max(latest, int(closes[won & (closes != NEVER)].max(initial=0)))
    if not _NONE < share < _ALL or has_passed.mean() < _MOSTLY:
        return []
    remark = Message(
        "{dated:,} of {count:,} deals that are neither won nor lost have a past date in {column}; they count "
        "as open. If they ended, another column says so: name it in lost_where or --outcome",
        dated=int(dated.sum()),
        count=int(is_open.sum()),
        column=close.closed_at,
    )
    return [remark]


def _describe_left_out(outcome: OutcomeColumn, table: TableProfile) -> Message:
    counts = {value: table.counts(outcome.name).get(value, 0) for value in outcome.leave_out}
    shown = [Message("{value} ({count:,})", value=value, count=count) for value, count in counts.items()]
    return Message(
        "{values}: {count:,} rows are taken for neither won, lost nor open and are left out; move a value "
        "from leave_out to won, lost or ignore if it is one of them",
        values=abridge(shown, _SHOWN),
        count=sum(counts.values()),
    )
