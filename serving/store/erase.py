"""Deletes from the store: all rows of a lead, and predictions that are too old."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from serving.store.backends.base import Database
from serving.store.disk_queue import DiskQueue
from serving.store.errors import StoreUnavailable, describe_error
from serving.store.tables import metadata
from serving.store.writer import Writer

ROWS_AT_ONCE = 1_000
_TABLES = sorted(name for name, table in metadata.tables.items() if "lead_id" in table.c)
T = TypeVar("T")


def forget(database: Database, writer: Writer, disk_queue: DiskQueue, lead_id: str) -> dict[str, int]:
    """Erase a lead from all tables, the queue on disk and the database's files; the deleted rows by table.

    Raises StoreUnavailable.
    """

    def erase() -> dict[str, int]:
        # No process may drain the lead's predictions into the database meanwhile.
        with disk_queue.erasing(lead_id) as queued:
            deleted = writer.transact(
                True, lambda cursor: {name: database.erase(cursor, name, lead_id) for name in _TABLES}
            )
        return {**deleted, "spool": sum(queued)}

    counts = _run_in_writer(database, writer, erase)
    database.clear_free_pages(lead_id)
    return counts


def prune(database: Database, writer: Writer, before: int) -> int:
    """Delete predictions made before a moment (ms UTC); how many.

    In batches, so that requests need not wait. Raises StoreUnavailable.
    """

    def delete_batch() -> int:
        return writer.transact(False, lambda cursor: database.prune(cursor, before, ROWS_AT_ONCE))

    total = 0
    while deleted := _run_in_writer(database, writer, delete_batch):
        total += deleted
    return total


def _run_in_writer(database: Database, writer: Writer, work: Callable[[], T]) -> T:
    try:
        return writer.run(work)
    except database.errors as problem:
        raise StoreUnavailable(describe_error(problem)) from None
