"""The figures that steer, each against a case that is counted by hand."""

from __future__ import annotations

import pytest
from stores import AT, hot, prediction, record, server, store, url

from serving.review import kpi_queries
from serving.review.kpi import (
    HOUR,
    Closed,
    Facts,
    Handled,
    Period,
    Share,
    by_contact,
    kpis,
    lost_late,
    sources,
)
from serving.store import Store

__all__ = ["server", "store", "url"]
MONTH = Period(1_000, 2_000)


def test_a_lead_counts_in_the_month_in_which_it_turned_hot() -> None:
    facts = Facts(hot={"before": 999, "first": 1_000, "last": 1_999, "after": 2_000})
    assert kpis(facts, MONTH).hot == 2


def test_accepted_of_those_handed_over() -> None:
    handled = {"a": Handled(1_100, None, True), "b": Handled(1_200, None, False), "c": Handled(1_300),
               "d": Handled(900, None, True)}  # fmt: skip
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
        "a": Handled(contacted=1_000 + HOUR), "b": Handled(contacted=1_000 + 4 * HOUR),
        "c": Handled(contacted=1_000 + 25 * HOUR), "d": Handled(contacted=1_000 + 100 * HOUR),
        "f": Handled(contacted=500),
    }  # fmt: skip
    closed = {lead: Closed(lead in "ab", 10**9, None) for lead in "abcdef"}
    told = by_contact(Facts(hot, handled, {}, closed), Period(0, 10**10))
    assert told == [Share(1, 2), Share(1, 1), Share(0, 0), Share(0, 1), Share(0, 1), Share(0, 1)]


def test_a_contact_after_the_close_came_never() -> None:
    facts = Facts(
        {"a": 1_000}, {"a": Handled(contacted=9_000)}, {}, {"a": Closed(False, 1_900, None)}
    )
    assert by_contact(facts, MONTH)[-1] == Share(0, 1)
    assert lost_late(facts, MONTH) == ["a"]


def test_lost_in_time_is_not_lost_late() -> None:
    closed = {lead: Closed(False, 1_900 + i, None) for i, lead in enumerate("ab")}
    handled = {"a": Handled(contacted=1_000), "b": Handled()}
    assert lost_late(Facts(dict.fromkeys("ab", 1_000), handled, {}, closed), MONTH) == ["b"]


def test_sources_with_their_costs() -> None:
    facts = Facts({"a": 1_100, "b": 1_200}, {}, {"a": 1_300}, {"a": Closed(True, 1_400, None)})
    of = {"a": "webinar"}.get
    told = sources(facts, MONTH, of, {"webinar": 300.0, "fair": 50.0})
    assert [(s.name, s.hot, s.opportunities, s.won, s.cost, s.per_hot, s.per_win) for s in told] == [
        ("webinar", 1, 1, 1, 300.0, 300.0, 300.0), ("", 1, 0, 0, None, None, None),
        ("fair", 0, 0, 0, 50.0, None, None),
    ]  # fmt: skip


def test_the_facts_of_the_store(store: Store) -> None:
    store.remember([
        prediction("A", AT), hot("A", AT + 10), hot("A", AT + 20), hot("B", AT + 5, replay=True), hot("C", AT),
    ]).result()  # fmt: skip
    store.accept([
        record("handovers", "1", AT + 11, lead_id="A", step="handed_over"),
        record("handovers", "2", AT + 12, lead_id="A", step="sent_back", reason="no budget"),
        record("handovers", "3", AT + 13, lead_id="A", step="accepted"),
        record("handovers", "4", AT + 14, lead_id="C", step="sent_back", reason="student"),
        record("handovers", "5", AT + 15, lead_id="A", step="first_contact"),
        record("outcomes", "6", AT + 16, lead_id="A", outcome="won"),
        record("outcomes", "6", AT + 17, 2, lead_id="A", outcome="lost"),
        record("opportunities", "7", AT + 18, lead_id="A"), record("opportunities", "8", AT + 9, lead_id="A"),
        record("leads", "9", AT, lead_id="A", attributes={"channel": "web", "budget": "x"}),
        record("leads", "10", AT + 1, lead_id="A", attributes={"channel": "fair"}),
    ]).result()  # fmt: skip
    told = store.see(kpi_queries.facts)
    assert told.hot == {"A": AT + 10, "C": AT}
    assert told.handled == {
        "A": Handled(AT + 11, AT + 15, True),
        "C": Handled(AT + 14, None, False),
    }
    assert told.opportunities == {"A": AT + 9}
    assert told.closed == {"A": Closed(False, AT + 17, None)}
    assert store.see(lambda at: kpi_queries.attributes(at, ["A", "C"], ["channel"])) == {
        "A": {"channel": "fair"}
    }
    assert store.see(kpi_queries.stages_now) == {"hot": 2, "warm": 0, "cold": 0}
    back = store.see(lambda at: kpi_queries.sent_back(at, AT, AT + 100))
    assert back == [("c0ffee", "no budget", 1), ("c0ffee", "student", 1)]
