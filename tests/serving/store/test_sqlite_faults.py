"""An SQLite file that is locked, moved, replaced, damaged or on a full disk."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest

from serving.store.errors import StoreUnavailable
from serving.store.store import Store
from tests.helpers.service.store_faults import assert_fails, assert_fails_at_once, assert_works, is_readable
from tests.helpers.service.stores import activity, open_store, wait_until


def test_a_database_that_is_locked_for_too_long(local: Store, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert_fails(local, "during")
        assert_fails_at_once(local)
        assert local.lead("L1") is not None  # reading goes on
        assert local.scores("during") == []
        connection.execute("ROLLBACK")
    assert_works(local, "after")
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


def test_a_file_that_vanished_is_not_created_again(
    local: Store, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moved = path.parent.with_name("moved")
    path.parent.rename(moved)
    assert_fails(local, "during")
    wait_until(lambda: not is_readable(local), "reading says that it is away")
    assert_fails(local, "during again")
    assert not path.exists()
    moved.rename(path.parent)
    assert_works(local, "after")
    assert local.add_records([activity("first")]).result() == ["known"]
    assert len(local.scores("during")) == len(local.scores("during again")) == 1
    assert [r.message.split(":")[0] for r in caplog.records].count("The store is away") == 1


def test_a_file_that_was_replaced_is_opened_again(local: Store, path: Path) -> None:
    """As when a backup is put in its place: nothing goes to the old file any more."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(path.with_name("b"))) as to:
        source.backup(to)
    assert local.add_records([activity("lost")]).result() == ["stored"]
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink()
    path.with_name("b").replace(path)
    assert_works(local, "after")
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
    assert_fails(local, "during")
    assert not is_readable(local)
    good.replace(path)
    assert_works(local, "after")
    assert len(local.scores("during")) == 1


def test_an_empty_file_in_its_place_is_given_tables(local: Store, path: Path) -> None:
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink()
    path.unlink()
    path.touch()
    assert_fails(local, "during")
    assert_works(local, "after")
    assert len(local.scores("during")) == 1


def test_a_full_disk(tiny_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=3m", str(tiny_disk)], check=True)
    path, ballast = tiny_disk / "s.db", tiny_disk / "ballast"
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        assert store.add_records([activity("first")]).result() == ["stored"]
        filled(ballast)
        stored = until_full(store)
        assert_fails(store, "during")
        assert_fails_at_once(store)
        assert is_readable(store)
        ballast.unlink()
        assert_works(store, "after")
        outcomes = [store.add_records([activity(key, type="x" * 500)]).result()[0] for key in stored]
        assert set(outcomes) == {"known"}
        assert len(store.scores("during")) == 1


def test_a_full_disk_that_holds_the_queue_too(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=3m", str(tiny_disk)], check=True)
    ballast = tiny_disk / "ballast"
    with open_store(f"sqlite:///{tiny_disk / 's.db'}", tiny_disk / "spool") as store:
        filled(ballast)
        until_full(store)
        assert_fails(store, "during", expected="not_stored")
        ballast.unlink()
        assert_works(store, "after")


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
