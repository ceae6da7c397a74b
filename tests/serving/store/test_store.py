"""What the store keeps and gives back: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.clock import NEVER, now_ms
from features.errors import SettingsError
from scoring.decision.overrides import Override
from serving.store.backends.sqlite_files import file_contains
from serving.store.direct_writer import FEW
from serving.store.records import KINDS, Prediction
from serving.store.store import InvalidRecord, Store, database_from_url
from tests.helpers.stores import (
    MOMENT_MS,
    Server,
    activity,
    hot,
    open_store,
    prediction,
    record,
    server,
    store,
    url,
)

__all__ = ["server", "store", "url"]
ROOT = Path(__file__).parents[3]


def accepted(store: Store, *records: Any) -> list[str]:
    return list(store.add_records(records).result())


def remembered(store: Store, *predictions: Prediction) -> None:
    assert store.add_predictions(predictions).result() == "stored"


# Accepting


def test_the_outcome_of_each_record_stands_at_its_place(store: Store) -> None:
    assert accepted(store, activity("a"), activity("b")) == ["stored", "stored"]
    outcomes = accepted(
        store,
        activity("c"),
        activity("a"),
        activity("b", value=9),
        activity("a", version=2, value=1),
    )
    assert outcomes == ["stored", "known", "conflict", "stored"]


def test_the_same_key_twice_in_one_list(store: Store) -> None:
    outcomes = accepted(store, activity("a"), activity("a"), activity("a", value=1), activity("b"))
    assert outcomes == ["stored", "known", "conflict", "stored"]
    assert accepted(store, activity("a"), activity("a", value=1)) == ["known", "conflict"]


def test_a_key_belongs_to_its_kind(store: Store) -> None:
    outcomes = accepted(store, *(record(kind, "the same") for kind in KINDS))
    assert outcomes == ["stored"] * len(KINDS)


def test_nothing_to_accept_is_accepted(store: Store) -> None:
    assert accepted(store) == []


def test_many_at_once_are_classified_as_one_after_another(store: Store) -> None:
    """Requests that wait together are one group, in which the same key may come twice."""
    futures = [store.add_records([activity(str(i % 50), value=i % 3)]) for i in range(600)]
    outcomes = [future.result()[0] for future in futures]
    assert outcomes[:50] == ["stored"] * 50
    assert all(outcomes[i] == ("known" if i % 3 == i % 50 % 3 else "conflict") for i in range(50, 600))
    lead = store.lead("L1")
    assert lead is not None
    assert len(lead.events) == 50


def test_two_processes_that_send_the_same_keys(store: Store, url: str, tmp_path: Path) -> None:
    """Every key is stored by one of them, and known to the other."""
    code = (
        "import sys; from pathlib import Path; from serving.store.store import Store, StoreUnavailable\n"
        "from serving.store.records import Record\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2])); counted = {}\n"
        "sys.stdin.readline()\n"
        "keys = list(range(400)) if sys.argv[3] == '0' else list(range(399, -1, -1))\n"
        "for start in range(0, 400, 20):\n"
        "    rs = [Record('activities', str(k), 1, 'L1', k, {'type': 'x'}) for k in keys[start:start + 20]]\n"
        "    while True:\n"
        "        try: told = store.accept(rs).result()\n"
        "        except StoreUnavailable: continue\n"
        "        break\n"
        "    for outcome in told: counted[outcome] = counted.get(outcome, 0) + 1\n"
        "print(counted.get('stored', 0), counted.get('known', 0), counted.get('conflict', 0))\n"
        "store.close()\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(tmp_path / "spool"), str(i)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for i in range(2)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [list(map(int, p.communicate(timeout=120)[0].split())) for p in started]
    assert sum(stored for stored, _, _ in counts) == 400, counts
    assert sum(known_count for _, known_count, _ in counts) == 400, counts
    lead = store.lead("L1")
    assert lead is not None
    assert [event[1] for event in lead.events] == list(range(400))


def test_a_record_that_cannot_be_stored_is_refused_whole(store: Store) -> None:
    with pytest.raises(InvalidRecord, match=r"activities\.type"):
        store.add_records([activity("good"), activity("bad", type="x\0y")]).result()
    assert accepted(store, activity("good")) == ["stored"]


# A lead


def test_a_lead_is_told_with_all_its_history(store: Store) -> None:
    accepted(
        store,
        record("leads", "l1", MOMENT_MS, attributes={"size": 10, "city": "Kyoto"}, created_at=MOMENT_MS - 9),
        record("leads", "l3", MOMENT_MS + 20, attributes={"city": None}),
        record(
            "leads", "l2", MOMENT_MS + 10, attributes={"size": 20.5}, account="acm", created_at=MOMENT_MS - 99
        ),
    )
    accepted(
        store,
        record(
            "leads",
            "l2",
            MOMENT_MS + 10,
            version=2,
            attributes={"size": 30},
            account="acme",
            created_at=MOMENT_MS,
        ),
    )
    accepted(
        store, activity("a2", MOMENT_MS + 2, value=0.1 + 0.2), activity("a1", MOMENT_MS + 1, type="mail")
    )
    accepted(
        store,
        record("handovers", "h1", MOMENT_MS + 3, step="hearing", hearing={"budget": "5 M", "need": "yes"}),
        record("handovers", "h2", MOMENT_MS + 2, step="hearing", hearing={"budget": "none"}),
        record("handovers", "h3", MOMENT_MS + 4, step="first_contact"),
        record("handovers", "h4", MOMENT_MS + 1, step="first_contact"),
    )
    lead = store.lead("L1")
    assert lead is not None
    assert (lead.lead_id, lead.created, lead.account) == ("L1", MOMENT_MS - 9, "acme")
    assert sorted(lead.changes[:2]) == [("city", MOMENT_MS, "Kyoto"), ("size", MOMENT_MS, 10)]
    assert lead.changes[2:] == [("size", MOMENT_MS + 10, 30), ("city", MOMENT_MS + 20, None)]
    assert [event[:2] for event in lead.events] == [("mail", MOMENT_MS + 1), ("page", MOMENT_MS + 2)]
    assert math.isnan(lead.events[0][2])
    assert lead.events[1][2] == 0.1 + 0.2
    assert lead.account_events == lead.events
    assert lead.hearings[0] == ("budget", MOMENT_MS + 2, "none")
    assert sorted(lead.hearings[1:]) == [("budget", MOMENT_MS + 3, "5 M"), ("need", MOMENT_MS + 3, "yes")]
    assert lead.first_contacts == [MOMENT_MS + 1, MOMENT_MS + 4]


def test_activities_of_equal_times_stay_in_the_order_told(store: Store) -> None:
    accepted(store, *(activity(f"z{9 - i}", value=i) for i in range(10)))
    lead = store.lead("L1")
    assert lead is not None
    assert [event[2] for event in lead.events] == list(range(10))


def test_a_lead_nobody_told_of_is_not_known(store: Store) -> None:
    accepted(store, activity("a"))
    assert store.lead("L2") is None
    assert store.leads([]) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_lead_is_known_from_the_first_that_was_heard_of_it(store: Store, kind: Any) -> None:
    accepted(store, record(kind, "later", MOMENT_MS + 5), record(kind, "first", MOMENT_MS))
    lead = store.lead("L1")
    assert lead is not None
    assert (lead.created, lead.account, lead.account_events) == (MOMENT_MS, None, None)


def test_account_events_are_those_of_all_leads_that_are_of_it_now(store: Store) -> None:
    accepted(
        store,
        record("leads", "1", account="acme"),
        record("leads", "2", account="acme", lead_id="L2"),
        record("leads", "3", account="acme", lead_id="moved"),
        record("leads", "4", MOMENT_MS + 1, account="other", lead_id="moved"),
        record("leads", "5", MOMENT_MS + 2, attributes={"x": 1}, lead_id="L2"),
        activity("a", MOMENT_MS + 3),
        activity("b", MOMENT_MS + 2, lead_id="L2"),
        activity("c", MOMENT_MS + 1, lead_id="moved"),
    )
    leads = store.leads(["L1", "L2", "moved", "nobody", "L1"])
    assert set(leads) == {"L1", "L2", "moved"}
    times = {name: [e[1] for e in lead.account_events or ()] for name, lead in leads.items()}
    assert times == {
        "L1": [MOMENT_MS + 2, MOMENT_MS + 3],
        "L2": [MOMENT_MS + 2, MOMENT_MS + 3],
        "moved": [MOMENT_MS + 1],
    }


def test_a_corrected_account_takes_the_place_of_the_former_one(store: Store) -> None:
    accepted(
        store,
        record("leads", "1", account="acme"),
        record("leads", "2", account="acme", lead_id="L2"),
        record("leads", "2", version=2, lead_id="L2"),
        activity("a", MOMENT_MS + 1, lead_id="L2"),
    )
    leads = store.leads(["L1", "L2"])
    assert (leads["L1"].account_events, leads["L2"].account) == ([], None)


def test_a_replay_sees_no_account_that_was_told_later(store: Store) -> None:
    accepted(
        store,
        record("leads", "1", account="acme"),
        record("leads", "2", MOMENT_MS + 10, account="other"),
        record("leads", "3", MOMENT_MS + 5, account="acme", lead_id="L2"),
        activity("b", MOMENT_MS + 2, lead_id="L2"),
    )
    leads = {
        before: store.lead("L1", before)
        for before in (MOMENT_MS, MOMENT_MS + 1, MOMENT_MS + 6, MOMENT_MS + 10, MOMENT_MS + 11, None)
    }
    accounts = [(lead.account, lead.account_events) for lead in leads.values() if lead is not None]
    without_colleague, together = ("acme", []), ("acme", [("page", MOMENT_MS + 2)])
    assert [(name, _times(events)) for name, events in accounts] == [
        (None, None),
        without_colleague,
        together,
        together,
        ("other", []),
        ("other", []),
    ]


def _times(events: Any) -> Any:
    return None if events is None else [event[:2] for event in events]


def test_many_colleagues_are_asked_for_in_parts(store: Store) -> None:
    accepted(
        store,
        *(record("leads", str(i), lead_id=f"L{i}", account="acme") for i in range(1_200)),
        *(activity(f"a{i}", lead_id=f"L{i}") for i in range(1_200)),
    )
    parameter_counts: list[int] = []
    from sqlalchemy import event

    engine = store._database.engine
    event.listen(engine, "before_cursor_execute", lambda *told: parameter_counts.append(len(told[3])))
    lead = store.lead("L1")
    assert lead is not None
    assert len(lead.account_events or ()) == 1_200
    assert max(parameter_counts) <= 1_000


def test_many_leads_take_few_queries(store: Store) -> None:
    """The same for one lead and for a thousand."""
    accepted(
        store,
        *(record("leads", str(i), lead_id=f"L{i}", account=f"a{i % 9}") for i in range(300)),
        *(activity(f"a{i}", lead_id=f"L{i}", value=i) for i in range(300)),
    )
    statements: list[str] = []
    engine = store._database.engine
    from sqlalchemy import event

    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    leads = store.leads([f"L{i}" for i in range(300)])
    assert len(leads) == 300
    assert leads["L7"].events == [("page", MOMENT_MS, 7.0)]
    many = len(statements)
    store.leads(["L1"])
    assert many == len(statements) - many


def test_more_threads_than_connections_read_at_once(url: str, tmp_path: Path) -> None:
    """None closes what another reads by; in a process of its own, for that would end it."""
    with open_store(url, tmp_path / "spool") as store:
        remembered(store, hot("A"), hot("B", score=95))
    code = (
        "import sys, threading\n"
        "from serving.store.store import database\n"
        "from serving.store.reads import hot\n"
        "sys.setswitchinterval(1e-4)\n"
        "told = []\n"
        "for _ in range(20):\n"
        "    opened, start = database(sys.argv[1]), threading.Barrier(24)\n"
        "    def read():\n"
        "        start.wait()\n"
        "        for _ in range(5):\n"
        "            told.append(len(opened.read(lambda at: hot(at, None, 10, 0))))\n"
        "    threads = [threading.Thread(target=read) for _ in range(24)]\n"
        "    for thread in threads: thread.start()\n"
        "    for thread in threads: thread.join()\n"
        "    opened.close()\n"
        "assert told == [2] * 20 * 24 * 5, len(told)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, url], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_the_highest_version_of_a_key_counts(store: Store) -> None:
    accepted(store, activity("a", version=2, value=2), record("handovers", "h", step="first_contact"))
    accepted(store, activity("a", value=1), record("handovers", "h", version=3, step="next_action"))
    lead = store.lead("L1")
    assert lead is not None
    assert lead.events == [("page", MOMENT_MS, 2.0)]
    assert lead.first_contacts == []


def test_a_correction_may_move_something_to_another_lead(store: Store) -> None:
    accepted(store, activity("a"), activity("a", version=2, lead_id="L2"))
    leads = store.leads(["L1", "L2"])
    assert leads["L1"].events == []
    assert len(leads["L2"].events) == 1


def test_what_people_said(store: Store) -> None:
    accepted(
        store,
        record(
            "overrides", "o", MOMENT_MS, verdict="hot", reason="asked", by="Ito", expires_at=MOMENT_MS + 9
        ),
        record("overrides", "p", MOMENT_MS + 1, verdict="not_hot", reason="student", by="Ito", lead_id="L2"),
        record("overrides", "p", MOMENT_MS + 1, 2, verdict="not_hot", reason="rival", by="Ito", lead_id="L2"),
        record("handovers", "h", MOMENT_MS + 2, step="handed_over", by="Abe"),
        record("handovers", "i", MOMENT_MS + 3, step="accepted", by="Abe"),
        record("handovers", "j", MOMENT_MS + 4, step="sent_back", by="Abe", reason="no budget"),
    )
    assert list(store.overrides()) == [
        Override("L1", "hot", "asked", "Ito", MOMENT_MS, MOMENT_MS + 9),
        Override("L2", "not_hot", "rival", "Ito", MOMENT_MS + 1, NEVER),
        Override("L1", "accepted", "", "Abe", MOMENT_MS + 3, NEVER),
        Override("L1", "sent_back", "no budget", "Abe", MOMENT_MS + 4, NEVER),
    ]


def test_the_stamp_changes_with_what_is_said_and_erased(store: Store) -> None:
    stamps = [store.overrides_version()]
    accepted(store, record("overrides", "o", verdict="hot", reason="asked", by="Ito"))
    stamps.append(store.overrides_version())
    accepted(store, record("handovers", "i", lead_id="L2", step="accepted"))
    stamps.append(store.overrides_version())
    accepted(store, activity("a"))
    assert store.overrides_version() == stamps[-1]
    store.forget("L1")
    stamps.append(store.overrides_version())
    assert len(set(stamps)) == 4


def test_no_stamp_comes_twice_after_an_erasure(store: Store) -> None:
    for name in ("L1", "L2"):
        accepted(store, record("overrides", name, lead_id=name, verdict="hot", reason="x", by="Ito"))
    before = store.overrides_version()
    store.forget("L2")
    accepted(store, record("overrides", "L3", lead_id="L3", verdict="hot", reason="x", by="Ito"))
    assert store.overrides_version() != before


# Predictions and the call list


def test_scores_come_back_as_they_were_stored_newest_first(store: Store) -> None:
    predictions = [
        prediction(as_of=MOMENT_MS + 1, fallback="no_model", model_version=None, probability=None),
        hot(as_of=MOMENT_MS + 2, deadline=MOMENT_MS + 99, detail='{"reasons":["見積"]}'),
        prediction(as_of=MOMENT_MS, replay=True),
    ]
    remembered(store, *predictions, prediction("L2"))
    expected = [predictions[1]._asdict(), predictions[0]._asdict(), predictions[2]._asdict()]
    assert store.scores("L1") == expected
    assert store.scores("L1", limit=1) == expected[:1]
    assert store.scores("nobody") == []


def test_no_predictions_are_remembered_at_once(store: Store) -> None:
    assert store.add_predictions([]).result() == "stored"


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 1000])
def test_any_number_of_predictions_is_stored(store: Store, count: int) -> None:
    remembered(store, *(hot(f"L{i}", MOMENT_MS + i) for i in range(count)))
    assert len(store.call_list(None, 10_000, NEVER)) == count
    assert store.scores(f"L{count - 1}")[0]["as_of"] == MOMENT_MS + count - 1


def test_the_newest_moment_is_the_present_score(store: Store) -> None:
    remembered(store, hot(as_of=MOMENT_MS + 5, score=95), hot(as_of=MOMENT_MS + 1, score=81))
    remembered(store, hot(as_of=MOMENT_MS + 2, score=82))
    assert [row.score for row in store.call_list(None, 10, NEVER)] == [95]
    remembered(store, hot(as_of=MOMENT_MS + 5, score=85))  # as new, told later
    assert [row.score for row in store.call_list(None, 10, NEVER)] == [85]


def test_a_replay_is_no_present_score(store: Store) -> None:
    remembered(store, hot(replay=True))
    assert store.call_list(None, 10, NEVER) == []
    remembered(store, hot(as_of=MOMENT_MS), prediction(as_of=MOMENT_MS + 9, replay=True))
    assert [row.as_of for row in store.call_list(None, 10, NEVER)] == [MOMENT_MS]


def test_scoring_again_moves_neither_stage_nor_deadline(store: Store) -> None:
    remembered(store, prediction(as_of=MOMENT_MS, deadline=MOMENT_MS + 1))
    remembered(store, hot(as_of=MOMENT_MS + 10, deadline=MOMENT_MS + 100))
    remembered(
        store, hot(as_of=MOMENT_MS + 20, deadline=MOMENT_MS + 200), hot(as_of=MOMENT_MS + 30, deadline=None)
    )
    (row,) = store.call_list(None, 10, NEVER)
    assert (row.as_of, row.stage_since, row.deadline) == (MOMENT_MS + 30, MOMENT_MS + 10, MOMENT_MS + 100)
    remembered(store, hot(as_of=MOMENT_MS + 40, deadline=MOMENT_MS + 90))  # an inquiry: sooner
    assert store.call_list(None, 10, NEVER)[0].deadline == MOMENT_MS + 90
    remembered(store, prediction(as_of=MOMENT_MS + 50), hot(as_of=MOMENT_MS + 60, deadline=MOMENT_MS + 300))
    (row,) = store.call_list(None, 10, NEVER)
    assert (row.stage_since, row.deadline) == (MOMENT_MS + 60, MOMENT_MS + 300)


def test_a_clock_that_was_ahead_does_not_freeze_a_lead(store: Store) -> None:
    now = now_ms()
    ahead = now + 400 * 86_400_000
    remembered(store, hot(as_of=ahead, deadline=ahead))
    remembered(store, hot(as_of=now, score=88, deadline=now + 5))
    (row,) = store.call_list(None, 10, NEVER)
    assert (row.score, row.as_of, row.stage_since, row.deadline) == (88, now, now, now + 5)


def test_the_call_list_is_by_deadline_then_score(store: Store) -> None:
    remembered(
        store,
        hot("none high", deadline=None, score=99),
        hot("later", deadline=MOMENT_MS + 9, score=99),
        hot("soon low", deadline=MOMENT_MS + 1, score=80),
        hot("soon high", deadline=MOMENT_MS + 1, score=90),
        hot("none low", deadline=None, score=80, owner="inside_sales"),
        prediction("cold", deadline=MOMENT_MS),
    )
    names = ["soon high", "soon low", "later", "none high", "none low"]
    assert [row.lead_id for row in store.call_list(None, 10, NEVER)] == names
    assert [row.lead_id for row in store.call_list(None, 2, NEVER)] == names[:2]
    assert [row.lead_id for row in store.call_list("inside_sales", 10, NEVER)] == ["none low"]
    assert store.call_list("nobody", 10, NEVER) == []


def test_closed_leads_are_not_to_be_called(store: Store) -> None:
    remembered(store, *(hot(name) for name in ("open", "won", "lost", "reopened", "mistaken")))
    accepted(
        store,
        record("outcomes", "1", lead_id="won", outcome="won"),
        record("outcomes", "2", lead_id="lost", outcome="lost"),
        record("outcomes", "3", lead_id="reopened", outcome="won"),
        record("outcomes", "3", version=2, lead_id="someone else", outcome="won"),
        record("outcomes", "4", lead_id="mistaken", outcome="won"),
        record("outcomes", "4", version=2, lead_id="mistaken", outcome="open"),
    )
    lead_ids = {row.lead_id for row in store.call_list(None, 10, NEVER)}
    assert lead_ids == {"open", "reopened", "mistaken"}


def test_the_call_list_tells_what_was_done(store: Store) -> None:
    remembered(store, hot(as_of=MOMENT_MS + 10), hot("L2", as_of=MOMENT_MS + 10))
    accepted(
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
def test_present_scores_are_as_told_one_by_one(store: Store, groups: list[list[Prediction]]) -> None:
    """In whatever groups they come: the same as a plain fold over them."""
    for name in ("A", "B"):
        store.forget(name)
    present: dict[str, tuple[Prediction, int, int | None]] = {}
    for incoming in (p for group in groups for p in group if not p.replay):
        before = present.get(incoming.lead_id)
        if before is None or (incoming.as_of >= before[0].as_of and incoming.stage != before[0].stage):
            present[incoming.lead_id] = (incoming, incoming.as_of, incoming.deadline)
        elif incoming.as_of >= before[0].as_of:
            deadlines = [d for d in (before[2], incoming.deadline) if d is not None]
            present[incoming.lead_id] = (incoming, before[1], min(deadlines, default=None))
    for group in groups:
        remembered(store, *group)
    rows = {
        row.lead_id: (row.score, row.stage_since, row.deadline) for row in store.call_list(None, 9, NEVER)
    }
    expected = {
        name: (p.score, since, deadline) for name, (p, since, deadline) in present.items() if p.stage == "hot"
    }
    assert rows == expected


# Durability


def test_what_was_sent_is_flushed_and_predictions_need_not_be(url: str) -> None:
    db = database_from_url(url)
    db.create()
    query = "PRAGMA synchronous" if url.startswith("sqlite") else "SHOW synchronous_commit"
    expected = {True: 2, False: 1} if url.startswith("sqlite") else {True: "on", False: "off"}
    for durable, wanted in expected.items():
        connection = db.connect(durable)
        assert connection.cursor().execute(query).fetchone()[0] == wanted
        connection.close()
    db.close()


def test_the_writer_uses_the_durable_connection_for_what_was_sent(store: Store, url: str) -> None:
    """Asked on the very connections on which a record and a prediction were written."""
    accepted(store, activity("a"))
    remembered(store, *[prediction()] * (FEW + 1))
    query = "PRAGMA synchronous" if url.startswith("sqlite") else "SHOW synchronous_commit"
    ask = store._writer.run(
        lambda: {
            durable: connection.cursor().execute(query).fetchone()[0]
            for durable, connection in store._writer._connections.items()
        }
    )
    assert ask == ({True: 2, False: 1} if url.startswith("sqlite") else {True: "on", False: "off"})


def test_postgresql_flushes_even_where_the_server_was_told_not_to(server: Server) -> None:
    url = server.new()
    server.psql(f"ALTER DATABASE {url.split('/')[-1].split('?')[0]} SET synchronous_commit = off")
    db = database_from_url(url)
    connection = db.connect(durable=True)
    assert connection.execute("SHOW synchronous_commit").fetchone()[0] == "on"
    connection.close()
    db.close()


def test_sqlite_writes_beside_its_readers(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 's.db'}", tmp_path / "spool") as store:
        accepted(store, activity("a"))
        with sqlite3.connect(tmp_path / "s.db") as reader:
            assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM activities").fetchall()
            assert accepted(store, activity("b")) == ["stored"]
        reader.close()


# Erasing


def test_a_forgotten_lead_is_nowhere(store: Store) -> None:
    accepted(store, *(record(kind, "k") for kind in KINDS), activity("of another", lead_id="L2"))
    remembered(store, hot(), prediction(as_of=MOMENT_MS - 5, replay=True), hot("L2"))
    erased = store.forget("L1")
    assert erased == {**dict.fromkeys(KINDS, 1), "predictions": 2, "current_scores": 1, "spool": 0}
    assert store.lead("L1") is None
    assert store.scores("L1") == []
    assert [row.lead_id for row in store.call_list(None, 10, NEVER)] == ["L2"]
    assert sum(store.forget("L1").values()) == 0


def test_a_forgotten_lead_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    """Among enough others that pages were split, moved and written anew."""
    path, wanted = tmp_path / "s.db", "lead-to-be-forgotten"
    names = [f"lead-{i * 7919 % 4001:05d}" for i in range(4_000)]
    names[1000::500] = [wanted] * len(names[1000::500])
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        for turn in range(2):
            for start in range(0, len(names), 500):
                part = list(enumerate(names[start : start + 500], start + turn * 10_000))
                remembered(store, *(hot(name, MOMENT_MS + i, detail=f'{{"x":"{name}"}}') for i, name in part))
                accepted(store, *(activity(f"{name}/{i}", lead_id=name) for i, name in part))
        assert wanted.encode() in contents(path)
        store.forget(wanted)
        assert wanted.encode() not in contents(path)
        assert store.lead("lead-00000") is not None
        assert sum(1 for _ in store.call_list(None, 10_000, NEVER)) == len(set(names)) - 1


def contents(path: Path) -> bytes:
    """The bytes of the database and all files beside it that SQLite makes."""
    return b"".join(p.read_bytes() for p in sorted(path.parent.glob(f"{path.name}*")))


def test_traces_in_moved_pages_are_cleared(tmp_path: Path) -> None:
    """What SQLite's secure_delete does not reach: as if a split had left it in a free gap."""
    path, wanted = tmp_path / "s.db", b"lead-to-be-forgotten"
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        accepted(store, activity("a", lead_id=wanted.decode()))
        store._database.clear_free_pages("nothing")  # all is in the file now
        data = path.read_bytes()
        gap = data.index(bytes(200))  # unused bytes of some page
        path.write_bytes(data[: gap + 50] + wanted + data[gap + 50 + len(wanted) :])
        store.forget(wanted.decode())
        assert wanted not in contents(path)
        assert accepted(store, activity("b")) == ["stored"]


