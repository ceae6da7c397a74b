"""The figures that steer, each against a case that is counted by hand."""

from __future__ import annotations

from datetime import datetime

import pytest

from features.clock import to_ms
from scoring.scorecard.office_hours import OfficeHours
from serving.review.kpis import queries as kpi_queries
from serving.review.kpis.definitions import (
    HOUR,
    Closed,
    Facts,
    Handled,
    Period,
    Share,
    afterwards,
    by_contact,
    kpis,
    lost_late,
    monthly,
    sources,
)
from serving.store.store import Store
from tests.helpers.stores import AT, hot, prediction, record, server, store, url

__all__ = ["server", "store", "url"]
MONTH, DAY = Period(1_000, 2_000), 86_400_000


def test_a_lead_counts_in_the_month_in_which_it_turned_hot() -> None:
    facts = Facts(hot={"before": 999, "first": 1_000, "last": 1_999, "after": 2_000})
    assert kpis(facts, MONTH).hot == 2


def test_accepted_of_those_handed_over() -> None:
    handled = {
        "a": Handled(1_100, None, True),
        "b": Handled(1_200, None, False),
        "c": Handled(1_300),
        "d": Handled(900, None, True),
    }
    assert kpis(Facts(handled=handled), MONTH).acceptance == Share(1, 3)


def test_opportunities_of_the_hot_leads_since_they_were_hot() -> None:
    facts = Facts(hot={"a": 1_100, "b": 1_200, "c": 1_300}, opportunities={"a": 5_000, "b": 1_100})
    assert kpis(facts, MONTH).opportunity == Share(1, 3)


def test_won_of_those_closed() -> None:
    closed = {
        "a": Closed(True, 1_500, 10.0),
        "b": Closed(False, 1_600, None),
        "c": Closed(True, 2_000, None),
    }
    assert kpis(Facts(closed=closed), MONTH).win == Share(1, 2)


def test_nothing_is_no_rate() -> None:
    told = kpis(Facts(), MONTH)
    assert (told.hot, told.win.rate, told.win.interval) == (0, None, None)


def test_the_interval_is_that_of_wilson() -> None:
    low, high = Share(52, 180).interval or (0, 0)
    assert (round(low, 4), round(high, 4)) == (0.2276, 0.3590)
    assert Share(0, 10).interval == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_the_time_to_the_first_contact_in_bands() -> None:
    hot = dict.fromkeys("abcdef", 1_000)
    handled = {
        "a": Handled(contacted=1_000 + HOUR),
        "b": Handled(contacted=1_000 + 4 * HOUR),
        "c": Handled(contacted=1_000 + 25 * HOUR),
        "d": Handled(contacted=1_000 + 100 * HOUR),
        "f": Handled(contacted=500),
    }
    closed = {lead: Closed(lead in "ab", 10**9, None) for lead in "abcdef"}
    told = by_contact(Facts(hot, handled, {}, closed), Period(0, 10**10))
    assert told == [Share(1, 2), Share(1, 1), Share(0, 0), Share(0, 1), Share(0, 1), Share(0, 1)]


def test_a_contact_after_the_close_came_never() -> None:
    facts = Facts({"a": 1_000}, {"a": Handled(contacted=9_000)}, {}, {"a": Closed(False, 1_900, None)})
    assert by_contact(facts, MONTH)[-1] == Share(0, 1)
    assert lost_late(facts, MONTH) == ["a"]


def test_lost_in_time_is_not_lost_late() -> None:
    closed = {lead: Closed(False, 1_900 + i, None) for i, lead in enumerate("ab")}
    handled = {"a": Handled(contacted=1_000), "b": Handled()}
    assert lost_late(Facts(dict.fromkeys("ab", 1_000), handled, {}, closed), MONTH) == ["b"]


FRIDAY = to_ms(datetime.fromisoformat("2026-10-02T17:00+09:00"))
MONDAY = to_ms(datetime.fromisoformat("2026-10-05T09:30+09:00"))


def test_a_weekend_does_not_count_where_the_office_is_closed() -> None:
    facts = Facts(
        {"a": FRIDAY}, {"a": Handled(contacted=MONDAY)}, {}, {"a": Closed(True, MONDAY + HOUR, None)}
    )
    period, office = Period(FRIDAY, MONDAY), OfficeHours(time_zone="Asia/Tokyo")
    assert by_contact(facts, period)[3] == Share(1, 1)  # 64.5 hours by the clock
    assert by_contact(facts, period, office)[1] == Share(1, 1)  # an hour and a half


