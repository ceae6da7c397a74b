"""The interface of a database to the store."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from serving.store.errors import StoreUnavailable, describe_error
from serving.store.records import Prediction, RecordKind

BUSY_SECONDS = 1.0

log = logging.getLogger(__name__)
T = TypeVar("T")
SqlRow = tuple[Any, ...]


class Cursor(Protocol):
    """A cursor of a driver, as far as the store uses it."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, query: str, params: Sequence[object] = ..., /) -> Cursor: ...
    def fetchone(self) -> SqlRow | None: ...
    def fetchall(self) -> list[SqlRow]: ...


class DriverConnection(Protocol):
    """A connection of a driver, as far as the store uses it."""

    def cursor(self) -> Cursor: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


class Database(ABC):
    """A database. `engine` is for reading and commits each statement."""

    begin: ClassVar[str]
    errors: ClassVar[tuple[type[Exception], ...]]
    """What the driver raises. Unless `is_invalid`, such an error means that the database is unavailable."""

    mark: ClassVar[str]
    """A parameter in SQL."""
    in_list: ClassVar[str]
    """The condition in SQL that a column is among the values of a parameter; see `to_list`."""

    is_local: ClassVar[bool]
    """Whether it is a file of this machine, so that reading never waits for a network."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def read(self, work: Callable[[Connection], T]) -> T:
        """The result of `work`, repeated once if the connection was lost. Raises StoreUnavailable."""
        for last in (False, True):
            try:
                with self.engine.connect() as connection:
                    return work(connection)
            except DBAPIError as problem:
                if last or not problem.connection_invalidated:
                    raise StoreUnavailable(describe_error(problem)) from None
            except (SQLAlchemyError, OSError) as problem:
                raise StoreUnavailable(describe_error(problem)) from None
        raise AssertionError

    @abstractmethod
    def connect(self, durable: bool) -> DriverConnection:
        """A connection of the driver for writing, which commits on COMMIT only.

        `durable`: a commit returns when it is flushed to the disk; else when it survives this process.
        """

    @abstractmethod
    def is_usable(self, connection: DriverConnection) -> bool:
        """Whether a connection still leads to the database, whose file may have been replaced."""

    def is_invalid(self, problem: Exception) -> bool:
        """Whether an error is caused by the content, which no database could store."""
        return isinstance(problem, ValueError | TypeError | OverflowError)

    def is_transient(self, problem: Exception) -> bool:
        """Whether an error was caused by another process, so that repeating may succeed."""
        return False

    @abstractmethod
    def insert(self, cursor: Cursor, table: str, names: tuple[str, ...], rows: Sequence[SqlRow]) -> int:
        """Insert the rows of records whose key and version are new; how many."""

    @abstractmethod
    def to_list(self, values: Sequence[str]) -> object:
        """Values as the parameter of `in_list`."""

    def find_records(self, cursor: Cursor, kind: RecordKind, keys: Sequence[str]) -> list[SqlRow]:
        """Key, version and digest of all versions of the records with the keys."""
        query = f'SELECT "key", version, digest FROM {kind} WHERE "key" {self.in_list}'
        return cursor.execute(query, (self.to_list(keys),)).fetchall()

    @abstractmethod
    def insert_predictions(self, cursor: Cursor, predictions: Sequence[Prediction], now: int) -> None:
        """Insert predictions and update current_scores. `now` is ms UTC."""

    def find_predictions(self, cursor: Cursor, lead_ids: Sequence[str]) -> list[SqlRow]:
        """lead_id, as_of, scored_at and request_id of the predictions of leads."""
        query = f"SELECT lead_id, as_of, scored_at, request_id FROM predictions WHERE lead_id {self.in_list}"
        return cursor.execute(query, (self.to_list(lead_ids),)).fetchall()

    def find_leads(self, cursor: Cursor, table: str, lead_ids: Sequence[str]) -> set[str]:
        """Those of the leads that have rows in a table."""
        query = f"SELECT DISTINCT lead_id FROM {table} WHERE lead_id {self.in_list}"
        return {lead_id for (lead_id,) in cursor.execute(query, (self.to_list(lead_ids),)).fetchall()}

    def erase(self, cursor: Cursor, table: str, lead_ids: Sequence[str]) -> int:
        """Delete the rows of leads; how many."""
        query = f"DELETE FROM {table} WHERE lead_id {self.in_list}"
        return cursor.execute(query, (self.to_list(lead_ids),)).rowcount

    def prune(self, cursor: Cursor, before: int, limit: int) -> int:
        """Delete predictions made before a moment (ms UTC), no more than `limit`; how many."""
        old = f"SELECT seq FROM predictions WHERE scored_at < {self.mark} LIMIT {self.mark}"
        return cursor.execute(f"DELETE FROM predictions WHERE seq IN ({old})", (before, limit)).rowcount

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction for writing, flushed to the disk when the block ends. Raises StoreUnavailable."""

    @abstractmethod
    def migration(self) -> AbstractContextManager[Connection]:
        """A transaction during which no other process migrates. Raises StoreUnavailable."""

    def exists(self) -> bool:
        """Whether there is something to connect to, as far as that can be seen without connecting."""
        return True

    def create(self) -> None:  # noqa: B027
        """Create the database on its first use. Raises StoreUnavailable."""

    def lock_activities(self, cursor: Cursor) -> None:  # noqa: B027
        """Until the transaction ends, no other process may insert activities; those begun are awaited."""

    def checkpoint(self) -> None:  # noqa: B027
        """Copy the write-ahead log into the database, so that no commit has to."""

    def log_bytes(self) -> int:
        """The size of the write-ahead log, where it is a file of ours; else 0."""
        return 0

    def clear_free_pages(self, lead_ids: Sequence[str]) -> None:  # noqa: B027
        """Clear what deleted rows left in the files. Raises StoreUnavailable."""

    def close(self) -> None:
        self.engine.dispose()


def rollback_and_close(connection: DriverConnection) -> None:
    """Roll back and close a connection of a driver. Errors are only logged.

    The rollback comes first: SQLite keeps its locks while an unfinished statement exists.
    """
    for step in (connection.rollback, connection.close):
        try:
            step()
        except Exception as problem:
            log.debug("A connection could not be closed well: %s", type(problem).__name__)
