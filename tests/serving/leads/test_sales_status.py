"""What sales did about leads, in memory: closed deals and next actions, added at once, corrected, erased."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from features.clock import NEVER, iso
from scoring.decision.sales_status import SalesStatus, SalesStep, derive_sales_status
from serving.leads.mirrors import RECOUNT_SECONDS, SalesStatusMirror
from serving.store.records import Record
from serving.store.sales_steps import read_steps
from serving.store.store import Store
from tests.helpers.clock import Clock
from tests.helpers.service.service_app import App, small_app
from tests.helpers.service.stores import MOMENT_MS, open_store, record, server, store, url  # noqa: F401

DAY = 86_400_000


def store_records(store: Store, *records: Record) -> None:  # noqa: F811
    store.add_records(records).result(10)


def outcome_record(
    key: str, lead_id: str, outcome_value: str, moment_ms: int = MOMENT_MS, version: int = 1
) -> Record:
    return record("outcomes", key, moment_ms, version, lead_id, outcome=outcome_value)


def next_action_record(
    key: str, lead_id: str, due: int, moment_ms: int = MOMENT_MS, version: int = 1
) -> Record:
    return record("handovers", key, moment_ms, version, lead_id, step="next_action", due_at=due)


def test_a_lead_stands_where_its_newest_steps_before_the_moment_say() -> None:
    steps = [
        SalesStep(30, "next_action", 90),
        SalesStep(10, "lost"),
        SalesStep(20, "won"),
        SalesStep(5, "next_action", 7),
    ]
    assert derive_sales_status(steps, 5) is None
    assert derive_sales_status(steps, 6) == SalesStatus(next_action=7)
    assert derive_sales_status(steps, 11) == SalesStatus("lost", 10, 7)
    assert derive_sales_status(steps, 21) == SalesStatus("won", 20, 7)
    assert derive_sales_status(steps, NEVER) == SalesStatus("won", 20, 90)


def test_the_newest_contact_counts_and_alone_closes_nothing() -> None:
    steps = [SalesStep(20, "first_contact"), SalesStep(10, "first_contact")]
    assert derive_sales_status(steps, 10) is None
    assert derive_sales_status(steps, 11) == SalesStatus(contacted_at=10)
    assert derive_sales_status([*steps, SalesStep(15, "won")], NEVER) == SalesStatus(
        "won", 15, contacted_at=20
    )


def test_a_contact_is_known_at_once_and_read_again(store: Store) -> None:  # noqa: F811
    contact, mirror = (
        record("handovers", "c", MOMENT_MS, lead_id="A", step="first_contact"),
        SalesStatusMirror(store),
    )
    mirror.add([contact])
    assert mirror.get("A", MOMENT_MS + 1) == SalesStatus(contacted_at=MOMENT_MS)
    store_records(store, contact)
    reloaded = SalesStatusMirror(store)
    reloaded.refresh()
    assert reloaded.get("A", MOMENT_MS + 1) == SalesStatus(contacted_at=MOMENT_MS)


@given(
    st.lists(st.builds(SalesStep, st.integers(0, 9), st.sampled_from(["won", "lost"]))), st.integers(0, 10)
)
def test_nothing_after_the_moment_counts(steps: list[SalesStep], until: int) -> None:
    assert derive_sales_status(steps, until) == derive_sales_status(
        [s for s in steps if s.moment_ms < until], until
    )


def test_what_came_is_read_once_and_corrections_take_its_place(store: Store) -> None:  # noqa: F811
    store_records(
        store,
        outcome_record("d1", "A", "lost"),
        outcome_record("d2", "B", "won"),
        next_action_record("s1", "C", MOMENT_MS + DAY),
    )
    mirror = SalesStatusMirror(store)
    mirror.refresh()
    assert mirror.get_many(["A", "B", "C", "D"], MOMENT_MS + 1) == {
        "A": SalesStatus("lost", MOMENT_MS),
        "B": SalesStatus("won", MOMENT_MS),
        "C": SalesStatus(next_action=MOMENT_MS + DAY),
    }
    store_records(
        store,
        outcome_record("d1", "A", "won", MOMENT_MS + 5, 2),
        outcome_record("d2", "Z", "won", MOMENT_MS, 2),
    )
    store_records(
        store,
        next_action_record("s2", "C", MOMENT_MS + 2 * DAY, MOMENT_MS + 1),
        outcome_record("d3", "D", "lost"),
    )
    mirror.refresh()
    assert mirror.get_many(["A", "B", "C", "D", "Z"], MOMENT_MS + 9) == {
        "A": SalesStatus("won", MOMENT_MS + 5),
        "C": SalesStatus(next_action=MOMENT_MS + 2 * DAY),
        "D": SalesStatus("lost", MOMENT_MS),
        "Z": SalesStatus("won", MOMENT_MS),
    }
    afresh = SalesStatusMirror(store)
    afresh.refresh()
    assert {k: sorted(v) for k, v in afresh._by_lead.items() if v} == {
        k: sorted(v) for k, v in mirror._by_lead.items() if v
    }


def test_what_was_just_stored_counts_at_once_and_is_not_counted_twice(store: Store) -> None:  # noqa: F811
    mirror = SalesStatusMirror(store)
    mirror.refresh()
    closed_deal = outcome_record("d", "A", "won")
    store_records(store, closed_deal)
    mirror.add([closed_deal, record("activities", "a", type="visit")])
    assert mirror.get("A", MOMENT_MS + 1) == SalesStatus("won", MOMENT_MS)
    mirror.refresh()
    assert mirror._by_lead == {"A": (SalesStep(MOMENT_MS, "won"),)}


def test_a_version_that_comes_after_its_correction_does_not_count(store: Store) -> None:  # noqa: F811
    clock = Clock(0.0)
    mirror = SalesStatusMirror(store, clock)
    store_records(store, outcome_record("d", "L1", "lost", version=2))
    mirror.refresh()
    store_records(store, outcome_record("d", "L1", "won"))
    mirror.refresh()
    assert mirror.get("L1", NEVER) == SalesStatus("lost", MOMENT_MS)
    clock.now += RECOUNT_SECONDS
    mirror.refresh()
    assert mirror.get("L1", NEVER) == SalesStatus("lost", MOMENT_MS)


def test_nobody_waits_while_the_store_is_read(store: Store) -> None:  # noqa: F811
    reading, go_on = threading.Event(), threading.Event()

    class Slow:
        change_mark = b""

        def read(self, work: Callable[[Connection], Any]) -> Any:
            if work is read_steps:
                reading.set()
                assert go_on.wait(10)
            return store.read(work)

    mirror = SalesStatusMirror(Slow())
    refreshes = threading.Thread(target=mirror.refresh)
    refreshes.start()
    assert reading.wait(10)
    mirror.add([outcome_record("d", "L1", "won")])  # returns while the store is still read
    assert mirror.get("L1", NEVER) == SalesStatus("won", MOMENT_MS)
    go_on.set()
    refreshes.join()


def test_an_erased_lead_is_forgotten_within_a_minute(store: Store) -> None:  # noqa: F811
    clock = Clock(0.0)
    store_records(store, outcome_record("d", "A", "won"), outcome_record("e", "B", "won"))
    mirror = SalesStatusMirror(store, clock)
    mirror.refresh()
    store.forget(["A"])
    clock.now = RECOUNT_SECONDS
    mirror.refresh()
    assert mirror.get("A", MOMENT_MS + 1) is None
    assert mirror.get("B", MOMENT_MS + 1) == SalesStatus("won", MOMENT_MS)


def test_a_replay_sees_no_later_step_and_a_clock_ahead_counts_now(store: Store) -> None:  # noqa: F811
    mirror = SalesStatusMirror(store)
    mirror.add([outcome_record("d", "A", "lost", MOMENT_MS + 60_000)])
    assert mirror.get("A", MOMENT_MS, live=True) == SalesStatus("lost", MOMENT_MS + 60_000)
    assert mirror.get("A", MOMENT_MS, live=False) is None


# The service


@pytest.fixture
def app(tmp_path: Path):  # type: ignore[no-untyped-def]
    with small_app(tmp_path, lambda: MOMENT_MS) as service_app:
        yield service_app


HOT = {"lead_id": "H", "activities": [{"type": "quote", "at": iso(MOMENT_MS - DAY)}]}


def score_lead(app: App, body: object = HOT, **query: str) -> dict[str, object]:
    answer = app.post("/v1/score", body, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def send_hot_lead(app: App) -> None:
    app.post("/v1/activities", {"lead_id": "H", "type": "quote", "at": iso(MOMENT_MS - DAY)})


@pytest.mark.parametrize(
    ("outcome", "word", "ja"), [("won", "Won", "成約済み"), ("lost", "Lost", "失注済み")]
)
def test_nobody_is_told_to_call_a_closed_lead(app: App, outcome: str, word: str, ja: str) -> None:
    send_hot_lead(app)
    assert score_lead(app)["action"]["kind"] == "call"  # type: ignore[index]
    closed = {"lead_id": "H", "outcome": outcome, "closed_at": iso(MOMENT_MS - 3_600_000)}
    assert app.post("/v1/outcomes", closed).status_code == 201
    for body in (HOT, {"lead_id": "H"}):
        answer = score_lead(app, body)
        assert (answer["score"], answer["stage"], answer["decided_by"]) == (80, "hot", "trigger")
        assert answer["closed"] == {"outcome": outcome, "at": iso(MOMENT_MS - 3_600_000)}
        action = answer["action"]
        assert isinstance(action, dict)
        assert (action["kind"], action["deadline"], action["prompt"]) == ("none", None, None)
        assert "no sales call" in action["text"]
        assert action["text"].startswith(word)
        assert ja in score_lead(app, body, lang="ja")["action"]["text"]  # type: ignore[index]
    batch = app.post("/v1/score/batch", {"leads": [HOT, {**HOT, "lead_id": "O"}]}).json()
    kinds = [result["answer"]["action"]["kind"] for result in batch["results"]]
    assert kinds == ["none", "call"]
    assert app.get("/v1/hot").json()["leads"][0]["lead_id"] == "O"


def test_a_replay_before_the_close_is_of_an_open_lead(app: App) -> None:
    send_hot_lead(app)
    app.post("/v1/outcomes", {"lead_id": "H", "outcome": "won", "closed_at": iso(MOMENT_MS - 3_600_000)})
    before = score_lead(app, {"lead_id": "H"}, as_of=iso(MOMENT_MS - 7_200_000))
    assert (before["closed"], before["action"]["kind"]) == (None, "call")  # type: ignore[index]


def test_sales_go_on_with_an_accepted_lead_at_the_date_that_they_told(app: App) -> None:
    send_hot_lead(app)
    score_lead(app, {"lead_id": "H"})
    app.post("/v1/handovers", {"lead_id": "H", "step": "accepted", "at": iso(MOMENT_MS - 1000), "by": "Abe"})
    action = score_lead(app, {"lead_id": "H"})["action"]
    assert isinstance(action, dict)
    assert (action["kind"], action["owner"], action["deadline"]) == ("follow_up", "field_sales", None)
    for days in (2, 3):  # the newest word holds, also where it is later
        due = MOMENT_MS + days * DAY
        step = {"lead_id": "H", "step": "next_action", "at": iso(MOMENT_MS - DAY // days), "due_at": iso(due)}
        assert app.post("/v1/handovers", step).status_code == 201
        assert score_lead(app, {"lead_id": "H"})["action"]["deadline"] == iso(due)  # type: ignore[index]
    (listed,) = app.get("/v1/hot").json()["leads"]
    assert (listed["action"], listed["deadline"]) == ("follow_up", iso(MOMENT_MS + 3 * DAY))
    assert listed["text"].startswith("Accepted by sales")
    assert not listed["overdue"]


def test_nobody_calls_an_excluded_lead(app: App) -> None:
    answer = score_lead(app, {"lead_id": "R", "attributes": {"channel": "rival"}})
    assert (answer["decided_by"], answer["stage"]) == ("exclusion", "cold")
    assert answer["action"]["kind"] == "none"  # type: ignore[index]
    assert answer["action"]["text"] == "Never hot: no sales call."  # type: ignore[index]
