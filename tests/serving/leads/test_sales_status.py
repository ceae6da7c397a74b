"""What sales did about leads, in memory: closed deals and next actions, added at once, corrected, erased."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import NEVER, iso
from scoring.decision.sales_status import Standing, Step, standing_of
from serving.leads.sales_status import LOOK_THROUGH_SECONDS, Done, Steps
from serving.store.records import Record
from serving.store.store import Store
from tests.helpers.service_app import App, small_app
from tests.helpers.stores import AT, opened, record, server, store, url  # noqa: F401

DAY = 86_400_000


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def kept(store: Store, *records: Record) -> None:  # noqa: F811
    store.accept(records).result(10)


def outcome(key: str, lead_id: str, what: str, at: int = AT, version: int = 1) -> Record:
    return record("outcomes", key, at, version, lead_id, outcome=what)


def planned(key: str, lead_id: str, due: int, at: int = AT, version: int = 1) -> Record:
    return record("handovers", key, at, version, lead_id, step="next_action", due_at=due)


def test_a_lead_stands_where_its_newest_steps_before_the_moment_say() -> None:
    steps = [
        Step(30, "next_action", 90),
        Step(10, "lost"),
        Step(20, "won"),
        Step(5, "next_action", 7),
    ]
    assert standing_of(steps, 5) is None
    assert standing_of(steps, 6) == Standing(next_action=7)
    assert standing_of(steps, 11) == Standing("lost", 10, 7)
    assert standing_of(steps, 21) == Standing("won", 20, 7)
    assert standing_of(steps, NEVER) == Standing("won", 20, 90)


def test_the_newest_contact_counts_and_alone_closes_nothing() -> None:
    steps = [Step(20, "first_contact"), Step(10, "first_contact")]
    assert standing_of(steps, 10) is None
    assert standing_of(steps, 11) == Standing(contacted=10)
    assert standing_of([*steps, Step(15, "won")], NEVER) == Standing("won", 15, contacted=20)


def test_a_contact_is_known_at_once_and_read_again(store: Store) -> None:  # noqa: F811
    told, done = record("handovers", "c", AT, lead_id="A", step="first_contact"), Done(store)
    done.add([told])
    assert done.of("A", AT + 1) == Standing(contacted=AT)
    kept(store, told)
    again = Done(store)
    again.refresh()
    assert again.of("A", AT + 1) == Standing(contacted=AT)


@given(
    st.lists(st.builds(Step, st.integers(0, 9), st.sampled_from(["won", "lost"]))),
    st.integers(0, 10),
)
def test_nothing_after_the_moment_counts(steps: list[Step], until: int) -> None:
    assert standing_of(steps, until) == standing_of([s for s in steps if s.at < until], until)


def test_what_came_is_read_once_and_corrections_take_its_place(store: Store) -> None:  # noqa: F811
    kept(store, outcome("d1", "A", "lost"), outcome("d2", "B", "won"), planned("s1", "C", AT + DAY))
    done = Done(store)
    done.refresh()
    assert done.among(["A", "B", "C", "D"], AT + 1) == {
        "A": Standing("lost", AT),
        "B": Standing("won", AT),
        "C": Standing(next_action=AT + DAY),
    }
    kept(store, outcome("d1", "A", "won", AT + 5, 2), outcome("d2", "Z", "won", AT, 2))
    kept(store, planned("s2", "C", AT + 2 * DAY, AT + 1), outcome("d3", "D", "lost"))
    done.refresh()
    assert done.among(["A", "B", "C", "D", "Z"], AT + 9) == {
        "A": Standing("won", AT + 5),
        "C": Standing(next_action=AT + 2 * DAY),
        "D": Standing("lost", AT),
        "Z": Standing("won", AT),
    }
    afresh = Done(store)
    afresh.refresh()
    assert {k: sorted(v) for k, v in afresh._by_lead.items() if v} == {
        k: sorted(v) for k, v in done._by_lead.items() if v
    }


def test_what_was_just_stored_counts_at_once_and_is_not_counted_twice(store: Store) -> None:  # noqa: F811
    done = Done(store)
    done.refresh()
    told = outcome("d", "A", "won")
    kept(store, told)
    done.add([told, record("activities", "a", type="visit")])
    assert done.of("A", AT + 1) == Standing("won", AT)
    done.refresh()
    assert done._by_lead == {"A": (Step(AT, "won"),)}


def test_a_version_that_comes_after_its_correction_does_not_count(store: Store) -> None:  # noqa: F811
    clock = Clock()
    done = Done(store, clock)
    kept(store, outcome("d", "L1", "lost", version=2))
    done.refresh()
    kept(store, outcome("d", "L1", "won"))
    done.refresh()
    assert done.of("L1", NEVER) == Standing("lost", AT)
    clock.now += LOOK_THROUGH_SECONDS
    done.refresh()
    assert done.of("L1", NEVER) == Standing("lost", AT)


def test_nobody_waits_while_the_store_is_read(store: Store) -> None:  # noqa: F811
    reading, go_on = threading.Event(), threading.Event()

    class Slow:
        steps_newest, steps_count = store.steps_newest, store.steps_count

        def steps(self, after: tuple[int, ...] | None = None) -> Steps:
            reading.set()
            assert go_on.wait(10)
            return store.steps(after)

    done = Done(Slow())
    refreshes = threading.Thread(target=done.refresh)
    refreshes.start()
    assert reading.wait(10)
    done.add([outcome("d", "L1", "won")])  # returns while the store is still read
    assert done.of("L1", NEVER) == Standing("won", AT)
    go_on.set()
    refreshes.join()


def test_an_erased_lead_is_forgotten_within_a_minute(store: Store) -> None:  # noqa: F811
    clock = Clock()
    kept(store, outcome("d", "A", "won"), outcome("e", "B", "won"))
    done = Done(store, clock)
    done.refresh()
    store.forget("A")
    clock.now = LOOK_THROUGH_SECONDS
    done.refresh()
    assert done.of("A", AT + 1) is None
    assert done.of("B", AT + 1) == Standing("won", AT)


def test_a_replay_sees_no_later_step_and_a_clock_ahead_counts_now(store: Store) -> None:  # noqa: F811
    done = Done(store)
    done.add([outcome("d", "A", "lost", AT + 60_000)])
    assert done.of("A", AT, live=True) == Standing("lost", AT + 60_000)
    assert done.of("A", AT, live=False) is None


# The service


@pytest.fixture
def app(tmp_path: Path):  # type: ignore[no-untyped-def]
    with small_app(tmp_path, lambda: AT) as told:
        yield told


HOT = {"lead_id": "H", "activities": [{"type": "quote", "at": iso(AT - DAY)}]}


def scored(app: App, body: object = HOT, **told: str) -> dict[str, object]:
    answer = app.post("/v1/score", body, params=told)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def sent_hot(app: App) -> None:
    app.post("/v1/activities", {"lead_id": "H", "type": "quote", "at": iso(AT - DAY)})


@pytest.mark.parametrize(
    ("outcome", "word", "ja"), [("won", "Won", "成約済み"), ("lost", "Lost", "失注済み")]
)
def test_nobody_is_told_to_call_a_closed_lead(app: App, outcome: str, word: str, ja: str) -> None:
    sent_hot(app)
    assert scored(app)["action"]["kind"] == "call"  # type: ignore[index]
    closed = {"lead_id": "H", "outcome": outcome, "closed_at": iso(AT - 3_600_000)}
    assert app.post("/v1/outcomes", closed).status_code == 201
    for body in (HOT, {"lead_id": "H"}):
        told = scored(app, body)
        assert (told["score"], told["stage"], told["decided_by"]) == (80, "hot", "trigger")
        assert told["closed"] == {"outcome": outcome, "at": iso(AT - 3_600_000)}
        action = told["action"]
        assert isinstance(action, dict)
        assert (action["kind"], action["deadline"], action["prompt"]) == ("none", None, None)
        assert "no sales call" in action["text"]
        assert action["text"].startswith(word)
        assert ja in scored(app, body, lang="ja")["action"]["text"]  # type: ignore[index]
    batch = app.post("/v1/score/batch", {"leads": [HOT, {**HOT, "lead_id": "O"}]}).json()
    kinds = [each["answer"]["action"]["kind"] for each in batch["results"]]
    assert kinds == ["none", "call"]
    assert app.get("/v1/hot").json()["leads"][0]["lead_id"] == "O"


def test_a_replay_before_the_close_is_of_an_open_lead(app: App) -> None:
    sent_hot(app)
    app.post("/v1/outcomes", {"lead_id": "H", "outcome": "won", "closed_at": iso(AT - 3_600_000)})
    before = scored(app, {"lead_id": "H"}, as_of=iso(AT - 7_200_000))
    assert (before["closed"], before["action"]["kind"]) == (None, "call")  # type: ignore[index]


def test_sales_go_on_with_an_accepted_lead_at_the_date_that_they_told(app: App) -> None:
    sent_hot(app)
    scored(app, {"lead_id": "H"})
    app.post("/v1/handovers", {"lead_id": "H", "step": "accepted", "at": iso(AT - 1000), "by": "Abe"})
    action = scored(app, {"lead_id": "H"})["action"]
    assert isinstance(action, dict)
    assert (action["kind"], action["owner"], action["deadline"]) == (
        "follow_up",
        "field_sales",
        None,
    )
    for days in (2, 3):  # the newest word holds, also where it is later
        due = AT + days * DAY
        step = {
            "lead_id": "H",
            "step": "next_action",
            "at": iso(AT - DAY // days),
            "due_at": iso(due),
        }
        assert app.post("/v1/handovers", step).status_code == 201
        assert scored(app, {"lead_id": "H"})["action"]["deadline"] == iso(due)  # type: ignore[index]
    (listed,) = app.get("/v1/hot").json()["leads"]
    assert (listed["action"], listed["deadline"]) == ("follow_up", iso(AT + 3 * DAY))
    assert listed["text"].startswith("Accepted by sales")
    assert not listed["overdue"]


def test_nobody_calls_an_excluded_lead(app: App) -> None:
    told = scored(app, {"lead_id": "R", "attributes": {"channel": "rival"}})
    assert (told["decided_by"], told["stage"]) == ("exclusion", "cold")
    assert told["action"]["kind"] == "none"  # type: ignore[index]
    assert told["action"]["text"] == "Never hot: no sales call."  # type: ignore[index]
