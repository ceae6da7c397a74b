"""The errors of the store, and how an error of a database driver is shown."""

from __future__ import annotations

RETRY_SECONDS = 1.0


class StoreUnavailable(Exception):
    """The database cannot be reached, is locked for too long, or its disk is full.

    `retry_after` is in seconds. The message contains neither values of a lead nor a password.
    """

    def __init__(self, why: str, retry_after: float = RETRY_SECONDS) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class ManyActivities(Exception):
    """A lead and its account have more activities than are read at once."""


class InvalidRecord(ValueError):
    """A record that no database can hold; the message names the column and what is allowed."""


class WriteConflict(Exception):
    """Another process stored one of the records at the same time; the transaction must be repeated."""


def describe_error(problem: BaseException) -> str:
    """The type of an error and the first line of the driver's message, without values and SQL."""
    cause = getattr(problem, "orig", None) or problem
    lines = str(cause).splitlines()
    first = lines[0] if lines and _is_safe_to_show(cause) else ""
    return f"{type(cause).__name__}: {first}" if first else type(cause).__name__


def _is_safe_to_show(problem: BaseException) -> bool:
    """Errors about a connection, a lock or a disk are; those about data may quote the data."""
    names = {kind.__name__ for kind in type(problem).__mro__}
    about_data = names & {"DataError", "IntegrityError", "ProgrammingError", "InternalError"}
    return bool(names & {"OSError", "Error", "SQLAlchemyError"}) and not about_data
