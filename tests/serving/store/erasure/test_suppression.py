"""An erased lead stays away, whatever comes late: records, scores, what waited on disk."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scoring.model.pseudonyms import KEY_FILE
from serving.store.disk_queue import DiskQueue
from serving.store.records import KINDS
from serving.store.store import Store
from tests.helpers.service.stores import (
    activity,
    add_predictions,
    add_records,
    hot,
    open_store,
    prediction,
    record,
    server,
    store,
    url,
    wait_until,
)

__all__ = ["server", "store", "url"]


def test_no_record_of_an_erased_lead_is_stored(store: Store) -> None:
    add_records(store, activity("k"))
    store.forget(["L1"])
    rows = [record(kind, "late") for kind in KINDS]
    assert add_records(store, *rows, activity("new", lead_id="L2")) == ["suppressed"] * len(KINDS) + [
        "stored"
    ]
    assert store.lead("L1") is None
    assert store.suppression.find(["L1", "L2"]) == {"L1"}


def test_no_score_of_an_erased_lead_is_stored(store: Store) -> None:
    store.forget(["L1"])
    add_predictions(store, hot())
    add_predictions(store, *(hot(f"L{n}") for n in range(9)))  # more than are written directly
    assert store.scores("L1") == []
    assert len(store.scores("L8")) == 1


def test_another_process_knows_at_once(url: str, tmp_path: Path) -> None:
    """Its own list is older; what it writes is compared with that of the database."""
    with open_store(url, tmp_path / "spool") as first, open_store(url, tmp_path / "spool") as second:
        add_predictions(second, prediction("L9"))
        first.forget(["L1", "L2"])
        assert add_records(second, activity("k")) == ["suppressed"]
        assert second.suppression.find(["L1", "L2", "L3"]) == {"L1", "L2"}
        first.forget(["L3"])
        add_predictions(second, prediction("L3"))
        assert second.scores("L3") == []


def test_what_waits_on_disk_is_dropped(url: str, tmp_path: Path) -> None:
    """As after a restore of the queue: the lead was erased when it was elsewhere."""
    with open_store(url, tmp_path / "spool") as first:
        first.forget(["L1"])
    queue = DiskQueue(tmp_path / "spool", 2**20)
    assert queue.append([[hot(), hot("L2")]]) == [True]
    with open_store(url, tmp_path / "spool") as second:
        wait_until(lambda: second.scores("L2"), "the queue is drained")
        assert second.scores("L1") == []
    queue.close()


def test_a_lifted_lead_is_stored_again_everywhere(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "spool") as first, open_store(url, tmp_path / "spool") as second:
        first.forget(["L1", "L2"])
        assert add_records(second, activity("k")) == ["suppressed"]
        assert first.lift(["L1", "unknown"]) == 1
        assert add_records(first, activity("k")) == ["stored"]
        wait_until(lambda: second.suppression.find(["L1", "L2"]) == {"L2"}, "the other process has read it")


def test_erasing_again_says_so(store: Store) -> None:
    add_records(store, activity("k"))
    assert store.forget(["L1"]).suppressed_before == set()
    second = store.forget(["L1", "L2"])
    assert (second.leads, second.suppressed_before) == (set(), {"L1"})


def test_the_list_holds_no_id(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "spool") as opened:
        opened.forget(["an id that is long"])
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        (row,) = connection.execute("SELECT digest, key_id FROM suppressed").fetchall()
    assert len(row[0]) == 64
    assert b"an id that is long" not in (tmp_path / "store.db").read_bytes()


def test_a_list_under_a_lost_key_is_named_and_stops_nothing(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(url, tmp_path / "spool") as first:
        first.forget(["L1"])
    (tmp_path / KEY_FILE).unlink()
    with caplog.at_level(logging.ERROR), open_store(url, tmp_path / "spool") as second:
        assert add_records(second, activity("k")) == ["stored"]
    assert "1 entries of the suppression list are not in force" in caplog.text
    assert "L1" not in caplog.text
