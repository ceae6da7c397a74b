"""SQLite's write-ahead log stays small, however long a reader uses what it has read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import Connection

from serving.store.backends import sqlite
from serving.store.errors import StoreUnavailable
from serving.store.store import Store
from serving.store.tables import predictions
from tests.helpers.service.store_faults import database_of
from tests.helpers.service.stores import add_predictions, prediction, wait_until

_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def write_much(store: Store, count: int = 4) -> None:
    """More than a write-ahead log may hold before it is copied."""
    for turn in range(count):
        rows = [prediction(f"L{turn}-{i}", detail=f'"{"x" * 2_000}"') for i in range(1_000)]
        add_predictions(store, *rows)


def test_a_slow_reader_does_not_keep_the_log_from_shrinking(local: Store) -> None:
    write_much(local, 1)

    def read_slowly(connection: Connection) -> int:
        rows = iter(connection.execute(select(predictions)))
        next(rows)
        write_much(local)
        assert local.log_bytes() > 0
        wait_until(lambda: local.log_bytes() == 0, "the log is copied and truncated", 10)
        return 1 + sum(1 for _ in rows)

    assert local.read(read_slowly) == 1_001


def test_a_statement_that_reads_without_end_is_ended(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite._ReadingConnection, "limit_seconds", 0.05)
    with pytest.raises(StoreUnavailable, match="interrupted"):
        local.read(lambda connection: connection.execute(text(_ENDLESS)).all())
    assert not local.is_unavailable
    assert local.lead("L1") is not None


def test_a_migration_may_take_as_long_as_it_needs(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite._ReadingConnection, "limit_seconds", 0.0)
    with database_of(local).migration() as connection:
        assert connection.scalar(
            text(f"SELECT count(*) FROM ({_ENDLESS.replace('count(*)', 'x')} LIMIT 300000)")
        )


def test_a_log_that_another_program_keeps_is_told(
    local: Store, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LARGE_LOG_BYTES", 2**20)
    with closing(sqlite3.connect(path, isolation_level=None)) as other_program:
        other_program.execute("BEGIN")
        other_program.execute("SELECT count(*) FROM predictions").fetchone()
        write_much(local)
        wait_until(lambda: "reads the store without end" in caplog.text, "it is logged", 10)
        assert local.log_bytes() > 2**20
    wait_until(lambda: local.log_bytes() == 0, "the log is copied and truncated", 10)
    assert caplog.text.count("reads the store without end") == 1
