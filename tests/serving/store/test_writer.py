"""Group commit: what waits together is one transaction, and one bad job does not harm the others."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from serving.store.backends.sqlite import LOG_BYTES, MAX_LOG_BYTES
from serving.store.circuit_breaker import CircuitBreaker
from serving.store.direct_writer import FEW
from serving.store.disk_queue import DiskQueue
from serving.store.erasure.suppression import SuppressionList
from serving.store.errors import InvalidRecord, StoreUnavailable
from serving.store.records import Record, StoredState, WriteOutcome
from serving.store.store import Store, database_from_url
from serving.store.writer import CallableJob, PredictionsJob, RecordsJob, Writer
from tests.helpers.service.store_faults import database_of, held_up_writer
from tests.helpers.service.stores import MOMENT_MS, activity, open_store, prediction, record, wait_until


def test_what_waits_together_is_one_transaction(url: str, tmp_path: Path) -> None:
    """400 requests arrive while the writer is busy: one commit for records, one for predictions."""
    Store.open(url, tmp_path / "spool").close()  # creates the tables
    database = database_from_url(url)
    writer = Writer(
        database, DiskQueue(tmp_path / "spool", 2**20), CircuitBreaker(), SuppressionList(tmp_path / "key")
    )
    go, begun = threading.Event(), threading.Event()
    writer.submit(CallableJob(Future(), lambda: (begun.set(), go.wait(30))))
    begun.wait(30)
    records: list[Future[list[WriteOutcome]]] = [Future() for _ in range(200)]
    predictions: list[Future[StoredState]] = [Future() for _ in range(200)]
    for number in range(200):
        row = activity(str(number)).row()
        writer.submit(RecordsJob(records[number], [("activities", row)]))
        writer.submit(PredictionsJob(predictions[number], [prediction(f"L{number}")]))
    go.set()
    assert [future.result() for future in records] == [["stored"]] * 200
    assert [future.result() for future in predictions] == ["stored"] * 200
    assert writer.commits == 2
    assert writer.close(5, 1)
    database.close()


def test_a_record_that_the_database_refuses_does_not_harm_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Past the checks of Record: as if they had overlooked something."""
    row = Record.row

    def unchecked(self: Record) -> Any:
        values = row(activity(self.key))
        return (*values[:3], "no number", *values[4:]) if self.key == "poison" else values

    if database_of(store).is_local:  # SQLite would take the text
        monkeypatch.setattr(database_of(store), "insert", strict(database_of(store).insert))
    monkeypatch.setattr(Record, "row", unchecked)
    with held_up_writer(store):
        futures = [store.add_records([activity(key)]) for key in ("a", "poison", "b")]
    assert futures[0].result() == futures[2].result() == ["stored"]
    with pytest.raises(InvalidRecord) as excinfo:
        futures[1].result()
    assert "no number" not in str(excinfo.value) + caplog.text
    assert not store.is_unavailable


def strict(insert: Callable[..., int]) -> Callable[..., int]:
    def refusing(cursor: Any, table: str, names: Any, rows: Any) -> int:
        if any(not isinstance(row[3], int) for row in rows):
            raise sqlite3.DataError("datatype mismatch")
        return insert(cursor, table, names, rows)

    return refusing


def test_a_prediction_that_cannot_be_stored_does_not_harm_the_others(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with held_up_writer(store):
        futures = [store.add_predictions([prediction(name)]) for name in ("a", "Yamada\ud800", "b")]
        too_big = store.add_predictions([prediction("big", score=2**70)])
        nul = store.add_predictions([prediction("c"), prediction("x\0y")])
    assert [future.result() for future in futures] == ["stored", "not_stored", "stored"]
    assert too_big.result() == "not_stored"
    assert nul.result() == ("stored" if database_of(store).is_local else "not_stored")
    assert len(store.scores("a")) == len(store.scores("b")) == 1
    assert "Yamada" not in caplog.text
    assert not store.is_unavailable


def test_a_client_that_disconnects_loses_nothing(store: Store) -> None:
    async def cancel_request() -> None:
        waiting = asyncio.wrap_future(store.add_records([activity("a")]))
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting

    with held_up_writer(store):
        asyncio.run(cancel_request())
    assert store.add_records([activity("a")]).result() == ["known"]


def test_closing_writes_the_queue_and_accepts_no_more(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "spool") as store:
        futures = [store.add_records([activity(str(i))]) for i in range(50)]
    assert [future.result() for future in futures] == [["stored"]] * 50
    with pytest.raises(StoreUnavailable, match="closed"):
        store.add_records([activity("late")]).result()
    assert store.add_predictions([prediction()]).result() == "not_stored"
    assert thread_names().isdisjoint({"store-writer", "store-maintenance"})


def thread_names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_closing_puts_on_disk_what_the_writer_cannot_write(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.store.store.CLOSE_SECONDS", 0.1)
    with open_store(url, tmp_path / "spool") as store, held_up_writer(store):
        queued_future = store.add_predictions([prediction(f"L{i}") for i in range(FEW + 1)])
        rejected_future = store.add_records([activity("a")])
        store.close()
        assert queued_future.result(0) == "queued"
        with pytest.raises(StoreUnavailable, match="closed"):
            rejected_future.result(0)
    wait_until(lambda: "store-writer" not in thread_names(), "the writer ends")
    with open_store(url, tmp_path / "spool") as store:
        wait_until(lambda: store.scores(f"L{FEW}"), "the queue is drained")
        assert store.add_records([activity("a")]).result() == ["stored"]


def test_the_log_of_sqlite_is_copied_beside_the_writing(local: Store, path: Path) -> None:
    """It stays small, and no commit has to do that."""
    log, peak_size = path.with_name(path.name + "-wal"), 0
    for turn in range(120):
        predictions = [prediction(f"L{i}", MOMENT_MS + turn, detail="x" * 900) for i in range(200)]
        assert local.add_predictions(predictions).result() == "stored"
        peak_size = max(peak_size, log.stat().st_size)
    assert LOG_BYTES < peak_size < 2 * MAX_LOG_BYTES
    size = path.stat().st_size
    wait_until(lambda: path.stat().st_size > 10**6, f"the log is copied ({size})")


def test_a_thousand_rows_are_stored_quickly_beside_a_busy_thread(local: Store) -> None:
    """Storing a thousand rows beside a thread that never rests: row by row it took 17 seconds."""
    predictions = [prediction(f"L{i}") for i in range(1_000)]
    future = local.add_predictions(predictions)
    began = time.monotonic()
    turns = 0
    while not future.done():
        turns += 1
    assert future.result() == "stored"
    assert time.monotonic() - began < 5


def test_outcomes_and_scores_can_be_written_by_many_threads(store: Store) -> None:
    results: list[Any] = []

    def send(name: int) -> None:
        for i in range(30):
            results.append(store.add_records([record("outcomes", f"{name}-{i}", outcome="won")]).result())
            results.append(store.add_predictions([prediction(f"{name}")]).result())

    threads = [threading.Thread(target=send, args=[name]) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results.count(["stored"]) == results.count("stored") == 240
