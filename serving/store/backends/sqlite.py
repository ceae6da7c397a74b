"""SQLite: one file in WAL mode, with many readers and one writer at a time."""

from __future__ import annotations

import logging
import math
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from features.clock import CLOCKS_DIFFER_MS
from features.errors import OutsideError
from features.files import file_lock
from serving.observability.limited_log import LimitedLog
from serving.store.backends.base import BUSY_SECONDS, Cursor, Database, DriverConnection, SqlRow
from serving.store.backends.inserts import PREDICTION_COLUMNS, quoted_columns, upsert_current_scores
from serving.store.errors import StoreUnavailable, describe_error
from serving.store.records import Prediction

ROWS_A_STATEMENT = 128
LOG_BYTES = 4 * 2**20
"""From this size the write-ahead log is copied into the database while others write."""
MAX_LOG_BYTES = 16 * LOG_BYTES
"""From this size writers wait until all is copied: under steady load there is always a rest."""
CHECKPOINT_SECONDS = 5.0
MAX_SEARCHED_IDS = 20
PATIENCE_SECONDS = 5.0
"""How long to wait for another process that migrates."""

_PRAGMAS = (
    "PRAGMA temp_store = MEMORY",
    # Overwrites what is deleted: an erased lead must not stay in free pages.
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_mode = WAL",
    f"PRAGMA journal_size_limit = {LOG_BYTES // 2}",
    # `checkpoint` does this beside the commits; 256 MiB are the limit if it cannot.
    "PRAGMA wal_autocheckpoint = 65536",
)

_CACHE_KB = 8_000


READ_SECONDS = 30.0
"""A statement that reads for longer is ended: while it reads, the write-ahead log can only grow."""
LARGE_LOG_BYTES = 256 * 2**20
"""From this size of the write-ahead log a warning is logged: something reads without end."""
_SMALL_REST_PAGES = 1_024
_STEPS_BETWEEN_LOOKS = 1_000_000


class _SqliteConnection(sqlite3.Connection):
    """A connection that remembers which file it has opened."""

    inode: tuple[int, int]