@pytest.mark.parametrize("at_once", [3, 4, 5, 7, 2**20])
def test_an_id_is_found_whole_in_a_file(tmp_path: Path, at_once: int) -> None:
    path = tmp_path / "file"
    others, matching = b"--L100--L10-a--L10_--L1\0", b"key-7L10\1"
    for content, is_found in ((others, False), (others + matching + others, True), (others + b"L10", True)):
        path.write_bytes(content)
        assert file_contains(path, b"L10", at_once) == is_found


def test_a_lead_whose_id_begins_others_is_found_in_their_midst(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        names = ["L100", "L10", "L101", "L10-2"]
        accepted(store, *(record(k, f"k{n}", lead_id=n) for k in KINDS for n in names))
        remembered(store, *(hot(name) for name in names))
        store._database.clear_free_pages("nothing")  # all is in the file now
        assert file_contains(path, b"L10")
        store.forget("L10")
        assert not file_contains(path, b"L10")
        assert file_contains(path, b"L100")


def test_old_predictions_go_and_present_scores_stay(store: Store) -> None:
    remembered(
        store,
        *(prediction(f"L{i}", MOMENT_MS + i, stage="hot") for i in range(2_500)),
        prediction("new", MOMENT_MS + 3, scored_at=MOMENT_MS + 9_999),
    )
    assert store.prune(MOMENT_MS + 2_400) == 2_400
    assert store.scores("L5") == []
    assert len(store.scores("L2400")) == len(store.scores("new")) == 1
    assert len(store.call_list(None, 10_000, NEVER)) == 2_500
    assert store.prune(MOMENT_MS + 2_400) == 0


# Opening


@pytest.mark.parametrize(
    "invalid_url",
    [
        "",
        "store.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:secret@h/d",
        "sqlite:///a?b=c",
        "postgresql://u:secret@h:port/d",
    ],
)
def test_a_url_that_cannot_be_a_store_is_told_without_its_password(invalid_url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as excinfo:
        Store.open(invalid_url, tmp_path)
    assert "sqlite:///" in str(excinfo.value)
    assert "secret" not in str(excinfo.value)


def test_a_file_is_local_and_a_server_is_not(store: Store, url: str) -> None:
    assert store.is_local == url.startswith("sqlite")


def test_relative_paths_are_of_the_folder_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///data/s 100%.db", tmp_path / "spool") as store:
        monkeypatch.chdir("/")
        assert accepted(store, activity("a")) == ["stored"]
    assert (tmp_path / "data" / "s 100%.db").exists()
