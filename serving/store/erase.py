"""Taking things out of the store: a lead that is to be forgotten, predictions that are too old."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from serving.store.backends.base import Database, StoreAway, reason
from serving.store.disk_queue import Spool
from serving.store.tables import metadata
from serving.store.writer import Writer

ROWS_AT_ONCE = 1_000
_TABLES = sorted(name for name, table in metadata.tables.items() if "lead_id" in table.c)
T = TypeVar("T")


def forget(database: Database, writer: Writer, spool: Spool, lead_id: str) -> dict[str, int]:
    """Erase a lead from all tables, the queue on disk, and the database's files. Raises StoreAway."""

    def erase() -> dict[str, int]:
        # No process may drain the lead's predictions back while this goes on.
        with spool.erasing(lead_id) as queued:
            told = writer.transact(
                True, lambda at: {name: database.erase(at, name, lead_id) for name in _TABLES}
            )
        return {**told, "spool": sum(queued)}

    told = _run(database, writer, erase)
    database.scrub(lead_id)
    return told


def prune(database: Database, writer: Writer, before: int) -> int:
    """Delete old predictions, some at a time, so that requests need not wait. Raises StoreAway."""

    def some() -> int:
        return writer.transact(False, lambda at: database.prune(at, before, ROWS_AT_ONCE))

    gone = 0
    while told := _run(database, writer, some):
        gone += told
    return gone


def _run(database: Database, writer: Writer, work: Callable[[], T]) -> T:
    try:
        return writer.run(work)
    except database.errors as problem:
        raise StoreAway(reason(problem)) from None
