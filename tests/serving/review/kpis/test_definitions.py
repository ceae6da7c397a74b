"""The figures that steer, each against a case that is counted by hand."""

from __future__ import annotations

from datetime import datetime

import pytest

from features.clock import to_ms
from scoring.scorecard.office_hours import OfficeHours
from serving.review.kpis import queries as kpi_queries
from serving.review.kpis.definitions import (
    HOUR,
    ClosedDeal,
    KpiFacts,
    Period,
    Proportion,
    SalesHandling,
    funnel,
    kpis,
    lost_late,
    monthly_kpis,
    source_kpis,
    win_rate_by_response_time,
)
from serving.store.store import Store
from tests.helpers.service.stores import MOMENT_MS, hot, prediction, record, server, store, url

__all__ = ["server", "store", "url"]
MONTH, DAY = Period(1_000, 2_000), 86_400_000


def test_a_lead_counts_in_the_month_in_which_it_turned_hot() -> None:
    facts = KpiFacts(hot={"before": 999, "first": 1_000, "last": 1_999, "after": 2_000})
    assert kpis(facts, MONTH).hot == 2


def test_accepted_of_those_handed_over() -> None:
    handled = {
        "a": SalesHandling(1_100, None, True),
        "b": SalesHandling(1_200, None, False),
        "c": SalesHandling(1_300),
        "d": SalesHandling(900, None, True),
    }
    assert kpis(KpiFacts(handled=handled), MONTH).acceptance == Proportion(1, 3)


def test_opportunities_of_the_hot_leads_since_they_were_hot() -> None:
    facts = KpiFacts(hot={"a": 1_100, "b": 1_200, "c": 1_300}, opportunities={"a": 5_000, "b": 1_100})
    assert kpis(facts, MONTH).opportunity == Proportion(1, 3)


def test_won_of_those_closed() -> None:
    closed = {
        "a": ClosedDeal(True, 1_500, 10.0),
        "b": ClosedDeal(False, 1_600, None),
        "c": ClosedDeal(True, 2_000, None),
    }
    assert kpis(KpiFacts(closed=closed), MONTH).win == Proportion(1, 2)


def test_nothing_is_no_rate() -> None:
    result = kpis(KpiFacts(), MONTH)
    assert (result.hot, result.win.rate, result.win.interval) == (0, None, None)


def test_the_interval_is_that_of_wilson() -> None:
    low, high = Proportion(52, 180).interval or (0, 0)
    assert (round(low, 4), round(high, 4)) == (0.2276, 0.3590)
    assert Proportion(0, 10).interval == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_the_time_to_the_first_contact_in_bands() -> None:
    hot = dict.fromkeys("abcdef", 1_000)
    handled = {
        "a": SalesHandling(contacted_at=1_000 + HOUR),
        "b": SalesHandling(contacted_at=1_000 + 4 * HOUR),
        "c": SalesHandling(contacted_at=1_000 + 25 * HOUR),
        "d": SalesHandling(contacted_at=1_000 + 100 * HOUR),
        "f": SalesHandling(contacted_at=500),
    }
    closed = {lead: ClosedDeal(lead in "ab", 10**9, None) for lead in "abcdef"}
    shares = win_rate_by_response_time(KpiFacts(hot, handled, {}, closed), Period(0, 10**10))
    assert shares == [
        Proportion(1, 2),
        Proportion(1, 1),
        Proportion(0, 0),
        Proportion(0, 1),
        Proportion(0, 1),
        Proportion(0, 1),
    ]


def test_a_contact_after_the_close_came_never() -> None:
    facts = KpiFacts(
        {"a": 1_000}, {"a": SalesHandling(contacted_at=9_000)}, {}, {"a": ClosedDeal(False, 1_900, None)}
    )
    assert win_rate_by_response_time(facts, MONTH)[-1] == Proportion(0, 1)
    assert lost_late(facts, MONTH) == ["a"]


def test_lost_in_time_is_not_lost_late() -> None:
    closed = {lead: ClosedDeal(False, 1_900 + i, None) for i, lead in enumerate("ab")}
    handled = {"a": SalesHandling(contacted_at=1_000), "b": SalesHandling()}
    assert lost_late(KpiFacts(dict.fromkeys("ab", 1_000), handled, {}, closed), MONTH) == ["b"]


