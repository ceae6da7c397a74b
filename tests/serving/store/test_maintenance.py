"""The queue on disk is drained when the database is back, in order and once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.store.disk_queue import PAGE_BYTES, QUEUE_FILE
from serving.store.errors import StoreUnavailable
from tests.helpers.service.store_faults import assert_works, reset, stopped_maintenance, trip
from tests.helpers.service.stores import (
    LATER_MS,
    MOMENT_MS,
    activity,
    hot,
    open_store,
    prediction,
    wait_until,
)

ROOT = Path(__file__).parents[3]


def test_queued_predictions_are_drained_in_order_and_once(url: str, tmp_path: Path) -> None:
    """Also those that were committed before their process was killed: here, the first three."""
    with open_store(url, tmp_path / "spool") as store:
        trip(store)
        predictions = [hot(f"L{i}", MOMENT_MS + i, deadline=MOMENT_MS + i) for i in range(1_500)]
        with stopped_maintenance(store):
            assert store.add_predictions(predictions).result() == "queued"
            assert store.queue_rows() == 1_500
            reset(store)
            assert store.add_predictions(predictions[:3]).result() == "stored"
        wait_until(lambda: store.queue_rows() == 0, "the queue is drained")
        rows = store.call_list(None, 2_000, LATER_MS)
        assert [row.as_of for row in rows] == [MOMENT_MS + i for i in range(1_500)]
        assert [len(store.scores(f"L{i}")) for i in (0, 2, 3, 1_499)] == [1] * 4


def test_one_invalid_prediction_does_not_block_the_queue(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "spool") as store:
        trip(store)
        with stopped_maintenance(store):
            bad = prediction("bad", owner=None)
            assert store.add_predictions([prediction("a"), bad, prediction("b")]).result() == "queued"
        wait_until(lambda: store.queue_rows() == 0, "the queue is drained")
        wait_until(lambda: not store.is_unavailable, "the store is back")
        assert [len(store.scores(name)) for name in ("a", "bad", "b")] == [1, 0, 1]


def test_a_damaged_queue_does_not_stop_the_store(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / QUEUE_FILE).write_bytes(b"no database at all " * 500)
    with open_store(url, tmp_path / "spool") as store:
        wait_until(lambda: "cannot be drained: DiskQueueError" in caplog.text, "it is logged")
        assert store.add_records([activity("a")]).result() == ["stored"]
        assert store.add_predictions([prediction()]).result() == "stored"
        trip(store)
        with stopped_maintenance(store):
            assert store.add_predictions([prediction()]).result() == "not_stored"
        wait_until(lambda: not store.is_unavailable, "the store is back")
        with pytest.raises(StoreUnavailable, match="DiskQueueError"):
            store.forget(["L1"])
        (tmp_path / "spool" / QUEUE_FILE).unlink()
        assert_works(store, "after")
    assert caplog.text.count("cannot be drained") == 1


def test_a_queue_that_is_full(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "spool", limit=3 * PAGE_BYTES) as store:
        trip(store)
        with stopped_maintenance(store):
            results = [
                store.add_predictions([prediction(f"L{i}", detail=f'"{"x" * 3_000}"')]).result()
                for i in range(3)
            ]
    assert results == ["queued", "not_stored", "not_stored"]


def test_the_queue_of_a_killed_process_is_drained_by_another(url: str, tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.helpers.service.stores import prediction; from serving.store.store import Store\n"
        "store = Store.open('sqlite:////dev/null/none.db', Path(sys.argv[1]))\n"
        "assert store.add_predictions([prediction('queued')]).result() == 'queued'\n"
        "os.kill(os.getpid(), 9)\n"
    )
    spool = tmp_path / "spool"
    killed = subprocess.run([sys.executable, "-c", code, str(spool)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    with open_store(url, spool) as store:
        wait_until(lambda: store.scores("queued"), "the queue is drained")


def test_forgetting_reaches_predictions_that_another_process_queued(url: str, tmp_path: Path) -> None:
    """The lead does not come back when the queue is drained."""
    with open_store(url, tmp_path / "spool") as store, open_store(url, tmp_path / "spool") as other_store:
        trip(other_store)
        with stopped_maintenance(store), stopped_maintenance(other_store):
            predictions = [prediction("gone"), prediction("stays")]
            assert other_store.add_predictions(predictions).result() == "queued"
            assert store.forget(["gone"]).rows["spool"] == 1
        wait_until(lambda: other_store.queue_rows() == 0, "the queue is drained")
        assert len(store.scores("stays")) == 1
        assert store.scores("gone") == []


def test_erasing_and_pruning_fail_while_the_database_is_unavailable(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "spool") as store, stopped_maintenance(store):
        trip(store)
        for call in (lambda: store.forget(["L1"]), lambda: store.prune(MOMENT_MS)):
            with pytest.raises(StoreUnavailable, match="for this test"):
                call()