def test_whoever_was_called_by_the_deadline_was_not_called_late() -> None:
    closed = {"a": Closed(False, MONDAY + HOUR, None)}
    facts = Facts({"a": FRIDAY}, {"a": Handled(contacted=MONDAY)}, {}, closed)
    period = Period(MONDAY, MONDAY + 2 * HOUR)
    assert lost_late(facts, period) == ["a"]
    assert lost_late(facts, period, {"a": MONDAY}) == []
    assert lost_late(facts, period, {"a": MONDAY - 1}) == ["a"]
    assert lost_late(facts, period, {"a": FRIDAY + 1}) == ["a"]


def test_a_contact_at_the_24th_hour_is_in_time() -> None:
    closed = dict.fromkeys("ab", Closed(False, 10**9, None))
    handled = {"a": Handled(contacted=24 * HOUR), "b": Handled(contacted=24 * HOUR + 1)}
    facts = Facts(dict.fromkeys("ab", 0), handled, {}, closed)
    assert lost_late(facts, Period(0, 10**10)) == ["b"]


def test_a_deal_that_was_closed_before_the_lead_was_hot_tells_nothing_of_it() -> None:
    facts = Facts({"a": 1_500}, {}, {}, {"a": Closed(True, 1_100, None), "b": Closed(False, 1_200, None)})
    assert sum(share.whole for share in by_contact(facts, MONTH)) == 0
    assert lost_late(facts, MONTH) == []
    assert afterwards(facts, MONTH)["won"] == Share(0, 1)
    assert kpis(facts, MONTH).win == Share(1, 2)  # it was closed all the same


def test_how_far_the_hot_leads_of_a_month_came() -> None:
    hot = {"a": 1_100, "b": 1_200, "c": 1_300, "later": 2_000}
    handled = {
        "a": Handled(1_100, 1_150, True),
        "b": Handled(1_200, 1_250, False),
        "later": Handled(2_000, 2_100, True),
    }
    facts = Facts(hot, handled, {"a": 1_400, "c": 1_299}, {"a": Closed(True, 9_000, 5.0)})
    assert afterwards(facts, MONTH) == {
        "contacted": Share(2, 3),
        "accepted": Share(1, 3),
        "opportunity": Share(1, 3),
        "won": Share(1, 3),
    }
    assert afterwards(Facts(), MONTH)["won"].rate is None


def test_months_follow_each_other_without_a_gap() -> None:
    facts = Facts(dict(enumerate_hot()), {}, {}, {"x": Closed(True, 20, None), "y": Closed(False, 29, None)})
    told = monthly(facts, [10, 20, 30])
    assert [each.hot for each in told] == [10, 10]
    assert [each.win for each in told] == [Share(0, 0), Share(1, 2)]


def enumerate_hot() -> list[tuple[str, int]]:
    """A lead that turns hot at each of the moments 0 to 39."""
    return [(f"L{at}", at) for at in range(40)]


def test_sources_with_their_costs() -> None:
    facts = Facts({"a": 1_100, "b": 1_200}, {}, {"a": 1_300}, {"a": Closed(True, 1_400, None)})
    of = {"a": "webinar"}.get
    told = sources(facts, MONTH, of, {"webinar": 300.0, "fair": 50.0})
    assert [(s.name, s.hot, s.opportunities, s.won, s.cost, s.per_hot, s.per_win) for s in told] == [
        ("webinar", 1, 1, 1, 300.0, 300.0, 300.0),
        ("", 1, 0, 0, None, None, None),
        ("fair", 0, 0, 0, 50.0, None, None),
    ]


def test_the_facts_of_the_store(store: Store) -> None:
    store.remember(
        [
            prediction("A", AT),
            hot("A", AT + 10),
            hot("A", AT + 20),
            hot("B", AT + 5, replay=True),
            hot("C", AT),
        ]
    ).result()
    store.accept(
        [
            record("handovers", "1", AT + 11, lead_id="A", step="handed_over"),
            record("handovers", "2", AT + 12, lead_id="A", step="sent_back", reason="no budget"),
            record("handovers", "3", AT + 13, lead_id="A", step="accepted"),
            record("handovers", "4", AT + 14, lead_id="C", step="sent_back", reason="student"),
            record("handovers", "5", AT + 15, lead_id="A", step="first_contact"),
            record("outcomes", "6", AT + 16, lead_id="A", outcome="won"),
            record("outcomes", "6", AT + 17, 2, lead_id="A", outcome="lost"),
            record("opportunities", "7", AT + 18, lead_id="A"),
            record("opportunities", "8", AT + 9, lead_id="A"),
            record("leads", "9", AT, lead_id="A", attributes={"channel": "web", "budget": "x"}),
            record("leads", "10", AT + 1, lead_id="A", attributes={"channel": "fair"}),
        ]
    ).result()
    told = store.see(kpi_queries.facts)
    assert told.hot == {"A": AT + 10, "C": AT}
    assert told.handled == {
        "A": Handled(AT + 11, AT + 15, True),
        "C": Handled(AT + 14, None, False),
    }
    assert told.opportunities == {"A": AT + 18}  # the first since it was hot
    assert told.closed == {"A": Closed(False, AT + 17, None)}
    assert store.see(lambda at: kpi_queries.attributes(at, ["A", "C"], ["channel"])) == {
        "A": {"channel": "fair"}
    }
    assert store.see(kpi_queries.stages_now) == {"hot": 1, "warm": 0, "cold": 0}
    back = store.see(lambda at: kpi_queries.sent_back(at, AT, AT + 100))
    assert back == [("c0ffee", "no budget", 1), ("c0ffee", "student", 1)]