FRIDAY = to_ms(datetime.fromisoformat("2026-10-02T17:00+09:00"))
MONDAY = to_ms(datetime.fromisoformat("2026-10-05T09:30+09:00"))


def test_a_weekend_does_not_count_where_the_office_is_closed() -> None:
    facts = KpiFacts(
        {"a": FRIDAY},
        {"a": SalesHandling(contacted_at=MONDAY)},
        {},
        {"a": ClosedDeal(True, MONDAY + HOUR, None)},
    )
    period, office = Period(FRIDAY, MONDAY), OfficeHours(time_zone="Asia/Tokyo")
    assert win_rate_by_response_time(facts, period)[3] == Proportion(1, 1)  # 64.5 hours by the clock
    assert win_rate_by_response_time(facts, period, office)[1] == Proportion(1, 1)  # an hour and a half


def test_whoever_was_called_by_the_deadline_was_not_called_late() -> None:
    closed = {"a": ClosedDeal(False, MONDAY + HOUR, None)}
    facts = KpiFacts({"a": FRIDAY}, {"a": SalesHandling(contacted_at=MONDAY)}, {}, closed)
    period = Period(MONDAY, MONDAY + 2 * HOUR)
    assert lost_late(facts, period) == ["a"]
    assert lost_late(facts, period, {"a": MONDAY}) == []
    assert lost_late(facts, period, {"a": MONDAY - 1}) == ["a"]
    assert lost_late(facts, period, {"a": FRIDAY + 1}) == ["a"]


def test_a_contact_at_the_24th_hour_is_in_time() -> None:
    closed = dict.fromkeys("ab", ClosedDeal(False, 10**9, None))
    handled = {"a": SalesHandling(contacted_at=24 * HOUR), "b": SalesHandling(contacted_at=24 * HOUR + 1)}
    facts = KpiFacts(dict.fromkeys("ab", 0), handled, {}, closed)
    assert lost_late(facts, Period(0, 10**10)) == ["b"]


def test_a_deal_that_was_closed_before_the_lead_was_hot_tells_nothing_of_it() -> None:
    facts = KpiFacts(
        {"a": 1_500}, {}, {}, {"a": ClosedDeal(True, 1_100, None), "b": ClosedDeal(False, 1_200, None)}
    )
    assert sum(share.total for share in win_rate_by_response_time(facts, MONTH)) == 0
    assert lost_late(facts, MONTH) == []
    assert funnel(facts, MONTH)["won"] == Proportion(0, 1)
    assert kpis(facts, MONTH).win == Proportion(1, 2)  # it was closed all the same


def test_how_far_the_hot_leads_of_a_month_came() -> None:
    hot = {"a": 1_100, "b": 1_200, "c": 1_300, "later": 2_000}
    handled = {
        "a": SalesHandling(1_100, 1_150, True),
        "b": SalesHandling(1_200, 1_250, False),
        "later": SalesHandling(2_000, 2_100, True),
    }
    facts = KpiFacts(hot, handled, {"a": 1_400, "c": 1_299}, {"a": ClosedDeal(True, 9_000, 5.0)})
    assert funnel(facts, MONTH) == {
        "contacted": Proportion(2, 3),
        "accepted": Proportion(1, 3),
        "opportunity": Proportion(1, 3),
        "won": Proportion(1, 3),
    }
    assert funnel(KpiFacts(), MONTH)["won"].rate is None


def test_months_follow_each_other_without_a_gap() -> None:
    facts = KpiFacts(
        dict(enumerate_hot()), {}, {}, {"x": ClosedDeal(True, 20, None), "y": ClosedDeal(False, 29, None)}
    )
    months = monthly_kpis(facts, [10, 20, 30])
    assert [month.hot for month in months] == [10, 10]
    assert [month.win for month in months] == [Proportion(0, 0), Proportion(1, 2)]


def enumerate_hot() -> list[tuple[str, int]]:
    """A lead that turns hot at each of the moments 0 to 39."""
    return [(f"L{moment_ms}", moment_ms) for moment_ms in range(40)]


