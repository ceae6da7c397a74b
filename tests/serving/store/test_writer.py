"""Writing while things go wrong: nothing acknowledged is lost, and all goes on afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from features.clock import NEVER
from serving.store.direct_writer import FEW
from serving.store.records import Record
from serving.store.store import InvalidRecord, Store, StoreUnavailable
from serving.store.write_jobs import CallableJob
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
    wait_until,
)

__all__ = ["server", "store", "url"]
ROOT = Path(__file__).parents[3]


def works(store: Store, key: str) -> None:
    """Everything goes, without a restart."""
    wait_until(lambda: not store.is_unavailable, "the store is back")
    assert store.add_records([activity(key)]).result() == ["stored"]
    assert store.add_predictions([prediction(key)]).result() == "stored"
    assert store.lead("L1") is not None
    wait_until(lambda: store.queue_rows() == 0, "the queue is drained")


def fails(store: Store, name: str, expected: str = "queued") -> None:
    """Writing says so, and predictions are kept elsewhere."""
    with pytest.raises(StoreUnavailable) as excinfo:
        store.add_records([activity(name)]).result()
    assert excinfo.value.retry_after > 0
    assert store.add_predictions([prediction(name)]).result() == expected
    assert store.is_unavailable


def fails_at_once(store: Store) -> None:
    """While the breaker is open nobody waits: the future is done before it is given back."""
    assert store.add_records([activity("never")]).done()


# Groups


def test_what_waits_together_is_one_transaction(store: Store) -> None:
    """While the writer is held up, 200 requests come: their rows are of one transaction."""
    transactions: list[int] = []
    begin = store._writer._begin

    def counted(connection: Any) -> Any:
        transactions.append(1)
        return begin(connection)

    store._writer._begin = counted  # type: ignore[method-assign]
    with held_up(store):
        futures: list[Future[Any]] = [store.add_records([activity(str(i))]) for i in range(200)]
        futures += [store.add_predictions([prediction(f"L{i}")] * (FEW + 1)) for i in range(200)]
        assert store.queue_rows() == 400
    results = [future.result() for future in futures]
    assert results == [["stored"]] * 200 + ["stored"] * 200
    assert len(transactions) == 2


@contextmanager
def held_up(store: Store) -> Iterator[None]:
    """The writer does something else meanwhile."""
    go, begun = threading.Event(), threading.Event()
    waiting = threading.Thread(
        target=lambda: store._writer.run(lambda: begun.set() or go.wait(30))  # type: ignore[func-returns-value]
    )
    waiting.start()
    begun.wait(30)
    yield
    go.set()
    waiting.join(30)


def test_one_that_the_database_refuses_does_not_harm_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Past the checks of Record: as if they had overlooked something."""
    row = Record.row

    def unchecked(self: Record) -> Any:
        values = row(activity(self.key))
        return (*values[:3], "no number", *values[4:]) if self.key == "poison" else values

    if store.is_local:  # SQLite would take the text
        monkeypatch.setattr(store._database, "insert", strict(store._database.insert))
    monkeypatch.setattr(Record, "row", unchecked)
    with held_up(store):
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
    with held_up(store):
        futures = [store.add_predictions([prediction(name)]) for name in ("a", "Yamada\ud800", "b")]
        too_big = store.add_predictions([prediction("big", score=2**70)])
        nul = store.add_predictions([prediction("c"), prediction("x\0y")])
    assert [future.result() for future in futures] == ["stored", "not_stored", "stored"]
    assert too_big.result() == "not_stored"
    assert nul.result() == ("stored" if store.is_local else "not_stored")
    assert len(store.scores("a")) == len(store.scores("b")) == 1
    assert "Yamada" not in caplog.text
    assert not store.is_unavailable


def test_a_request_that_went_away_loses_nothing(store: Store) -> None:
    async def cancel_request() -> None:
        waiting = asyncio.wrap_future(store.add_records([activity("a")]))
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting

    with held_up(store):
        asyncio.run(cancel_request())
    assert store.add_records([activity("a")]).result() == ["known"]


