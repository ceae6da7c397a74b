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

from serving.store.backends.base import (
    BUSY_SECONDS,
    CLOCKS_DIFFER_MS,
    Database,
    Row,
    StoreAway,
    reason,
)
from serving.store.backends.sqlite_files import holds, inode_of, locked, size_of
from serving.store.records import Kind
from serving.store.upserts import PREDICTION_COLUMNS, current_from, listed

ROWS_A_STATEMENT = 128
LOG_BYTES = 4 * 2**20
"""From this size on the write-ahead log is copied into the database, beside the writing."""
LOG_BYTES_MOST = 16 * LOG_BYTES
"""From this size on writers wait for the rest: under steady load there would always be some."""
PATIENCE_SECONDS = 5.0
"""How long to wait for another process that migrates or tidies."""

_ALWAYS = (
    "PRAGMA temp_store = MEMORY",
    # What is deleted or moved is overwritten: an erased lead must not stay in free pages.
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_mode = WAL",
    f"PRAGMA journal_size_limit = {LOG_BYTES // 2}",
    # A commit never waits for this: `tidy` does it. 256 MiB are for when that cannot.
    "PRAGMA wal_autocheckpoint = 65536",
)

_CACHE_KB = 8_000


class _Opened(sqlite3.Connection):
    """A connection that knows which file it has opened."""

    inode: tuple[int, int]


class SqliteDatabase(Database):
    """A database file; it is made when the store is first opened, not when it vanishes later."""

    begin = "BEGIN IMMEDIATE"
    errors = (sqlite3.Error, OSError)
    local = True

    def __init__(self, path: Path) -> None:
        self._path, self._made = path.absolute(), False
        engine = create_engine(
            "sqlite+pysqlite://",
            creator=lambda: self._opened("NORMAL", _CACHE_KB),
            # By itself a URL without a file gets a pool that closes connections which others use.
            poolclass=QueuePool,
            pool_size=8,
            hide_parameters=True,
        )
        event.listen(engine, "checkout", self._check)
        super().__init__(engine)

    def connect(self, durable: bool) -> sqlite3.Connection:
        if durable:
            return self._opened("FULL", _CACHE_KB)
        # A prediction touches pages all over: where its lead is, in an index and in a table.
        return self._opened("NORMAL", 8 * _CACHE_KB)

    def usable(self, connection: Any) -> bool:
        try:
            return bool(connection.inode == inode_of(self._path))
        except OSError:
            return False

    def refuses(self, problem: Exception) -> bool:
        return isinstance(problem, _ABOUT_CONTENT) or super().refuses(problem)

    def passes(self, problem: Exception) -> bool:
        return False

    def insert(self, cursor: Any, table: str, names: tuple[str, ...], rows: Sequence[Row]) -> int:
        return _insert(cursor, table, names, rows)

    def held(self, cursor: Any, kind: Kind, keys: Sequence[str]) -> list[tuple[str, int, str]]:
        which = f'SELECT "key", version, digest FROM {kind} WHERE "key" {_AMONG}'
        told: list[tuple[str, int, str]] = cursor.execute(which, (_json(keys),)).fetchall()
        return told

    def remember(self, cursor: Any, rows: Sequence[Row], now: int) -> None:
        inserted = _insert(cursor, "predictions", PREDICTION_COLUMNS, rows)
        # The write lock is held since BEGIN, so these rows follow each other.
        cursor.execute(_CURRENT, (cursor.lastrowid - inserted, now + CLOCKS_DIFFER_MS))

    def told(self, cursor: Any, lead_ids: Sequence[str]) -> list[Row]:
        rows: list[Row] = cursor.execute(
            f"SELECT lead_id, as_of, scored_at, request_id FROM predictions WHERE lead_id {_AMONG}",
            (_json(lead_ids),),
        ).fetchall()
        return rows

    def erase(self, cursor: Any, table: str, lead_id: str) -> int:
        return int(cursor.execute(f"DELETE FROM {table} WHERE lead_id = ?", (lead_id,)).rowcount)

    def prune(self, cursor: Any, before: int, most: int) -> int:
        old = "SELECT seq FROM predictions WHERE scored_at < ? LIMIT ?"
        gone = cursor.execute(f"DELETE FROM predictions WHERE seq IN ({old})", (before, most))
        return int(gone.rowcount)

    def make(self) -> None:
        try:
            if not self._made:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.touch()
        except OSError as problem:
            raise StoreAway(reason(problem)) from None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection, _on_the_disk(connection), connection.begin():
                connection.exec_driver_sql(self.begin)
                yield connection
        except (SQLAlchemyError, OSError) as problem:
            raise StoreAway(reason(problem)) from None

    @contextmanager
    def migration(self) -> Iterator[Connection]:
        try:
            with locked(self._beside(".lock"), PATIENCE_SECONDS), self.engine.begin() as connection:
                # Python's sqlite3 begins no transaction for CREATE by itself.
                connection.exec_driver_sql(self.begin)
                yield connection
        except TimeoutError:
            raise StoreAway("another process migrates the database") from None
        except (SQLAlchemyError, OSError) as problem:
            raise StoreAway(reason(problem)) from None

    def tidy(self) -> None:
        """Copy the write-ahead log into the database, so that no commit has to."""
        size = size_of(self._beside("-wal"))
        if size > LOG_BYTES and self._path.exists():
            with closing(self._opened("NORMAL", _CACHE_KB)) as connection:
                connection.execute("PRAGMA busy_timeout = 100")
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                if size > LOG_BYTES_MOST:
                    connection.execute("PRAGMA wal_checkpoint(RESTART)")

    def scrub(self, lead_id: str) -> None:
        """Empty the write-ahead log; and write the file anew where it still holds the id.

        secure_delete clears what is deleted, but pages that were split may keep what moved away.
        """
        try:
            with closing(self._opened("FULL", _CACHE_KB)) as connection:
                _emptied(connection)
                if holds(self._path, lead_id.encode()):
                    connection.execute("VACUUM")
                    _emptied(connection)
        except (sqlite3.Error, OSError) as problem:
            raise StoreAway(f"The rows are erased, their traces not yet: {reason(problem)}") from None

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(self._path.name + ending)

    def _opened(self, synchronous: str, cache_kb: int) -> _Opened:
        # mode=rw: a file that vanished is not made anew and empty.
        connection: _Opened = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=_Opened,
        )
        try:
            connection.inode = inode_of(self._path)
            for pragma in _ALWAYS:
                connection.execute(pragma)
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute(f"PRAGMA cache_size = -{cache_kb}")
        except BaseException:
            connection.close()
            raise
        self._made = True
        return connection

    def _check(self, connection: Any, record: object, proxy: object) -> None:
        if not self.usable(connection):
            raise DisconnectionError


