"""SQLite: one file, read by many beside one writer (WAL)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from features.clock import CLOCKS_DIFFER_MS
from serving.store.backends.base import (
    BUSY_SECONDS,
    Database,
    SqlRow,
    StoreUnavailable,
    describe_error,
)
from serving.store.backends.sqlite_files import file_contains, file_lock, inode_of, size_of
from serving.store.records import RecordKind
from serving.store.upserts import PREDICTION_COLUMNS, quoted_columns, upsert_current_scores

ROWS_A_STATEMENT = 128
LOG_BYTES = 4 * 2**20
"""From this size on the write-ahead log is copied into the database, beside the writing."""
LOG_BYTES_MOST = 16 * LOG_BYTES
"""From this size on writers wait for the rest: under steady load there would always be some."""
PATIENCE_SECONDS = 5.0
"""How long to wait for another process that migrates or tidies."""

_PRAGMAS = (
    "PRAGMA temp_store = MEMORY",
    # What is deleted or moved is overwritten: an erased lead must not stay in free pages.
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_mode = WAL",
    f"PRAGMA journal_size_limit = {LOG_BYTES // 2}",
    # A commit never waits for this: `tidy` does it. 256 MiB are for when that cannot.
    "PRAGMA wal_autocheckpoint = 65536",
)

_CACHE_KB = 8_000


class _SqliteConnection(sqlite3.Connection):
    """A connection that knows which file it has opened."""

    inode: tuple[int, int]


class SqliteDatabase(Database):
    """A database file; it is made when the store is first opened, not when it vanishes later."""

    begin = "BEGIN IMMEDIATE"
    errors = (sqlite3.Error, OSError)
    is_local = True

    def __init__(self, path: Path) -> None:
        self._path, self._is_created = path.absolute(), False
        engine = create_engine(
            "sqlite+pysqlite://",
            creator=lambda: self._connect("NORMAL", _CACHE_KB),
            # By itself a URL without a file gets a pool that closes connections which others use.
            poolclass=QueuePool,
            pool_size=8,
            hide_parameters=True,
        )
        event.listen(engine, "checkout", self._check)
        super().__init__(engine)

    def connect(self, durable: bool) -> sqlite3.Connection:
        if durable:
            return self._connect("FULL", _CACHE_KB)
        # A prediction touches pages all over: where its lead is, in an index and in a table.
        return self._connect("NORMAL", 8 * _CACHE_KB)

    def is_usable(self, connection: Any) -> bool:
        try:
            return bool(connection.inode == inode_of(self._path))
        except OSError:
            return False

    def is_invalid(self, problem: Exception) -> bool:
        return isinstance(problem, _ABOUT_CONTENT) or super().is_invalid(problem)

    def is_transient(self, problem: Exception) -> bool:
        return False

    def insert(self, cursor: Any, table: str, names: tuple[str, ...], rows: Sequence[SqlRow]) -> int:
        return _insert(cursor, table, names, rows)

    def find_records(self, cursor: Any, kind: RecordKind, keys: Sequence[str]) -> list[tuple[str, int, str]]:
        which = f'SELECT "key", version, digest FROM {kind} WHERE "key" {_IN_JSON}'
        rows: list[tuple[str, int, str]] = cursor.execute(which, (_json(keys),)).fetchall()
        return rows

    def insert_predictions(self, cursor: Any, rows: Sequence[SqlRow], now: int) -> None:
        inserted = _insert(cursor, "predictions", PREDICTION_COLUMNS, rows)
        # The write lock is held since BEGIN, so these rows follow each other.
        cursor.execute(_UPSERT_CURRENT, (cursor.lastrowid - inserted, now + CLOCKS_DIFFER_MS))

    def find_predictions(self, cursor: Any, lead_ids: Sequence[str]) -> list[SqlRow]:
        rows: list[SqlRow] = cursor.execute(
            f"SELECT lead_id, as_of, scored_at, request_id FROM predictions WHERE lead_id {_IN_JSON}",
            (_json(lead_ids),),
        ).fetchall()
        return rows

    def erase(self, cursor: Any, table: str, lead_id: str) -> int:
        return int(cursor.execute(f"DELETE FROM {table} WHERE lead_id = ?", (lead_id,)).rowcount)

    def prune(self, cursor: Any, before: int, limit: int) -> int:
        old = "SELECT seq FROM predictions WHERE scored_at < ? LIMIT ?"
        result = cursor.execute(f"DELETE FROM predictions WHERE seq IN ({old})", (before, limit))
        return int(result.rowcount)

    def create(self) -> None:
        try:
            if not self._is_created:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.touch()
        except OSError as problem:
            raise StoreUnavailable(describe_error(problem)) from None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection, _durable_commits(connection), connection.begin():
                connection.exec_driver_sql(self.begin)
                yield connection
        except (SQLAlchemyError, OSError) as problem:
            raise StoreUnavailable(describe_error(problem)) from None

    @contextmanager
    def migration(self) -> Iterator[Connection]:
        try:
            with file_lock(self._sibling_path(".lock"), PATIENCE_SECONDS), self.engine.begin() as connection:
                # Python's sqlite3 begins no transaction for CREATE by itself.
                connection.exec_driver_sql(self.begin)
                yield connection
        except TimeoutError:
            raise StoreUnavailable("another process migrates the database") from None
        except (SQLAlchemyError, OSError) as problem:
            raise StoreUnavailable(describe_error(problem)) from None

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the database, so that no commit has to."""
        size = size_of(self._sibling_path("-wal"))
        if size > LOG_BYTES and self._path.exists():
            with closing(self._connect("NORMAL", _CACHE_KB)) as connection:
                connection.execute("PRAGMA busy_timeout = 100")
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                if size > LOG_BYTES_MOST:
                    connection.execute("PRAGMA wal_checkpoint(RESTART)")

    def clear_free_pages(self, lead_id: str) -> None:
        """Empty the write-ahead log; and write the file anew where it still holds the id.

        secure_delete clears what is deleted, but pages that were split may keep what moved away.
        """
        try:
            with closing(self._connect("FULL", _CACHE_KB)) as connection:
                _truncate_wal(connection)
                if file_contains(self._path, lead_id.encode()):
                    connection.execute("VACUUM")
                    _truncate_wal(connection)
        except (sqlite3.Error, OSError) as problem:
            raise StoreUnavailable(
                f"The rows are erased, their traces not yet: {describe_error(problem)}"
            ) from None

    def _sibling_path(self, ending: str) -> Path:
        return self._path.with_name(self._path.name + ending)

    def _connect(self, synchronous: str, cache_kb: int) -> _SqliteConnection:
        # mode=rw: a file that vanished is not made anew and empty.
        connection: _SqliteConnection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=_SqliteConnection,
        )
        try:
            connection.inode = inode_of(self._path)
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute(f"PRAGMA cache_size = -{cache_kb}")
        except BaseException:
            connection.close()
            raise
        self._is_created = True
        return connection

    def _check(self, connection: Any, record: object, proxy: object) -> None:
        if not self.is_usable(connection):
            raise DisconnectionError


