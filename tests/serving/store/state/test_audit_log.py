"""The audit log: written with the change, never altered, and what was altered is found."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection

from serving.store.state.audit_log import (
    Actor,
    AuditAction,
    AuditEntry,
    Change,
    Verification,
    iter_entries,
    record_change,
    verify_entries,
)
from serving.store.store import Store, StoreUnavailable
from tests.helpers.service.stores import activity, add_records, open_store, record, server, store, url

__all__ = ["server", "store", "url"]
ANNA = Actor("Anna", "admin", "2f0c9a41")


def note(store: Store, *subjects: str, action: AuditAction = "key_added") -> None:
    for subject in subjects:
        change = Change(ANNA, action, subject, {"note": "日本 \udcff", "none": None})
        store.write(lambda connection, change=change: record_change(connection, change))  # type: ignore[misc]


def entries_of(store: Store) -> list[AuditEntry]:
    return list(iter_entries(store.read))


def override(key: str, version: int = 1, lead_id: str = "L1") -> object:
    return record("overrides", key, version=version, lead_id=lead_id, verdict="hot", reason="r", by="Anna")


def test_entries_say_who_changed_what_and_when(store: Store) -> None:
    note(store, "one", "two")
    first, second = entries_of(store)
    assert (first.number, first.actor, first.role, first.key_id) == (1, "Anna", "admin", "2f0c9a41")
    assert (first.action, first.subject, json.loads(first.detail)) == ("key_added", "one", {"note": "日本 ?"})
    assert second.made_at >= first.made_at > 1_700_000_000_000
    assert verify_entries(iter([first, second])) == Verification(2, second.hash, None)


def test_an_entry_is_written_with_its_change_or_not_at_all(store: Store) -> None:
    def fail(connection: Connection) -> None:
        record_change(connection, Change(ANNA, "key_added", "never"))
        raise KeyError

    with pytest.raises(KeyError):
        store.write(fail)
    assert entries_of(store) == []


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET subject = 'x'", "DELETE FROM audit_log"])
def test_the_database_refuses_to_change_an_entry(store: Store, statement: str) -> None:
    note(store, "one")
    with pytest.raises(StoreUnavailable):
        store.write(lambda connection: connection.execute(text(statement)))
    assert [entry.subject for entry in entries_of(store)] == ["one"]


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE audit_log SET subject = 'x' WHERE number = 2", 2),
        ("UPDATE audit_log SET made_at = made_at + 1 WHERE number = 3", 3),
        ("DELETE FROM audit_log WHERE number = 2", 2),
        ("DELETE FROM audit_log WHERE number = 1", 1),
        ("UPDATE audit_log SET number = 9 WHERE number = 3", 3),
    ],
)
def test_what_was_altered_without_the_triggers_is_found(store: Store, statement: str, broken_at: int) -> None:
    note(store, "one", "two", "three", "four")
    with store._database.migration() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_log_no_update"))
            connection.execute(text("DROP TRIGGER audit_log_no_delete"))
        else:
            connection.execute(text("DROP TRIGGER audit_log_append_only ON audit_log"))
        connection.execute(text(statement))
    assert verify_entries(iter_entries(store.read)).broken_at == broken_at


def test_processes_and_threads_do_not_give_one_number_twice(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "a") as first, open_store(url, tmp_path / "b") as second:
        threads = [
            threading.Thread(target=note, args=(store, *map(str, range(10))))
            for store in (first, second, first, second)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert verify_entries(iter_entries(first.read)) == Verification(40, entries_of(first)[-1].hash, None)


def test_overrides_are_noted_by_the_number_of_their_row(store: Store) -> None:
    overrides = [override("o1"), override("o2", lead_id="L2"), override("o1", version=2)]
    assert store.add_records(overrides, ANNA).result() == ["stored"] * 3  # type: ignore[arg-type]
    assert store.add_records(overrides, ANNA).result() == ["known"] * 3  # type: ignore[arg-type]
    add_records(store, record("overrides", "imported", verdict="hot", reason="r", by="Anna"))
    store.add_records([activity("a")], ANNA).result()
    entries = entries_of(store)
    assert [(entry.action, entry.lead_id) for entry in entries] == [
        ("override_set", "L1"),
        ("override_set", "L2"),
        ("override_set", "L1"),
    ]
    assert json.loads(entries[2].detail) == {"verdict": "hot", "version": 2}
    assert "L1" not in str([entry._replace(lead_id=None) for entry in entries])


def test_many_overrides_are_noted_together(store: Store) -> None:
    overrides = [override(f"o{number}", lead_id=f"L{number}") for number in range(1_234)]
    store.add_records(overrides, ANNA).result()  # type: ignore[arg-type]
    entries = entries_of(store)
    assert [entry.lead_id for entry in entries] == [f"L{number}" for number in range(1_234)]
    assert verify_entries(iter(entries)).broken_at is None


def test_an_erasure_names_nobody_and_takes_the_lead_from_the_log(store: Store) -> None:
    store.add_records([override("o-SECRET-9", lead_id="SECRET-9")], ANNA).result()  # type: ignore[list-item]
    store.forget(["SECRET-9"], actor=ANNA)
    store.forget(["SECRET-9"])  # by nobody: a test, a benchmark
    overridden, erased = entries_of(store)
    assert (overridden.lead_id, overridden.action) == (None, "override_set")
    assert (erased.action, erased.subject, json.loads(erased.detail)) == (
        "lead_erased",
        "",
        {"leads": 1, "rows": 1},
    )
    assert "SECRET" not in str(entries_of(store))
    assert verify_entries(iter([overridden, erased])).broken_at is None
