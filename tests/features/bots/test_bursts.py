"""What a machine made is left out, and features are then those of the other activities, at every moment."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.bots.bursts import MIN_COUNT, WINDOW_MS, find_bursts, is_sent_mail, leave_out_bursts
from features.kinds import After, Count, DaysSince, Decayed, Distinct, Repeated
from features.one_lead import Event, OneLead
from features.table import FeatureTable
from tests.helpers.builders import DAY, NOON, is_same
from tests.helpers.scanner_bursts import ODD, PEOPLE, SCANNERS, clicks, scanner

TABLE = FeatureTable(
    {
        "clicks": Count("mail_click", 30),
        "all": Count("*", None),
        "since": DaysSince("*"),
        "asked": DaysSince("meeting_request"),
        "left": DaysSince("unsubscribed"),
        "warmth": Decayed(("mail_click", "price_page"), 7),
        "kinds": Distinct(30),
        "repeats": Repeated("mail_click", 30),
        "after": After("meeting_request", "mail_click", 1),
    }
)
KINDS = ("mail_click", "price_page", "meeting_request", "unsubscribed")
people_events = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 40), st.just(math.nan)), max_size=30
).map(lambda rows: [(kind, NOON + 5_000 * step, value) for kind, step, value in rows])
"""Activities at times of which at most two lie in a window."""
any_events = st.lists(
    st.tuples(st.sampled_from([*KINDS, "mail_sent"]), st.integers(0, 9_000), st.just(math.nan)), max_size=40
)


def values(events: list[Event], moment: int) -> list[float | str | None]:
    return TABLE.compute_one(OneLead(moment, NOON - DAY, {}, leave_out_bursts(events, moment)))


@pytest.mark.parametrize("events", SCANNERS.values(), ids=SCANNERS)
def test_what_a_scanner_makes_is_found_with_its_rule(events: list[Event]) -> None:
    rules = find_bursts(events)
    mails = {place for place, event in enumerate(events) if is_sent_mail(event[0])}
    assert set(rules) == set(range(len(events))) - mails
    assert set(rules.values()) == {"burst_after_mail" if mails else "burst"}


@pytest.mark.parametrize("events", PEOPLE.values(), ids=PEOPLE)
def test_what_people_and_imports_make_counts(events: list[Event]) -> None:
    assert find_bursts(events) == {}
    assert leave_out_bursts(events) == events


@pytest.mark.parametrize(
    "kind", ["email_sent", "Sent email", "MAIL DELIVERED", "メール送信", "メルマガ配信", "ﾒｰﾙ送信"]
)
def test_types_that_mean_a_sent_mail(kind: str) -> None:
    assert is_sent_mail(kind)


@pytest.mark.parametrize(
    "kind", ["email_open", "mail_click", "presented by mail", "フォーム送信", "sent_quote"]
)
def test_types_that_mean_no_sent_mail(kind: str) -> None:
    assert not is_sent_mail(kind)


def test_a_burst_is_found_in_any_order_and_between_other_activities() -> None:
    person = clicks(3, ODD - DAY, 3_600_000, "page_view")
    shuffled = [*scanner()[::-2], *person, *scanner()[-2::-2]]
    assert sorted(leave_out_bursts(shuffled)) == sorted(person)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(people=people_events, start=st.integers(0, 40), moment=st.integers(-1, 41))
def test_features_are_those_of_the_other_activities(people: list[Event], start: int, moment: int) -> None:
    """Before, between and after the burst, which lies between two activities of the person."""
    burst = scanner(NOON + 5_000 * start + 2_100)
    assert burst[-1][1] + WINDOW_MS < NOON + 5_000 * (start + 1) + 2_000
    after = NOON + 5_000 * moment + 4_000
    assert is_same(values([*people, *burst], after), values(people, after))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(events=any_events, later=any_events, moment=st.integers(0, 9_500))
def test_nothing_later_changes_what_counts(events: list[Event], later: list[Event], moment: int) -> None:
    future = [(kind, moment + time_ms, value) for kind, time_ms, value in later]
    past = [event for event in events if event[1] < moment]
    assert leave_out_bursts([*events, *future], moment) == leave_out_bursts(past)


def test_within_a_burst_the_activities_before_the_moment_count_until_they_are_too_many() -> None:
    events = scanner()
    counted = [len(leave_out_bursts(events, event[1])) for event in events]
    assert counted == [*range(MIN_COUNT), *[0] * (len(events) - MIN_COUNT)]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(events=any_events)
def test_what_is_left_holds_no_burst(events: list[Event]) -> None:
    rest = leave_out_bursts(events)
    assert leave_out_bursts(rest) == rest


def test_the_most_activities_that_a_request_may_hold_take_no_longer_than_they_must() -> None:
    """A quadratic search would take minutes."""
    began = time.process_time()
    assert len(find_bursts(clicks(100_000, ODD, 1))) == 100_000
    assert time.process_time() - began < 5