def test_a_correction_counts_and_the_last_deal_of_a_lead(store: Store) -> None:
    store.accept(
        [
            record("outcomes", "1", AT, lead_id="A", outcome="won", amount=5.0),
            record("outcomes", "1", AT, 2, lead_id="A", outcome="open"),
            record("outcomes", "2", AT + 9, lead_id="B", outcome="won"),
            record("outcomes", "3", AT, lead_id="B", outcome="lost"),
            record("handovers", "4", AT, lead_id="B", step="accepted"),
            record("handovers", "4", AT, 2, lead_id="B", step="sent_back", reason="too small"),
            record("handovers", "5", AT - 5, lead_id="B", step="handed_over"),
        ]
    ).result()
    told = store.see(kpi_queries.facts)
    assert told.closed == {"B": Closed(True, AT + 9, None)}
    assert told.handled == {"B": Handled(AT - 5, None, False)}


def test_opportunities_since_a_lead_was_hot_else_its_first(store: Store) -> None:
    store.remember([hot("A", AT), hot("B", AT), hot("C", AT)]).result()
    moments = {"A": (AT - 9, AT, AT + 9), "B": (AT - 9, AT - 5), "D": (AT + 1, AT + 2)}
    store.accept(
        [
            record("opportunities", f"{lead}{at}", at, lead_id=lead)
            for lead, ats in moments.items()
            for at in ats
        ]
    ).result()
    facts = store.see(kpi_queries.facts)
    assert facts.opportunities == {"A": AT, "B": AT - 9, "D": AT + 1}
    assert kpis(facts, Period(AT, AT + 1)).opportunity == Share(1, 3)


def test_the_deadline_is_that_of_the_moment_when_it_turned_hot(store: Store) -> None:
    store.remember(
        [
            hot("A", AT, deadline=AT + 1),
            hot("A", AT + 5, deadline=AT + 6),
            hot("B", AT, deadline=AT + 2, replay=True),
            hot("B", AT),
            hot("C", AT, deadline=AT + 3),
        ]
    ).result()
    asked = {"A": AT, "B": AT}
    assert store.see(lambda at: kpi_queries.deadlines(at, asked)) == {"A": AT + 1}
    assert store.see(lambda at: kpi_queries.deadlines(at, {})) == {}


def test_a_second_judgement_moves_no_lead_to_another_month(store: Store) -> None:
    store.accept(
        [
            record("handovers", "a", at=AT, lead_id="A", step="accepted"),
            record("handovers", "b", at=AT + 40 * DAY, lead_id="A", step="accepted"),
        ]
    ).result()
    handled = store.see(kpi_queries.facts).handled["A"]
    assert (handled.handed, handled.accepted) == (AT, True)


def test_the_stages_now_are_of_open_leads(store: Store) -> None:
    store.remember([hot("A"), hot("B"), prediction("C")]).result()
    store.accept([record("outcomes", "o", lead_id="B", outcome="lost")]).result()
    told = store.see(kpi_queries.stages_now)
    assert (told["hot"], sum(told.values())) == (1, 2)


def test_an_empty_store_tells_nothing(store: Store) -> None:
    assert store.see(kpi_queries.facts) == Facts()
    assert store.see(kpi_queries.stages_now) == {"hot": 0, "warm": 0, "cold": 0}
    assert store.see(lambda at: kpi_queries.sent_back(at, 0, AT)) == []


def test_a_lead_sent_back_under_each_definition(store: Store) -> None:
    store.remember(
        [
            hot("A", AT, card_version="old"),
            hot("A", AT + 10, card_version="new"),
            hot("A", AT + 3, card_version="tried", replay=True),
        ]
    ).result()
    store.accept(
        [
            record("handovers", str(i), at, lead_id=lead, step="sent_back", reason="student")
            for i, (lead, at) in enumerate([("A", AT + 5), ("A", AT + 10), ("B", AT + 6), ("A", AT + 90)])
        ]
    ).result()
    back = store.see(lambda at: kpi_queries.sent_back(at, AT, AT + 90))
    assert back == [("", "student", 1), ("new", "student", 1), ("old", "student", 1)]
