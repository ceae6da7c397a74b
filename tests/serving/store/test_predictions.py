"""Predictions, present scores and the call list: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.clock import now_ms
from serving.store.records import Prediction
from serving.store.store import Store
from tests.helpers.service.stores import (
    LATER_MS,
    MOMENT_MS,
    add_predictions,
    add_records,
    hot,
    prediction,
    record,
)


def test_scores_come_back_as_they_were_stored_newest_first(store: Store) -> None:
    predictions = [
        prediction(as_of=MOMENT_MS + 1, fallback="no_model", model_version=None, probability=None),
        hot(as_of=MOMENT_MS + 2, deadline=MOMENT_MS + 99, detail='{"reasons":["見積"]}'),
        prediction(as_of=MOMENT_MS, replay=True),
    ]
    add_predictions(store, *predictions, prediction("L2"))
    expected = [predictions[1]._asdict(), predictions[0]._asdict(), predictions[2]._asdict()]
    assert store.scores("L1") == expected
    assert store.scores("L1", limit=1) == expected[:1]
    assert store.scores("nobody") == []


def test_an_empty_list_of_predictions_is_stored_at_once(store: Store) -> None:
    assert store.add_predictions([]).result() == "stored"


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 1000])
def test_any_number_of_predictions_is_stored(store: Store, count: int) -> None:
    add_predictions(store, *(hot(f"L{i}", MOMENT_MS + i) for i in range(count)))
    assert len(store.call_list(None, 10_000, LATER_MS)) == count
    assert store.scores(f"L{count - 1}")[0]["as_of"] == MOMENT_MS + count - 1


def test_the_newest_moment_is_the_present_score(store: Store) -> None:
    add_predictions(store, hot(as_of=MOMENT_MS + 5, score=95), hot(as_of=MOMENT_MS + 1, score=81))
    add_predictions(store, hot(as_of=MOMENT_MS + 2, score=82))
    assert [row.score for row in store.call_list(None, 10, LATER_MS)] == [95]
    add_predictions(store, hot(as_of=MOMENT_MS + 5, score=85))  # the same moment, stored later
    assert [row.score for row in store.call_list(None, 10, LATER_MS)] == [85]


def test_a_replay_is_no_present_score(store: Store) -> None:
    add_predictions(store, hot(replay=True))
    assert store.call_list(None, 10, LATER_MS) == []
    add_predictions(store, hot(as_of=MOMENT_MS), prediction(as_of=MOMENT_MS + 9, replay=True))
    assert [row.as_of for row in store.call_list(None, 10, LATER_MS)] == [MOMENT_MS]


def test_scoring_again_moves_neither_stage_nor_deadline(store: Store) -> None:
    add_predictions(store, prediction(as_of=MOMENT_MS, deadline=MOMENT_MS + 1))
    add_predictions(store, hot(as_of=MOMENT_MS + 10, deadline=MOMENT_MS + 100))
    add_predictions(
        store, hot(as_of=MOMENT_MS + 20, deadline=MOMENT_MS + 200), hot(as_of=MOMENT_MS + 30, deadline=None)
    )
    (row,) = store.call_list(None, 10, LATER_MS)
    assert (row.as_of, row.stage_since, row.deadline) == (MOMENT_MS + 30, MOMENT_MS + 10, MOMENT_MS + 100)
    add_predictions(store, hot(as_of=MOMENT_MS + 40, deadline=MOMENT_MS + 90))  # an inquiry: sooner
    assert store.call_list(None, 10, LATER_MS)[0].deadline == MOMENT_MS + 90
    add_predictions(
        store, prediction(as_of=MOMENT_MS + 50), hot(as_of=MOMENT_MS + 60, deadline=MOMENT_MS + 300)
    )
    (row,) = store.call_list(None, 10, LATER_MS)
    assert (row.stage_since, row.deadline) == (MOMENT_MS + 60, MOMENT_MS + 300)


def test_a_clock_that_was_ahead_does_not_freeze_a_lead(store: Store) -> None:
    now = now_ms()
    ahead = now + 400 * 86_400_000
    add_predictions(store, hot(as_of=ahead, deadline=ahead))
    add_predictions(store, hot(as_of=now, score=88, deadline=now + 5))
    (row,) = store.call_list(None, 10, LATER_MS)
    assert (row.score, row.as_of, row.stage_since, row.deadline) == (88, now, now, now + 5)


def test_the_call_list_is_by_deadline_then_score(store: Store) -> None:
    add_predictions(
        store,
        hot("none high", deadline=None, score=99),
        hot("later", deadline=MOMENT_MS + 9, score=99),
        hot("soon low", deadline=MOMENT_MS + 1, score=80),
        hot("soon high", deadline=MOMENT_MS + 1, score=90),
        hot("none low", deadline=None, score=80, owner="inside_sales"),
        prediction("cold", deadline=MOMENT_MS),
    )
    names = ["soon high", "soon low", "later", "none high", "none low"]
    assert [row.lead_id for row in store.call_list(None, 10, LATER_MS)] == names
    assert [row.lead_id for row in store.call_list(None, 2, LATER_MS)] == names[:2]
    assert [row.lead_id for row in store.call_list("inside_sales", 10, LATER_MS)] == ["none low"]
    assert store.call_list("nobody", 10, LATER_MS) == []


def test_closed_leads_are_not_to_be_called(store: Store) -> None:
    add_predictions(store, *(hot(name) for name in ("open", "won", "lost", "reopened", "mistaken")))
    add_records(
        store,
        record("outcomes", "1", lead_id="won", outcome="won"),
        record("outcomes", "2", lead_id="lost", outcome="lost"),
        record("outcomes", "3", lead_id="reopened", outcome="won"),
        record("outcomes", "3", version=2, lead_id="someone else", outcome="won"),
        record("outcomes", "4", lead_id="mistaken", outcome="won"),
        record("outcomes", "4", version=2, lead_id="mistaken", outcome="open"),
    )
    lead_ids = {row.lead_id for row in store.call_list(None, 10, LATER_MS)}
    assert lead_ids == {"open", "reopened", "mistaken"}


def test_the_call_list_shows_the_steps_of_sales(store: Store) -> None:
    add_predictions(store, hot(as_of=MOMENT_MS + 10), hot("L2", as_of=MOMENT_MS + 10))
    add_records(
        store,
        record("handovers", "1", MOMENT_MS + 5, step="first_contact"),
        record("handovers", "2", MOMENT_MS + 20, step="first_contact"),
        record("handovers", "3", MOMENT_MS + 30, step="first_contact"),
        record("handovers", "4", MOMENT_MS + 40, step="hearing"),
        record("handovers", "5", MOMENT_MS + 99, step="next_action"),
    )
    first, second = sorted(store.call_list(None, 10, MOMENT_MS + 50), key=lambda row: row.lead_id)
    assert (first.first_contact_at, first.last_step) == (MOMENT_MS + 20, "hearing")
    assert (second.first_contact_at, second.last_step) == (None, None)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.builds(
                prediction,
                lead_id=st.sampled_from(["A", "B"]),
                as_of=st.integers(MOMENT_MS, MOMENT_MS + 5),
                replay=st.booleans(),
                stage=st.sampled_from(["hot", "cold"]),
                deadline=st.none() | st.integers(MOMENT_MS, MOMENT_MS + 20),
                score=st.integers(0, 100),
            ),
            max_size=6,
        ),
        max_size=4,
    )
)
def test_present_scores_do_not_depend_on_the_groups(store: Store, groups: list[list[Prediction]]) -> None:
    """However predictions are grouped, the result is that of a fold over them."""
    for name in ("A", "B"):
        store.forget([name], may_return=True)
    present: dict[str, tuple[Prediction, int, int | None]] = {}
    for incoming in (p for group in groups for p in group if not p.replay):
        before = present.get(incoming.lead_id)
        if before is None or (incoming.as_of >= before[0].as_of and incoming.stage != before[0].stage):
            present[incoming.lead_id] = (incoming, incoming.as_of, incoming.deadline)
        elif incoming.as_of >= before[0].as_of:
            deadlines = [d for d in (before[2], incoming.deadline) if d is not None]
            present[incoming.lead_id] = (incoming, before[1], min(deadlines, default=None))
    for group in groups:
        add_predictions(store, *group)
    rows = {
        row.lead_id: (row.score, row.stage_since, row.deadline) for row in store.call_list(None, 9, LATER_MS)
    }
    expected = {
        name: (p.score, since, deadline) for name, (p, since, deadline) in present.items() if p.stage == "hot"
    }
    assert rows == expected
