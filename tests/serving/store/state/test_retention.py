"""Old predictions go by the newest stored score: those of a day a day, and none because a clock jumps."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from features.clock import MS_PER_DAY, days_to_ms
from serving.store.state.retention import CHECK_MS, MAX_OVERDUE_DAYS, NOTHING, RetentionPlan
from serving.store.store import Store
from serving.store.tables import predictions
from tests.helpers.service.stores import MOMENT_MS, add_predictions, prediction

DAYS = 30
JUMP_MS = days_to_ms(3 * 365)


def store_days(store: Store, days: Sequence[float], first: int = MOMENT_MS) -> None:
    """One prediction at each of so many days after the first moment."""
    add_predictions(store, *(prediction(f"L{day}", first, scored_at=first + days_to_ms(day)) for day in days))


def count(store: Store) -> int:
    return store.read(lambda connection: connection.scalar(select(func.count(predictions.c.seq)))) or 0


def check(store: Store, now: int) -> RetentionPlan:
    return store.apply_retention(now, DAYS)


def run_days(store: Store, now: int, days: int) -> list[int]:
    """Look once an hour for so many days, with a new score a day; the predictions that each day deleted."""
    deleted = []
    for day in range(days):
        start = now + day * MS_PER_DAY
        store_days(store, [0], start)
        before = count(store)
        for hour in range(24):
            assert check(store, start + hour * 3_600_000).unconfirmed_before is None
        deleted.append(before - count(store))
    return deleted


def test_each_day_the_oldest_day_goes(store: Store) -> None:
    store_days(store, range(DAYS))
    assert sum(run_days(store, MOMENT_MS + DAYS * MS_PER_DAY, 20)) in (18, 19)
    assert count(store) in (DAYS + 1, DAYS + 2)


def test_after_some_days_off_no_more_than_a_day_goes_a_day(store: Store) -> None:
    store_days(store, [n / 4 for n in range(4 * DAYS)])
    deleted = run_days(store, MOMENT_MS + (DAYS + 4) * MS_PER_DAY, 10)
    assert max(deleted) == 4  # the predictions of one day
    assert sum(deleted) > 0


def test_a_clock_that_jumps_ahead_for_a_while_deletes_nothing(store: Store) -> None:
    """Not even where the service scores, restarts and looks while the clock is ahead."""
    store_days(store, range(DAYS))
    now = MOMENT_MS + (DAYS - 1) * MS_PER_DAY
    assert check(store, now) == NOTHING
    store_days(store, [0, 0.1], now + JUMP_MS)
    before = count(store)
    for hour in range(22):
        assert check(store, now + JUMP_MS + hour * 3_600_000).before in (None, now - days_to_ms(DAYS))
    for hour in range(72):
        check(store, now + CHECK_MS + hour * 3_600_000)
    assert count(store) == before


def test_a_clock_that_stays_ahead_waits_for_a_person(store: Store) -> None:
    store_days(store, range(DAYS))
    now = MOMENT_MS + (DAYS - 1) * MS_PER_DAY + JUMP_MS
    for day in range(5):
        store_days(store, [0], now + day * MS_PER_DAY)
        plan = check(store, now + day * MS_PER_DAY)
        assert plan.before is None
    assert plan.oldest == MOMENT_MS
    assert plan.unconfirmed_before == now + (3 - DAYS) * MS_PER_DAY
    assert count(store) == DAYS + 5


def test_a_clock_alone_makes_nothing_old(store: Store) -> None:
    store_days(store, range(3))
    for day in range(60):
        assert check(store, MOMENT_MS + day * MS_PER_DAY).unconfirmed_before is None
    assert count(store) == 3


def test_a_clock_that_was_behind_costs_no_question(store: Store) -> None:
    """A machine without a battery starts in 1970: its scores are one day's."""
    add_predictions(store, *(prediction(f"old{n}", n, scored_at=n) for n in range(20)))
    deleted = run_days(store, MOMENT_MS, 3)
    assert sum(deleted) == 20


def test_more_days_than_may_wait_need_a_person_who_confirms(store: Store) -> None:
    store_days(store, range(MAX_OVERDUE_DAYS + 1))
    now = MOMENT_MS + (DAYS + MAX_OVERDUE_DAYS + 1) * MS_PER_DAY
    store_days(store, [0, 1], now)
    assert check(store, now) == NOTHING
    plan = check(store, now + MS_PER_DAY)
    assert (plan.before, plan.oldest) == (None, MOMENT_MS)
    assert plan.unconfirmed_before is not None
    assert store.prune(plan.unconfirmed_before) == MAX_OVERDUE_DAYS + 1
    assert check(store, now + MS_PER_DAY + 1) == NOTHING


def test_two_processes_delete_one_day(store: Store) -> None:
    store_days(store, range(DAYS + 4))
    now = MOMENT_MS + (DAYS + 3) * MS_PER_DAY
    check(store, now)
    plans = [check(store, now + CHECK_MS) for _ in range(2)]
    assert [plan.before is None for plan in plans] == [False, True]
    assert count(store) == DAYS + 3