_ABOUT_CONTENT = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
)
_IN_JSON = "IN (SELECT value FROM json_each(?))"
_UPSERT_CURRENT = upsert_current_scores("predictions WHERE seq > ? AND NOT replay ORDER BY seq", "?")


@contextmanager
def _durable_commits(connection: Connection) -> Iterator[None]:
    """A connection for reading whose commits, meanwhile, return when they are on the disk."""
    try:
        _set_synchronous(connection, "FULL")
        yield
    finally:
        _set_synchronous(connection, "NORMAL")


def _set_synchronous(connection: Connection, mode: str) -> None:
    connection.exec_driver_sql(f"PRAGMA synchronous = {mode}")
    connection.commit()


@cache
def _insert_statement(table: str, names: tuple[str, ...], rows: int) -> str:
    one = f"({', '.join('?' * len(names))})"
    return f"INSERT INTO {table} ({quoted_columns(names)}) VALUES {', '.join([one] * rows)}"


def _insert(cursor: Any, table: str, names: tuple[str, ...], rows: Sequence[SqlRow]) -> int:
    """Many rows a statement, by powers of two.

    Each step of SQLite gives the interpreter away, and a busy thread keeps it for 5 ms: row by row,
    a thousand rows took 17 s beside one. Powers of two keep the statements few, and prepared.
    """
    start, size = 0, ROWS_A_STATEMENT
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        flat = [value for row in rows[start : start + size] for value in row]
        cursor.execute(_insert_statement(table, names, size), flat)
        start += size
    return len(rows)


def _truncate_wal(connection: sqlite3.Connection) -> None:
    """Empty the write-ahead log. SQLite does not wait where another checkpoint runs."""
    until = time.monotonic() + PATIENCE_SECONDS
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > until:
            raise sqlite3.OperationalError("the write-ahead log is in use")
        time.sleep(0.02)


def _json(values: Sequence[str]) -> str:
    return orjson.dumps(values).decode()
