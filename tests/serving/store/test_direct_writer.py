"""A few predictions are written in the thread of the request; if that is not possible, by the writer."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.store.direct_writer import FEW, DirectWriter
from serving.store.erasure.suppression import SuppressionList
from serving.store.store import Store, database_from_url
from tests.helpers.service.store_faults import held_up_writer
from tests.helpers.service.stores import prediction


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 's.db'}", tmp_path / "spool")
    yield opened
    opened.close()


@pytest.fixture
def direct_writer(store: Store) -> DirectWriter:
    return store._direct_writer


def stored(store: Store) -> int:
    return len(store.scores("L1"))


def test_a_few_are_stored_before_it_returns(store: Store) -> None:
    future = store.add_predictions([prediction()])
    assert future.done()
    assert future.result() == "stored"
    assert stored(store) == 1


def test_it_does_not_overtake_jobs_that_wait_for_the_writer(
    store: Store, direct_writer: DirectWriter
) -> None:
    """Otherwise steady scoring would keep the database's lock from the writer."""
    with held_up_writer(store):
        future = store.add_predictions([prediction()])
        assert not future.done()
    assert future.result() == "stored"


def test_many_are_left_to_the_writer(store: Store, direct_writer: DirectWriter) -> None:
    assert not direct_writer.try_write([prediction()] * (FEW + 1))
    assert stored(store) == 0


def test_it_waits_for_no_lock_and_leaves_nothing(
    store: Store, direct_writer: DirectWriter, tmp_path: Path
) -> None:
    connection = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    assert not direct_writer.try_write([prediction()])
    connection.execute("ROLLBACK")
    connection.close()
    assert stored(store) == 0
    assert direct_writer.try_write([prediction()])
    assert stored(store) == 1


def test_a_busy_database_keeps_the_connection(
    store: Store, direct_writer: DirectWriter, tmp_path: Path
) -> None:
    assert direct_writer.try_write([prediction()])
    before = direct_writer.connection
    other_connection = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other_connection.execute("BEGIN IMMEDIATE")
    assert not direct_writer.try_write([prediction()])
    other_connection.execute("ROLLBACK")
    other_connection.close()
    assert direct_writer.try_write([prediction()])
    assert direct_writer.connection is before
    assert stored(store) == 2


def test_what_failed_at_its_commit_is_stored_once(store: Store, direct_writer: DirectWriter) -> None:
    """A deferred constraint fails just there."""
    assert direct_writer.try_write([prediction("other")])
    connection = direct_writer.connection
    assert isinstance(connection, sqlite3.Connection)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(
        "CREATE TEMP TABLE a (x PRIMARY KEY);"
        "CREATE TEMP TABLE b (x REFERENCES a DEFERRABLE INITIALLY DEFERRED);"
        "CREATE TEMP TRIGGER t AFTER INSERT ON main.predictions BEGIN INSERT INTO b VALUES (1); END;"
    )
    assert store.add_predictions([prediction()]).result() == "stored"
    assert direct_writer.connection is None
    assert stored(store) == 1


def test_while_another_thread_writes_here_the_writer_takes_it(
    store: Store, direct_writer: DirectWriter
) -> None:
    results: list[str] = []
    with direct_writer._lock:
        thread = threading.Thread(
            target=lambda: results.append(store.add_predictions([prediction()]).result())
        )
        thread.start()
        thread.join(30)
    assert results == ["stored"]
    assert stored(store) == 1


def test_what_cannot_be_stored_is_left_to_the_writer(store: Store, direct_writer: DirectWriter) -> None:
    bad = prediction(score=2**70)
    assert not direct_writer.try_write([bad])
    assert store.add_predictions([bad]).result() == "not_stored"
    assert direct_writer.try_write([prediction()])
    assert stored(store) == 1


def test_predictions_need_no_flush(direct_writer: DirectWriter) -> None:
    direct_writer.try_write([prediction()])
    assert direct_writer.connection is not None
    row = direct_writer.connection.cursor().execute("PRAGMA synchronous").fetchone()
    assert row == (1,)


def test_a_database_elsewhere_is_left_to_the_writer(tmp_path: Path) -> None:
    remote = database_from_url("postgresql://somebody@127.0.0.1:9/nowhere")
    assert not DirectWriter(remote, SuppressionList(tmp_path / "key")).try_write([prediction()])
