"""Bursts found on arrays are those that are found in plain Python."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.bots.bursts import BURST_RULES, BurstRule, find_bursts, leave_out_bursts
from features.large.column_bursts import find_column_bursts, leave_out_column_bursts
from features.large.event_columns import to_columns
from features.one_lead import Event
from tests.helpers.builders import NOON
from tests.helpers.scanner_bursts import PEOPLE, SCANNERS

crowded = st.integers(0, 3_000) | st.sampled_from([0, 1_000, 2_000, 2_001, 60_000, 61_000])
events_close_together = st.lists(
    st.tuples(
        st.sampled_from(["click", "page", "form", "mail_sent", "メール配信"]),
        crowded.map(lambda offset: NOON + offset),
        st.just(math.nan),
    ),
    max_size=40,
)


def rules_of(events: list[Event]) -> dict[int, BurstRule]:
    codes = find_column_bursts(to_columns(events)).tolist()
    return {place: BURST_RULES[code] for place, code in enumerate(codes) if code >= 0}


@pytest.mark.parametrize("events", [*SCANNERS.values(), *PEOPLE.values()], ids=[*SCANNERS, *PEOPLE])
def test_scanners_and_people_are_known(events: list[Event]) -> None:
    assert rules_of(events) == find_bursts(events)


@given(events_close_together)
def test_the_bursts_are_the_same(events: list[Event]) -> None:
    assert rules_of(events) == find_bursts(events)


@given(events_close_together, st.none() | crowded.map(lambda offset: NOON + offset))
def test_what_people_made_is_the_same(events: list[Event], before: int | None) -> None:
    of_people = leave_out_column_bursts(to_columns(events), before)
    assert [event[:2] for event in of_people] == [event[:2] for event in leave_out_bursts(events, before)]
