"""What is read of a lead: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from features.clock import NEVER
from scoring.decision.overrides import Override
from serving.store import reads
from serving.store.records import KINDS
from serving.store.store import Store
from tests.helpers.service.store_faults import database_of
from tests.helpers.service.stores import (
    MOMENT_MS,
    activity,
    add_predictions,
    add_records,
    hot,
    open_store,
    record,
)

ROOT = Path(__file__).parents[3]


def test_a_lead_is_read_with_its_complete_history(store: Store) -> None:
    add_records(
        store,
        record("leads", "l1", MOMENT_MS, attributes={"size": 10, "city": "Kyoto"}, created_at=MOMENT_MS - 9),
        record("leads", "l3", MOMENT_MS + 20, attributes={"city": None}),
        record(
            "leads", "l2", MOMENT_MS + 10, attributes={"size": 20.5}, account="acm", created_at=MOMENT_MS - 99
        ),
    )
    add_records(
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
    add_records(
        store, activity("a2", MOMENT_MS + 2, value=0.1 + 0.2), activity("a1", MOMENT_MS + 1, type="mail")
    )
    add_records(
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
    assert lead.colleagues == []
    assert lead.hearings[0] == ("budget", MOMENT_MS + 2, "none")
    assert sorted(lead.hearings[1:]) == [("budget", MOMENT_MS + 3, "5 M"), ("need", MOMENT_MS + 3, "yes")]
    assert lead.first_contacts == [MOMENT_MS + 1, MOMENT_MS + 4]


def test_activities_of_equal_times_stay_in_the_order_of_arrival(store: Store) -> None:
    add_records(store, *(activity(f"z{9 - i}", value=i) for i in range(10)))
    lead = store.lead("L1")
    assert lead is not None
    assert [event[2] for event in lead.events] == list(range(10))


def test_a_lead_without_records_is_unknown(store: Store) -> None:
    add_records(store, activity("a"))
    assert store.lead("L2") is None
    assert store.leads([]) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_lead_without_a_creation_time_is_created_at_its_first_record(store: Store, kind: Any) -> None:
    add_records(store, record(kind, "later", MOMENT_MS + 5), record(kind, "first", MOMENT_MS))
    lead = store.lead("L1")
    assert lead is not None
    assert (lead.created, lead.account, lead.colleagues) == (MOMENT_MS, None, [])


def test_colleagues_are_the_other_leads_that_belong_to_the_account_now(store: Store) -> None:
    add_records(
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
    times = {name: _times(lead.colleagues) for name, lead in leads.items()}
    assert times == {"L1": [[("page", MOMENT_MS + 2)]], "L2": [[("page", MOMENT_MS + 3)]], "moved": []}


def test_a_corrected_account_takes_the_place_of_the_former_one(store: Store) -> None:
    add_records(
        store,
        record("leads", "1", account="acme"),
        record("leads", "2", account="acme", lead_id="L2"),
        record("leads", "2", version=2, lead_id="L2"),
        activity("a", MOMENT_MS + 1, lead_id="L2"),
    )
    leads = store.leads(["L1", "L2"])
    assert (leads["L1"].colleagues, leads["L2"].account) == ([], None)


def test_a_replay_sees_no_account_that_was_set_later(store: Store) -> None:
    add_records(
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
    accounts = [(lead.account, lead.colleagues) for lead in leads.values() if lead is not None]
    without_colleague, together = ("acme", []), ("acme", [[("page", MOMENT_MS + 2)]])
    assert [(name, _times(colleagues)) for name, colleagues in accounts] == [
        (None, []),
        without_colleague,
        together,
        together,
        ("other", []),
        ("other", []),
    ]


def _times(colleagues: Any) -> Any:
    return [[event[:2] for event in events] for events in colleagues]


def test_the_events_of_a_large_account_are_read_in_chunks(store: Store) -> None:
    add_records(
        store,
        *(record("leads", str(i), lead_id=f"L{i}", account="acme") for i in range(1_200)),
        *(activity(f"a{i}", lead_id=f"L{i}") for i in range(1_200)),
    )
    parameter_counts: list[int] = []
    engine = database_of(store).engine
    event.listen(
        engine, "before_cursor_execute", lambda *arguments: parameter_counts.append(len(arguments[3]))
    )
    lead = store.lead("L1")
    assert lead is not None
    assert len(lead.colleagues) == 1_199
    assert max(parameter_counts) <= 1_000


def test_many_leads_take_few_queries(store: Store) -> None:
    """About the same for one lead and for a thousand."""
    add_records(
        store,
        *(record("leads", str(i), lead_id=f"L{i}", account=f"a{i % 9}") for i in range(300)),
        *(activity(f"a{i}", lead_id=f"L{i}", value=i) for i in range(300)),
    )
    statements: list[str] = []
    engine = database_of(store).engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    leads = store.leads([f"L{i}" for i in range(300)])
    assert len(leads) == 300
    assert leads["L7"].events == [("page", MOMENT_MS, 7.0)]
    many = len(statements)
    store.leads(["L1"])
    assert max(many, len(statements) - many) <= 14


def test_more_threads_than_connections_read_at_once(url: str, tmp_path: Path) -> None:
    """None closes what another reads by; in a process of its own, for that would end it."""
    with open_store(url, tmp_path / "spool") as store:
        add_predictions(store, hot("A"), hot("B", score=95))
    code = (
        "import sys, threading\n"
        "from serving.store.store import database_from_url\n"
        "from serving.store.reads import call_list\n"
        "sys.setswitchinterval(1e-4)\n"
        "counts = []\n"
        "for _ in range(20):\n"
        "    opened, start = database_from_url(sys.argv[1]), threading.Barrier(24)\n"
        "    def read():\n"
        "        start.wait()\n"
        "        for _ in range(5):\n"
        "            counts.append(len(opened.read(lambda connection: call_list(connection, None, 10, 0))))\n"
        "    threads = [threading.Thread(target=read) for _ in range(24)]\n"
        "    for thread in threads: thread.start()\n"
        "    for thread in threads: thread.join()\n"
        "    opened.close()\n"
        "assert counts == [2] * 20 * 24 * 5, len(counts)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, url], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_the_highest_version_of_a_key_counts(store: Store) -> None:
    add_records(store, activity("a", version=2, value=2), record("handovers", "h", step="first_contact"))
    add_records(store, activity("a", value=1), record("handovers", "h", version=3, step="next_action"))
    lead = store.lead("L1")
    assert lead is not None
    assert lead.events == [("page", MOMENT_MS, 2.0)]
    assert lead.first_contacts == []


def test_a_correction_may_move_something_to_another_lead(store: Store) -> None:
    add_records(store, activity("a"), activity("a", version=2, lead_id="L2"))
    leads = store.leads(["L1", "L2"])
    assert leads["L1"].events == []
    assert len(leads["L2"].events) == 1


def test_overrides_are_those_by_hand_and_at_the_hand_over(store: Store) -> None:
    add_records(
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
    assert list(store.read(reads.overrides)) == [
        Override("L1", "hot", "asked", "Ito", MOMENT_MS, MOMENT_MS + 9),
        Override("L2", "not_hot", "rival", "Ito", MOMENT_MS + 1, NEVER),
        Override("L1", "accepted", "", "Abe", MOMENT_MS + 3, NEVER),
        Override("L1", "sent_back", "no budget", "Abe", MOMENT_MS + 4, NEVER),
    ]


def test_the_overrides_version_changes_when_a_verdict_is_stored_or_erased(store: Store) -> None:
    stamps = [store.read(reads.overrides_version)]
    add_records(store, record("overrides", "o", verdict="hot", reason="asked", by="Ito"))
    stamps.append(store.read(reads.overrides_version))
    add_records(store, record("handovers", "i", lead_id="L2", step="accepted"))
    stamps.append(store.read(reads.overrides_version))
    add_records(store, activity("a"))
    assert store.read(reads.overrides_version) == stamps[-1]
    store.forget(["L1"])
    stamps.append(store.read(reads.overrides_version))
    assert len(set(stamps)) == 4


def test_no_stamp_comes_twice_after_an_erasure(store: Store) -> None:
    for name in ("L1", "L2"):
        add_records(store, record("overrides", name, lead_id=name, verdict="hot", reason="x", by="Ito"))
    before = store.read(reads.overrides_version)
    store.forget(["L2"])
    add_records(store, record("overrides", "L3", lead_id="L3", verdict="hot", reason="x", by="Ito"))
    assert store.read(reads.overrides_version) != before
