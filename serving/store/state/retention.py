"""Which predictions are old enough to go, by the newest stored score and never by the clock alone.

A clock that jumps ahead must delete nothing, so that

* age is counted from the newest score that is stored, not from the time of day;
* a moment counts once it was due at two checks, nearly a day apart: a jump ends before the second one;
* a check deletes the scores of one day at most; where more days wait, a person has to confirm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import orjson
from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.engine import Connection

from features.clock import MS_PER_DAY, days_to_ms
from serving.store.state.values import read_value, write_value
from serving.store.tables import predictions

CHECK_MS = 23 * 3_600_000
"""The time between two checks: an hour short of a day, so that hourly looks do not fall behind."""
MAX_OVERDUE_DAYS = 7
"""The days of predictions that may wait for their deletion before a person has to confirm it."""
_NAME = "retention"


@dataclass(frozen=True)
class RetentionPlan:
    """What to delete now: predictions made before `before` (ms UTC; None: nothing).

    `unconfirmed_before` is set (ms UTC) when so many days wait that a person has to confirm, and `oldest` is
    when the oldest of those predictions was made.
    """

    before: int | None = None
    unconfirmed_before: int | None = None
    oldest: int | None = None


NOTHING = RetentionPlan()


def find_due(connection: Connection, now: int, days: int) -> int | None:
    """The moment (ms UTC) before which predictions are older than `days`; None without predictions.

    Age is counted from the newest prediction that was not made after `now` (ms UTC).
    """
    newest = connection.scalar(_newest_score(), {"now": now})
    return None if newest is None else newest - days_to_ms(days)


def plan_retention(connection: Connection, now: int, days: int) -> RetentionPlan:
    """What to delete at `now` (ms UTC), in the transaction of `connection`, which remembers the check."""
    due = find_due(connection, now, days)
    if due is None:
        return NOTHING
    stored = read_value(connection, _NAME)
    last = None if stored is None else orjson.loads(stored)
    if last is None or now < last["checked_at"]:  # the clock was ahead at the last check
        _remember(connection, now, due)
        return NOTHING
    before = min(due, last["due"])
    starts = _days_with_scores(connection, before)
    is_checked = now - last["checked_at"] >= CHECK_MS
    if is_checked:
        _remember(connection, now, due)
    if len(starts) > MAX_OVERDUE_DAYS:
        return RetentionPlan(unconfirmed_before=before, oldest=starts[0])
    if not is_checked or not starts:
        return NOTHING
    return RetentionPlan(before=min(before, starts[0] + MS_PER_DAY))


def count_before(connection: Connection, before: int) -> tuple[int, int | None]:
    """How many predictions were made before a moment (ms UTC), and when the oldest of them was."""
    count, oldest = connection.execute(_count_before(), {"before": before}).one()
    return count, oldest


def _remember(connection: Connection, now: int, due: int) -> None:
    write_value(connection, _NAME, orjson.dumps({"checked_at": now, "due": due}).decode())


def _days_with_scores(connection: Connection, before: int) -> list[int]:
    """Where days (ms UTC) with predictions made before a moment begin, the oldest first; one more than may
    wait at most. A day begins with its first prediction, so that days without any do not count."""
    starts: list[int] = []
    start: int | None = 0
    while len(starts) <= MAX_OVERDUE_DAYS:
        start = connection.scalar(_first_score(), {"since": start, "before": before})
        if start is None:
            break
        starts.append(start)
        start += MS_PER_DAY
    return starts


@cache
def _newest_score() -> Select[int | None]:
    scored_at = predictions.c.scored_at
    return select(func.max(scored_at)).where(scored_at <= bindparam("now"))


@cache
def _first_score() -> Select[int | None]:
    scored_at = predictions.c.scored_at
    return select(func.min(scored_at)).where(scored_at >= bindparam("since"), scored_at < bindparam("before"))


@cache
def _count_before() -> Select[int, int | None]:
    scored_at = predictions.c.scored_at
    return select(func.count(), func.min(scored_at)).where(scored_at < bindparam("before"))
