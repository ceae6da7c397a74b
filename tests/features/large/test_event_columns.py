"""Events by column are a sequence of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from features.large.event_columns import join_events, order_by_time, to_columns
from features.one_lead import Event

events = st.lists(
    st.tuples(st.sampled_from(["visit", "mail", "訪問"]), st.integers(-(2**62), 2**62), st.floats(-9, 9)),
    max_size=12,
)


@given(events)
def test_they_are_the_events(rows: list[Event]) -> None:
    columns = to_columns(rows)
    assert list(columns) == rows
    assert [columns[i] for i in range(len(columns))] == rows
    assert list(columns[-3:]) == rows[-3:]
    assert sorted(columns.find_types()) == sorted({kind for kind, _, _ in rows})


@given(st.lists(events, max_size=4))
def test_joined_they_follow_each_other(parts: list[list[Event]]) -> None:
    mixed = [to_columns(part) if i % 2 else part for i, part in enumerate(parts)]
    assert list(join_events(mixed)) == [event for part in parts for event in part]


@given(st.lists(st.integers(0, 3) | st.integers(-(2**62), 2**62), max_size=30))
def test_they_are_sorted_by_time_and_else_stay_in_order(times_ms: list[int]) -> None:
    columns = to_columns([("visit", time_ms, float(i)) for i, time_ms in enumerate(times_ms)])
    assert list(columns.sorted_by_time()) == sorted(columns, key=lambda event: event[1])
    assert order_by_time(columns.times_ms).tolist() == sorted(range(len(times_ms)), key=times_ms.__getitem__)