class _ReadingConnection(_SqliteConnection):
    """A connection that holds a snapshot of the database no longer than one statement takes.

    A statement has run to its end when it returns, all its rows in memory, however slowly they are used then;
    as psycopg does. One that takes longer than `limit_seconds` fails.
    """

    limit_seconds = READ_SECONDS
    is_limited = True
    _deadline = math.inf

    def cursor(self, *args: Any, **options: Any) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(_BufferedCursor)

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Within the block, SQLite gives up after `limit_seconds`."""
        self._deadline = time.monotonic() + self.limit_seconds if self.is_limited else math.inf
        self.set_progress_handler(lambda: time.monotonic() > self._deadline, _STEPS_BETWEEN_LOOKS)
        try:
            yield
        finally:
            self.set_progress_handler(None, _STEPS_BETWEEN_LOOKS)


class _BufferedCursor(sqlite3.Cursor):
    """A cursor that reads all rows at once."""

    _rows: Iterator[Any] = iter(())

    def execute(self, sql: str, parameters: Any = (), /) -> _BufferedCursor:
        connection = self.connection
        assert isinstance(connection, _ReadingConnection)
        with connection.limited():
            super().execute(sql, parameters)
            self._rows = iter(super().fetchall())
        return self

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        return list(islice(self._rows, size))

    def fetchall(self) -> list[Any]:
        return list(self._rows)


class SqliteDatabase(Database):
    """A database file, created when the store is opened, but not again when it vanishes later."""

    begin = "BEGIN IMMEDIATE"
    errors = (sqlite3.Error, OSError)
    mark, in_list = "?", "IN (SELECT value FROM json_each(?))"
    is_local = True

    def __init__(self, path: Path) -> None:
        self._path, self._is_created = path.absolute(), False
        self._last_log_bytes, self._limited_log = 0, LimitedLog(logging.getLogger(__name__))
        engine = create_engine(
            "sqlite+pysqlite://",
            creator=lambda: self._connect("NORMAL", _CACHE_KB, _ReadingConnection),
            # The default pool of a URL without a file closes connections which other threads use.
            poolclass=QueuePool,
            pool_size=8,
            hide_parameters=True,
        )
        event.listen(engine, "checkout", self._check)
        super().__init__(engine)

    def connect(self, durable: bool) -> sqlite3.Connection:
        if durable:
            return self._connect("FULL", _CACHE_KB)
        # Predictions need a large cache: each touches pages of its lead in indexes and tables.
        return self._connect("NORMAL", 8 * _CACHE_KB)

    def is_usable(self, connection: DriverConnection) -> bool:
        try:
            return isinstance(connection, _SqliteConnection) and connection.inode == inode_of(self._path)
        except OSError:
            return False

    def is_invalid(self, problem: Exception) -> bool:
        return isinstance(problem, _ABOUT_CONTENT) or super().is_invalid(problem)

    def insert(self, cursor: Cursor, table: str, names: tuple[str, ...], rows: Sequence[SqlRow]) -> int:
        return _insert(cursor, table, names, rows)

    def to_list(self, values: Sequence[str]) -> str:
        return orjson.dumps(values).decode()

    def insert_predictions(self, cursor: Cursor, rows: Sequence[Prediction], now: int) -> None:
        assert isinstance(cursor, sqlite3.Cursor)
        inserted = _insert(cursor, "predictions", PREDICTION_COLUMNS, rows)
        # The write lock is held since BEGIN, so these rows follow each other.
        cursor.execute(_UPSERT_CURRENT, ((cursor.lastrowid or 0) - inserted, now + CLOCKS_DIFFER_MS))

    def exists(self) -> bool:
        return self._path.exists()

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
            with (
                file_lock(self._sibling_path(".lock"), PATIENCE_SECONDS),
                self.engine.begin() as connection,
                _unlimited(connection),
            ):
                # Python's sqlite3 begins no transaction for CREATE by itself.
                connection.exec_driver_sql(self.begin)
                yield connection
        except TimeoutError:
            raise StoreUnavailable("another process migrates the database") from None
        except OutsideError as problem:
            raise StoreUnavailable(str(problem)) from None
        except (SQLAlchemyError, OSError) as problem:
            raise StoreUnavailable(describe_error(problem)) from None

    def checkpoint(self) -> None:
        size = self.log_bytes()
        is_idle, self._last_log_bytes = size == self._last_log_bytes, size
        if size > LOG_BYTES and self._path.exists():
            with closing(self._connect("NORMAL", _CACHE_KB)) as connection:
                connection.execute("PRAGMA busy_timeout = 100")
                _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                # Where a reader keeps much from being copied, writers would wait for nothing.
                is_almost_copied = pages - copied <= _SMALL_REST_PAGES
                if is_almost_copied and (is_idle or size > MAX_LOG_BYTES):
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if size > LARGE_LOG_BYTES:
            self._limited_log.warning(
                "The write-ahead log of the store has %d MiB: another program reads the store without end, "
                "such as a shell or a backup. It shrinks when that ends",
                size // 2**20,
            )

    def log_bytes(self) -> int:
        return size_of(self._sibling_path("-wal"))

    def clear_free_pages(self, lead_ids: Sequence[str]) -> None:
        """Empty the write-ahead log, and rewrite the file if it still contains one of the ids.

        secure_delete overwrites what is deleted, but not what moved away when a page was split. For many
        ids the file is rewritten without a search, which would take longer.
        """
        try:
            with closing(self._connect("FULL", _CACHE_KB)) as connection:
                truncate_wal(connection)
                is_many = len(lead_ids) > MAX_SEARCHED_IDS
                if is_many or any(file_contains(self._path, lead_id.encode()) for lead_id in lead_ids):
                    connection.execute("VACUUM")
                    truncate_wal(connection)
        except (sqlite3.Error, OSError) as problem:
            raise StoreUnavailable(
                f"The rows are erased, their traces not yet: {describe_error(problem)}"
            ) from None

    def _sibling_path(self, ending: str) -> Path:
        return self._path.with_name(self._path.name + ending)

    def _connect(
        self, synchronous: str, cache_kb: int, factory: type[_SqliteConnection] = _SqliteConnection
    ) -> _SqliteConnection:
        # mode=rw: a file that vanished must not be created again, empty.
        connection: _SqliteConnection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=factory,
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

    def _check(self, connection: DriverConnection, record: object, proxy: object) -> None:
        if not self.is_usable(connection):
            raise DisconnectionError


_ABOUT_CONTENT = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
_UPSERT_CURRENT = upsert_current_scores("predictions WHERE seq > ? AND NOT replay ORDER BY seq", "?")


@contextmanager
def _unlimited(connection: Connection) -> Iterator[None]:
    """Within the block, statements may take as long as they need."""
    driver_connection = connection.connection.driver_connection
    assert isinstance(driver_connection, _ReadingConnection)
    driver_connection.is_limited = False
    try:
        yield
    finally:
        driver_connection.is_limited = True


@contextmanager
def _durable_commits(connection: Connection) -> Iterator[None]:
    """Within the block, commits on a connection for reading are flushed to the disk."""
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


def _insert(cursor: Cursor, table: str, names: tuple[str, ...], rows: Sequence[SqlRow]) -> int:
    """Insert rows, many in one statement; how many.

    Each step of SQLite releases the interpreter, which a busy thread then keeps for 5 ms: row by row, a
    thousand rows took 17 s. Powers of two keep the number of prepared statements small.
    """
    start, size = 0, ROWS_A_STATEMENT
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        flat = [value for row in rows[start : start + size] for value in row]
        cursor.execute(_insert_statement(table, names, size), flat)
        start += size
    return len(rows)


def file_contains(path: Path, wanted: bytes, block_size: int = 2**20) -> bool:
    """Whether a file contains an id as a whole (L10 is not in L100). Raises OSError.

    Any byte may precede the id: SQLite stores a row's texts one after another, so that a lead's id follows
    the record's key directly. After it comes a time, whose first byte is no letter. `block_size` is how
    many bytes are read at a time.
    """
    pattern = re.compile(re.escape(wanted) + rb"(?![\w-])")
    tail = b""
    with path.open("rb") as file:
        while block := file.read(block_size):
            chunk = tail + block
            # A match at the very end may continue in the next block, which begins with it.
            if any(match.end() < len(chunk) for match in pattern.finditer(chunk)):
                return True
            tail = chunk[-len(wanted) :]
    return tail == wanted


def inode_of(path: Path) -> tuple[int, int]:
    stat_result = os.stat(path)
    return stat_result.st_dev, stat_result.st_ino


def size_of(path: Path) -> int:
    """The size of a file in bytes; 0 when it does not exist or cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def truncate_wal(connection: sqlite3.Connection) -> None:
    """Empty the write-ahead log, and wait while another checkpoint runs. Raises sqlite3.Error."""
    deadline = time.monotonic() + CHECKPOINT_SECONDS
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("the write-ahead log is in use")
        time.sleep(0.02)