def test_closing_writes_what_waits_and_takes_no_more(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "spool") as store:
        futures = [store.add_records([activity(str(i))]) for i in range(50)]
    assert [future.result() for future in futures] == [["stored"]] * 50
    with pytest.raises(StoreUnavailable, match="closed"):
        store.add_records([activity("late")]).result()
    assert store.add_predictions([prediction()]).result() == "not_stored"
    assert {thread.name for thread in threading.enumerate()}.isdisjoint({"store-writer", "store-keeper"})


def test_closing_puts_on_disk_what_the_writer_cannot_write(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.store.store.CLOSE_SECONDS", 0.1)
    with open_store(url, tmp_path / "spool") as store:
        go, begun = threading.Event(), threading.Event()
        store._writer.submit(CallableJob(Future(), lambda: begun.set() or go.wait(30)))  # type: ignore[func-returns-value]
        begun.wait(30)
        queued_future = store.add_predictions([prediction(f"L{i}") for i in range(FEW + 1)])
        rejected_future = store.add_records([activity("a")])
        store.close()
        assert queued_future.result(0) == "queued"
        with pytest.raises(StoreUnavailable, match="closed"):
            rejected_future.result(0)
        go.set()
        wait_until(lambda: not store._writer._thread.is_alive(), "the writer ends")
    with open_store(url, tmp_path / "spool") as store:
        wait_until(lambda: store.scores(f"L{FEW}"), "the queue is drained")
        assert store.add_records([activity("a")]).result() == ["stored"]


# SQLite in trouble


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "s.db"


@pytest.fixture
def local(path: Path, tmp_path: Path) -> Iterator[Store]:
    """A store in a file, with something in it."""
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        assert store.add_records([activity("first")]).result() == ["stored"]
        assert store.add_predictions([prediction("L1")]).result() == "stored"
        yield store


def test_a_database_that_is_locked_for_too_long(local: Store, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        fails(local, "during")
        fails_at_once(local)
        assert local.lead("L1") is not None  # reading goes on
        assert local.scores("during") == []
        connection.execute("ROLLBACK")
    works(local, "after")
    assert len(local.scores("during")) == 1


def test_a_database_that_is_locked_for_a_moment(local: Store, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        waiting = local.add_records([activity("during")])
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
        connection.execute("ROLLBACK")
        assert waiting.result() == ["stored"]
    assert not local.is_unavailable


def test_a_file_that_vanished_is_not_made_anew(
    local: Store, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moved = path.parent.with_name("moved")
    path.parent.rename(moved)
    fails(local, "during")
    wait_until(lambda: not reads(local), "reading says that it is away")
    fails(local, "during again")
    assert not path.exists()
    moved.rename(path.parent)
    works(local, "after")
    assert local.add_records([activity("first")]).result() == ["known"]
    assert len(local.scores("during")) == len(local.scores("during again")) == 1
    assert [r.message.split(":")[0] for r in caplog.records].count("The store is away") == 1


def reads(store: Store) -> bool:
    try:
        store.lead("L1")
    except StoreUnavailable:
        return False
    return True


def test_a_file_that_was_replaced_is_opened_anew(local: Store, path: Path) -> None:
    """As when a backup is put in its place: nothing goes to the old file any more."""
    with (
        closing(sqlite3.connect(path)) as source,
        closing(sqlite3.connect(path.with_name("b"))) as to,
    ):
        source.backup(to)
    assert local.add_records([activity("lost")]).result() == ["stored"]
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink()
    path.with_name("b").replace(path)
    works(local, "after")
    assert local.add_records([activity("first")]).result() == ["known"]
    assert local.add_records([activity("lost")]).result() == ["stored"]


def test_a_file_that_is_no_database(local: Store, path: Path) -> None:
    good = path.with_name("good.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(good)) as to:
        source.backup(to)
    bad = path.with_name("bad")
    bad.write_bytes(b"no database at all" * 1_000)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink()
    bad.replace(path)
    fails(local, "during")
    assert not reads(local)
    good.replace(path)
    works(local, "after")
    assert len(local.scores("during")) == 1


def test_an_empty_file_in_its_place_is_given_tables(local: Store, path: Path) -> None:
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink()
    path.unlink()
    path.touch()
    fails(local, "during")
    works(local, "after")
    assert len(local.scores("during")) == 1


def test_a_full_disk(tiny_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=3m", str(tiny_disk)], check=True)
    path, ballast = tiny_disk / "s.db", tiny_disk / "ballast"
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        assert store.add_records([activity("first")]).result() == ["stored"]
        filled(ballast)
        stored = until_full(store)
        fails(store, "during")
        fails_at_once(store)
        assert reads(store)
        ballast.unlink()
        works(store, "after")
        outcomes = [store.add_records([activity(key, type="x" * 500)]).result()[0] for key in stored]
        assert set(outcomes) == {"known"}
        assert len(store.scores("during")) == 1


def test_a_full_disk_that_holds_the_queue_too(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=3m", str(tiny_disk)], check=True)
    ballast = tiny_disk / "ballast"
    with open_store(f"sqlite:///{tiny_disk / 's.db'}", tiny_disk / "spool") as store:
        filled(ballast)
        until_full(store)
        fails(store, "during", expected="not_stored")
        ballast.unlink()
        works(store, "after")


def filled(ballast: Path) -> None:
    """All but some 300 kB of a disk."""
    with ballast.open("wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(bytes(4096)):
                pass
        file.truncate(file.tell() - 300_000)


def until_full(store: Store) -> list[str]:
    """Accept until that is no longer possible; the keys that were acknowledged."""
    stored: list[str] = []
    for number in range(100_000):
        future = store.add_records([activity(f"fill {number}", type="x" * 500)])
        if isinstance(future.exception(), StoreUnavailable):
            return stored
        stored.append(f"fill {number}")
    raise AssertionError("the disk is never full")


# PostgreSQL in trouble


def test_a_server_that_stops_and_comes_back(tmp_path: Path) -> None:
    running = Server(tmp_path / "pg")
    try:
        url = running.new()
        with open_store(url, tmp_path / "spool") as store:
            assert store.add_records([activity("first")]).result() == ["stored"]
            assert store.add_predictions([prediction("L1")]).result() == "stored"
            assert reads(store)
            running.stop()
            fails(store, "during")
            fails_at_once(store)
            assert not reads(store)
            with open_store(url, tmp_path / "other") as late:  # a worker that starts meanwhile
                assert late.is_unavailable
                assert late.add_predictions([prediction("late")]).result() == "queued"
                running.start()
                works(late, "late, after")
            works(store, "after")
            assert store.add_records([activity("first")]).result() == ["known"]
            assert len(store.scores("during")) == len(store.scores("late")) == 1
    finally:
        running.close()


def test_connections_that_are_terminated_are_opened_anew(server: Server, tmp_path: Path) -> None:
    """A server that was restarted while nobody asked: nobody is told of it."""
    with open_store(server.new(), tmp_path / "spool") as store:
        works(store, "before")
        server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert store.lead("L1") is not None
        assert store.add_records([activity("after")]).result() == ["stored"]
        assert store.add_predictions([prediction("after")]).result() == "stored"


def test_a_row_that_another_holds_for_too_long(server: Server, tmp_path: Path) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url

    url = server.new()
    with open_store(url, tmp_path / "spool") as store:
        works(store, "before")
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
        with engine.connect() as holding:
            holding.execute(text("LOCK TABLE activities, predictions"))
            fails(store, "during")
        engine.dispose()
        works(store, "after")
        assert len(store.scores("during")) == 1


def test_the_password_is_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = "postgresql://hotlead:s3cret-word@127.0.0.1:1/hotlead"
    with open_store(url, tmp_path / "spool") as store:
        assert store.is_unavailable
        with pytest.raises(StoreUnavailable) as excinfo:
            store.add_records([activity("a")]).result()
        with pytest.raises(StoreUnavailable) as read:
            store.lead("L1")
    assert "s3cret-word" not in f"{excinfo.value!r} {read.value!r} {caplog.text}"
    assert "away" in caplog.text


# The queue


def test_queued_predictions_are_drained_in_order_and_once(url: str, tmp_path: Path) -> None:
    """Also where they had been stored all the same, and nobody had heard of it."""
    with open_store(url, tmp_path / "spool") as store:
        store._breaker.trip("for this test")
        predictions = [hot(f"L{i}", MOMENT_MS + i, deadline=MOMENT_MS + i) for i in range(1_500)]
        with stopped(store):
            assert store.add_predictions(predictions).result() == "queued"
            assert store.queue_rows() == 1_500
            store._breaker.reset()
            assert store.add_predictions(predictions[:3]).result() == "stored"
        wait_until(lambda: store.queue_rows() == 0, "the queue is drained")
        rows = store.call_list(None, 2_000, NEVER)
        assert [row.as_of for row in rows] == [MOMENT_MS + i for i in range(1_500)]
        assert [len(store.scores(f"L{i}")) for i in (0, 2, 3, 1_499)] == [1] * 4


@contextmanager
def stopped(store: Store) -> Iterator[None]:
    """The keeper does nothing meanwhile."""
    tried, store._maintenance._every_second = store._maintenance._every_second, lambda: None  # type: ignore[method-assign]
    yield
    store._maintenance._every_second = tried  # type: ignore[method-assign]


def test_one_bad_line_does_not_hold_up_the_queue(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "spool") as store:
        store._breaker.trip("for this test")
        with stopped(store):
            bad = prediction("bad", owner=None)
            assert store.add_predictions([prediction("a"), bad, prediction("b")]).result() == "queued"
        wait_until(lambda: store.queue_rows() == 0, "the queue is drained")
        wait_until(lambda: not store.is_unavailable, "the store is back")
        assert [len(store.scores(name)) for name in ("a", "bad", "b")] == [1, 0, 1]


def test_what_is_wrong_with_the_queue_does_not_take_the_store_away(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool" / "1-abc.spool").mkdir(parents=True)
    with open_store(url, tmp_path / "spool") as store:
        wait_until(lambda: "IsADirectoryError" in caplog.text, "it is told")
        works(store, "after")
        (tmp_path / "spool" / "lock").unlink()
        (tmp_path / "spool" / "lock").mkdir()
        wait_until(lambda: "cannot be drained" in caplog.text, "it is told")
        works(store, "later")


def test_a_queue_that_is_full(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "spool", limit=700) as store:
        store._breaker.trip("for this test")
        with stopped(store):
            results = [store.add_predictions([prediction(f"L{i}")]).result() for i in range(3)]
    assert results == ["queued", "not_stored", "not_stored"]


def test_the_queue_of_a_killed_process_is_drained_by_another(url: str, tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.helpers.stores import prediction; from serving.store.store import Store\n"
        "store = Store.open('sqlite:////dev/null/none.db', Path(sys.argv[1]))\n"
        "assert store.remember([prediction('queued')]).result() == 'queued'\n"
        "os.kill(os.getpid(), 9)\n"
    )
    spool = tmp_path / "spool"
    killed = subprocess.run([sys.executable, "-c", code, str(spool)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    with open_store(url, spool) as store:
        wait_until(lambda: store.scores("queued"), "the queue is drained")


def test_forgetting_reaches_the_queues_of_other_processes(url: str, tmp_path: Path) -> None:
    """No other process brings the lead back from its queue."""
    with open_store(url, tmp_path / "spool") as store, open_store(url, tmp_path / "spool") as other_store:
        other_store._breaker.trip("for this test")
        with stopped(other_store):
            predictions = [prediction("gone"), prediction("stays")]
            assert other_store.add_predictions(predictions).result() == "queued"
            assert store.forget("gone")["spool"] == 1
        wait_until(lambda: other_store.queue_rows() == 0, "the queue is drained")
        assert len(store.scores("stays")) == 1
        assert store.scores("gone") == []


def test_what_is_asked_while_away(url: str, tmp_path: Path) -> None:
    with open_store(url, tmp_path / "spool") as store, stopped(store):
        store._breaker.trip("for this test")
        for ask in (lambda: store.forget("L1"), lambda: store.prune(MOMENT_MS)):
            with pytest.raises(StoreUnavailable, match="for this test"):
                ask()


# kill -9


@pytest.mark.parametrize("turn", range(2))
def test_nothing_acknowledged_is_missing_after_a_kill(url: str, tmp_path: Path, turn: int) -> None:
    """Records and predictions of eight threads at once, killed in the middle of it."""
    code = (
        "import sys, threading; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.helpers.stores import activity, prediction; from serving.store.store import Store\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2]))\n"
        "def send(name):\n"
        "    for i in range(10**6):\n"
        "        key = f'{name}-{i}'\n"
        "        if name % 2:\n"
        "            told = store.accept([activity(key), activity(key + '+', lead_id='L2')]).result()\n"
        "            ok = told == ['stored', 'stored']\n"
        "        else:\n"
        "            ok = store.remember([prediction(key)]).result() == 'stored'\n"
        "        sys.stdout.write(f'{key}\\n' if ok else 'WRONG\\n'); sys.stdout.flush()\n"
        "for name in range(8): threading.Thread(target=send, args=[name]).start()\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code, url, str(tmp_path / "spool")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with started as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(600 + 300 * turn)]
        child.kill()
        lines += child.stdout.readlines()
    acknowledged_keys = [line.strip() for line in lines if line.endswith("\n")]
    assert "WRONG" not in acknowledged_keys
    with open_store(url, tmp_path / "spool") as store:
        record_keys = [key for key in acknowledged_keys if int(key.split("-")[0]) % 2]
        futures = [
            store.add_records([activity(key), activity(key + "+", lead_id="L2")]) for key in record_keys
        ]
        assert [future.result() for future in futures] == [["known", "known"]] * len(record_keys)
        scored = [key for key in acknowledged_keys if not int(key.split("-")[0]) % 2]
        assert all(len(store.scores(key)) == 1 for key in scored)
        assert min(len(record_keys), len(scored)) > 20


def test_half_a_group_is_never_there(url: str, tmp_path: Path) -> None:
    """Killed while lists of 200 are written: each is there whole, or not at all."""
    code = (
        "import sys; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.helpers.stores import activity; from serving.store.store import Store\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2])); print('go', flush=True)\n"
        "for i in range(10**6):\n"
        "    store.accept([activity(f'{i}-{j}', lead_id=f'L{i}') for j in range(200)])\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, url, str(tmp_path / "spool")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "go\n"
    with open_store(url, tmp_path / "spool") as store:
        wait_until(lambda: store.lead("L20") is not None, "some lists are there")
        child.kill()
        child.communicate(timeout=30)
        time_out = time.monotonic() + 30
        counted: list[int] = []
        while time.monotonic() < time_out and (lead := store.lead(f"L{len(counted)}")):
            counted.append(len(lead.events))
    assert len(counted) > 20
    assert set(counted) == {200}


# Beside the writing


def test_the_log_of_sqlite_is_copied_beside_the_writing(local: Store, path: Path) -> None:
    """It stays small, and no commit has to do that."""
    from serving.store.backends.sqlite import LOG_BYTES, LOG_BYTES_MOST

    log, peak_size = path.with_name(path.name + "-wal"), 0
    for turn in range(120):
        predictions = [prediction(f"L{i}", MOMENT_MS + turn, detail="x" * 900) for i in range(200)]
        assert local.add_predictions(predictions).result() == "stored"
        peak_size = max(peak_size, log.stat().st_size)
    assert LOG_BYTES < peak_size < 2 * LOG_BYTES_MOST
    size = path.stat().st_size
    wait_until(lambda: path.stat().st_size > 10**6, f"the log is copied ({size})")


def test_a_lead_in_a_busy_process_waits_for_few_turns(local: Store) -> None:
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