_ABOUT_CONTENT = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
)
_AMONG = "IN (SELECT value FROM json_each(?))"
_CURRENT = current_from("predictions WHERE seq > ? AND NOT replay ORDER BY seq", "?")


@contextmanager
def _on_the_disk(connection: Connection) -> Iterator[None]:
    """A connection for reading whose commits, meanwhile, return when they are on the disk."""
    try:
        _synchronous(connection, "FULL")
        yield
    finally:
        _synchronous(connection, "NORMAL")


def _synchronous(connection: Connection, how: str) -> None:
    connection.exec_driver_sql(f"PRAGMA synchronous = {how}")
    connection.commit()


@cache
def _values(table: str, names: tuple[str, ...], rows: int) -> str:
    one = f"({', '.join('?' * len(names))})"
    return f"INSERT INTO {table} ({listed(names)}) VALUES {', '.join([one] * rows)}"


def _insert(cursor: Any, table: str, names: tuple[str, ...], rows: Sequence[Row]) -> int:
    """Many rows a statement, by powers of two.

    Each step of SQLite gives the interpreter away, and a busy thread keeps it for 5 ms: row by row,
    a thousand rows took 17 s beside one. Powers of two keep the statements few, and prepared.
    """
    start, size = 0, ROWS_A_STATEMENT
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        flat = [value for row in rows[start : start + size] for value in row]
        cursor.execute(_values(table, names, size), flat)
        start += size
    return len(rows)


def _emptied(connection: sqlite3.Connection) -> None:
    """Empty the write-ahead log. SQLite does not wait where another checkpoint runs."""
    until = time.monotonic() + PATIENCE_SECONDS
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > until:
            raise sqlite3.OperationalError("the write-ahead log is in use")
        time.sleep(0.02)


def _json(values: Sequence[str]) -> str:
    return orjson.dumps(values).decode()
