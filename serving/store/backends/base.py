"""What the store asks of a database, whichever it is; and how it says that it is away."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from serving.store.records import RecordKind

RETRY_SECONDS = 1.0
BUSY_SECONDS = 1.0

log = logging.getLogger(__name__)
T = TypeVar("T")
SqlRow = tuple[Any, ...]


class StoreUnavailable(Exception):
    """The database cannot be reached, is locked for too long, or its disk is full.

    `retry_after` is in seconds. The message holds no values and no password.
    """

    def __init__(self, why: str, retry_after: float = RETRY_SECONDS) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Database(ABC):
    """A database as the store needs it. `engine` is for reading, and commits each statement."""

    begin: ClassVar[str]
    errors: ClassVar[tuple[type[Exception], ...]]
    """What the driver raises. Where it does not `refuse` the content, the database is away."""

    is_local: ClassVar[bool]
    """Whether it is a file of this machine, which reading does not wait for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` reads; once more on a new connection where an old one was lost.

        Raises StoreUnavailable.
        """
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
    def connect(self, durable: bool) -> Any:
        """The driver's own connection for writing, which commits only when told.

        Durable: a commit returns when it is on the disk; else when it survives this process.
        """

    @abstractmethod
    def is_usable(self, connection: Any) -> bool:
        """Whether a connection still leads to the database (whose file may have been replaced)."""

    def is_invalid(self, problem: Exception) -> bool:
        """Whether an error is about the content: no database could hold it."""
        return isinstance(problem, ValueError | TypeError | OverflowError)

    @abstractmethod
    def is_transient(self, problem: Exception) -> bool:
        """Whether another process came between, so that the same once more may well succeed."""

    @abstractmethod
    def insert(self, cursor: Any, table: str, names: tuple[str, ...], rows: Sequence[SqlRow]) -> int:
        """Insert rows whose key and version are new; how many these were."""

    @abstractmethod
    def find_records(self, cursor: Any, kind: RecordKind, keys: Sequence[str]) -> list[tuple[str, int, str]]:
        """Key, version and digest of the records that have one of the keys."""

    @abstractmethod
    def insert_predictions(self, cursor: Any, rows: Sequence[SqlRow], now: int) -> None:
        """Insert predictions and bring current_scores up to date, all or nothing. `now` is ms UTC."""

    @abstractmethod
    def find_predictions(self, cursor: Any, lead_ids: Sequence[str]) -> list[SqlRow]:
        """lead_id, as_of, scored_at and request_id of the predictions of leads."""

    @abstractmethod
    def erase(self, cursor: Any, table: str, lead_id: str) -> int:
        """Delete a lead's rows; how many these were."""

    @abstractmethod
    def prune(self, cursor: Any, before: int, limit: int) -> int:
        """Delete at most so many predictions that were made before a moment (ms UTC)."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction to write in: on the disk when it has ended well. Raises StoreUnavailable."""

    @abstractmethod
    def migration(self) -> AbstractContextManager[Connection]:
        """A transaction that no other process migrates beside. Raises StoreUnavailable."""

    def create(self) -> None:  # noqa: B027
        """Make the database where this is its first use. Raises StoreUnavailable."""

    def checkpoint(self) -> None:  # noqa: B027
        """What is better done beside the writing."""

    def clear_free_pages(self, lead_id: str) -> None:  # noqa: B027
        """Clear what deleted rows left in the files. Raises StoreUnavailable."""

    def close(self) -> None:
        """Close what is open for reading."""
        self.engine.dispose()


def rollback_and_close(connection: Any) -> None:
    """Close a driver's connection and give up what was begun on it.

    Rolled back first: SQLite keeps its locks while an unfinished statement is known anywhere.
    """
    for step in (connection.rollback, connection.close):
        try:
            step()
        except Exception as problem:
            log.debug("A connection could not be closed well: %s", type(problem).__name__)


def describe_error(problem: BaseException) -> str:
    """The type of an error and what the driver says in its first line: no values, no SQL."""
    cause = getattr(problem, "orig", None) or problem
    lines = str(cause).splitlines()
    first = lines[0] if lines and _is_safe_to_show(cause) else ""
    return f"{type(cause).__name__}: {first}" if first else type(cause).__name__


def _is_safe_to_show(problem: BaseException) -> bool:
    """Errors about a connection, a lock or a disk; those about data may quote them."""
    names = {kind.__name__ for kind in type(problem).__mro__}
    about_data = names & {"DataError", "IntegrityError", "ProgrammingError", "InternalError"}
    return bool(names & {"OSError", "Error", "SQLAlchemyError"}) and not about_data
