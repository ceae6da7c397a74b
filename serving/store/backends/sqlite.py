"""SQLite: one file in WAL mode, with many readers and one writer at a time."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

import orjson
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from features.clock import CLOCKS_DIFFER_MS
from features.errors import OutsideError
from features.files import file_lock
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


class _SqliteConnection(sqlite3.Connection):
    """A connection that remembers which file it has opened."""

    inode: tuple[int, int]


class SqliteDatabase(Database):
    """A database file, created when the store is opened, but not again when it vanishes later."""

    begin = "BEGIN IMMEDIATE"
    errors = (sqlite3.Error, OSError)
    mark, in_list = "?", "IN (SELECT value FROM json_each(?))"
    is_local = True

    def __init__(self, path: Path) -> None:
        self._path, self._is_created = path.absolute(), False
        engine = create_engine(
            "sqlite+pysqlite://",
            creator=lambda: self._connect("NORMAL", _CACHE_KB),
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
        except OutsideError as problem:
            raise StoreUnavailable(str(problem)) from None
        except (SQLAlchemyError, OSError) as problem:
            raise StoreUnavailable(describe_error(problem)) from None

    def checkpoint(self) -> None:
        size = size_of(self._sibling_path("-wal"))
        if size > LOG_BYTES and self._path.exists():
            with closing(self._connect("NORMAL", _CACHE_KB)) as connection:
                connection.execute("PRAGMA busy_timeout = 100")
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                if size > MAX_LOG_BYTES:
                    connection.execute("PRAGMA wal_checkpoint(RESTART)")

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

    def _connect(self, synchronous: str, cache_kb: int) -> _SqliteConnection:
        # mode=rw: a file that vanished must not be created again, empty.
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

    def _check(self, connection: DriverConnection, record: object, proxy: object) -> None:
        if not self.is_usable(connection):
            raise DisconnectionError


_ABOUT_CONTENT = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
_UPSERT_CURRENT = upsert_current_scores("predictions WHERE seq > ? AND NOT replay ORDER BY seq", "?")


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