def test_sources_with_their_costs() -> None:
    facts = KpiFacts({"a": 1_100, "b": 1_200}, {}, {"a": 1_300}, {"a": ClosedDeal(True, 1_400, None)})
    rows = source_kpis(facts, MONTH, {"a": "webinar"}, {"webinar": 300.0, "fair": 50.0})
    assert [(s.name, s.hot, s.opportunities, s.won, s.cost, s.per_hot, s.per_win) for s in rows] == [
        ("webinar", 1, 1, 1, 300.0, 300.0, 300.0),
        ("", 1, 0, 0, None, None, None),
        ("fair", 0, 0, 0, 50.0, None, None),
    ]


def test_the_facts_of_the_store(store: Store) -> None:
    store.add_predictions(
        [
            prediction("A", MOMENT_MS),
            hot("A", MOMENT_MS + 10),
            hot("A", MOMENT_MS + 20),
            hot("B", MOMENT_MS + 5, replay=True),
            hot("C", MOMENT_MS),
        ]
    ).result()
    store.add_records(
        [
            record("handovers", "1", MOMENT_MS + 11, lead_id="A", step="handed_over"),
            record("handovers", "2", MOMENT_MS + 12, lead_id="A", step="sent_back", reason="no budget"),
            record("handovers", "3", MOMENT_MS + 13, lead_id="A", step="accepted"),
            record("handovers", "4", MOMENT_MS + 14, lead_id="C", step="sent_back", reason="student"),
            record("handovers", "5", MOMENT_MS + 15, lead_id="A", step="first_contact"),
            record("outcomes", "6", MOMENT_MS + 16, lead_id="A", outcome="won"),
            record("outcomes", "6", MOMENT_MS + 17, 2, lead_id="A", outcome="lost"),
            record("opportunities", "7", MOMENT_MS + 18, lead_id="A"),
            record("opportunities", "8", MOMENT_MS + 9, lead_id="A"),
            record("leads", "9", MOMENT_MS, lead_id="A", attributes={"channel": "web", "budget": "x"}),
            record("leads", "10", MOMENT_MS + 1, lead_id="A", attributes={"channel": "fair"}),
        ]
    ).result()
    facts = store.read(kpi_queries.read_facts)
    assert facts.hot == {"A": MOMENT_MS + 10, "C": MOMENT_MS}
    assert facts.handled == {
        "A": SalesHandling(MOMENT_MS + 11, MOMENT_MS + 15, True),
        "C": SalesHandling(MOMENT_MS + 14, None, False),
    }
    assert facts.opportunities == {"A": MOMENT_MS + 18}  # the first since it was hot
    assert facts.closed == {"A": ClosedDeal(False, MOMENT_MS + 17, None)}
    assert store.read(
        lambda connection: kpi_queries.read_attributes(connection, ["A", "C"], ["channel"])
    ) == {"A": {"channel": "fair"}}
    assert store.read(kpi_queries.count_stages) == {"hot": 1, "warm": 0, "cold": 0}
    back = store.read(lambda connection: kpi_queries.count_sent_back(connection, MOMENT_MS, MOMENT_MS + 100))
    assert back == [("c0ffee", "no budget", 1), ("c0ffee", "student", 1)]


def test_a_correction_counts_and_the_last_deal_of_a_lead(store: Store) -> None:
    store.add_records(
        [
            record("outcomes", "1", MOMENT_MS, lead_id="A", outcome="won", amount=5.0),
            record("outcomes", "1", MOMENT_MS, 2, lead_id="A", outcome="open"),
            record("outcomes", "2", MOMENT_MS + 9, lead_id="B", outcome="won"),
            record("outcomes", "3", MOMENT_MS, lead_id="B", outcome="lost"),
            record("handovers", "4", MOMENT_MS, lead_id="B", step="accepted"),
            record("handovers", "4", MOMENT_MS, 2, lead_id="B", step="sent_back", reason="too small"),
            record("handovers", "5", MOMENT_MS - 5, lead_id="B", step="handed_over"),
        ]
    ).result()
    facts = store.read(kpi_queries.read_facts)
    assert facts.closed == {"B": ClosedDeal(True, MOMENT_MS + 9, None)}
    assert facts.handled == {"B": SalesHandling(MOMENT_MS - 5, None, False)}


def test_opportunities_since_a_lead_was_hot_else_its_first(store: Store) -> None:
    store.add_predictions([hot("A", MOMENT_MS), hot("B", MOMENT_MS), hot("C", MOMENT_MS)]).result()
    moments = {
        "A": (MOMENT_MS - 9, MOMENT_MS, MOMENT_MS + 9),
        "B": (MOMENT_MS - 9, MOMENT_MS - 5),
        "D": (MOMENT_MS + 1, MOMENT_MS + 2),
    }
    store.add_records(
        [
            record("opportunities", f"{lead}{moment_ms}", moment_ms, lead_id=lead)
            for lead, ats in moments.items()
            for moment_ms in ats
        ]
    ).result()
    facts = store.read(kpi_queries.read_facts)
    assert facts.opportunities == {"A": MOMENT_MS, "B": MOMENT_MS - 9, "D": MOMENT_MS + 1}
    assert kpis(facts, Period(MOMENT_MS, MOMENT_MS + 1)).opportunity == Proportion(1, 3)


def test_the_deadline_is_that_of_the_moment_when_it_turned_hot(store: Store) -> None:
    store.add_predictions(
        [
            hot("A", MOMENT_MS, deadline=MOMENT_MS + 1),
            hot("A", MOMENT_MS + 5, deadline=MOMENT_MS + 6),
            hot("B", MOMENT_MS, deadline=MOMENT_MS + 2, replay=True),
            hot("B", MOMENT_MS),
            hot("C", MOMENT_MS, deadline=MOMENT_MS + 3),
        ]
    ).result()
    hot_since = {"A": MOMENT_MS, "B": MOMENT_MS}
    assert store.read(lambda connection: kpi_queries.read_deadlines(connection, hot_since)) == {
        "A": MOMENT_MS + 1
    }
    assert store.read(lambda connection: kpi_queries.read_deadlines(connection, {})) == {}


def test_a_second_judgement_moves_no_lead_to_another_month(store: Store) -> None:
    store.add_records(
        [
            record("handovers", "a", moment_ms=MOMENT_MS, lead_id="A", step="accepted"),
            record("handovers", "b", moment_ms=MOMENT_MS + 40 * DAY, lead_id="A", step="accepted"),
        ]
    ).result()
    handled = store.read(kpi_queries.read_facts).handled["A"]
    assert (handled.handed_over_at, handled.accepted) == (MOMENT_MS, True)


def test_the_stages_now_are_of_open_leads(store: Store) -> None:
    store.add_predictions([hot("A"), hot("B"), prediction("C")]).result()
    store.add_records([record("outcomes", "o", lead_id="B", outcome="lost")]).result()
    counts = store.read(kpi_queries.count_stages)
    assert (counts["hot"], sum(counts.values())) == (1, 2)


def test_an_empty_store_tells_nothing(store: Store) -> None:
    assert store.read(kpi_queries.read_facts) == KpiFacts()
    assert store.read(kpi_queries.count_stages) == {"hot": 0, "warm": 0, "cold": 0}
    assert store.read(lambda connection: kpi_queries.count_sent_back(connection, 0, MOMENT_MS)) == []


def test_a_lead_sent_back_under_each_definition(store: Store) -> None:
    store.add_predictions(
        [
            hot("A", MOMENT_MS, card_version="old"),
            hot("A", MOMENT_MS + 10, card_version="new"),
            hot("A", MOMENT_MS + 3, card_version="tried", replay=True),
        ]
    ).result()
    store.add_records(
        [
            record("handovers", str(i), value, lead_id=lead, step="sent_back", reason="student")
            for i, (lead, value) in enumerate(
                [("A", MOMENT_MS + 5), ("A", MOMENT_MS + 10), ("B", MOMENT_MS + 6), ("A", MOMENT_MS + 90)]
            )
        ]
    ).result()
    back = store.read(lambda value: kpi_queries.count_sent_back(value, MOMENT_MS, MOMENT_MS + 90))
    assert back == [("", "student", 1), ("new", "student", 1), ("old", "student", 1)]
