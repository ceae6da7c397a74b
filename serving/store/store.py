"""The store of a process: all reading and writing of the service's database goes through it.

Records are flushed to the disk before they are acknowledged. Predictions survive the end of the process,
and wait in the queue on disk while the database is unavailable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from features.clock import now_ms
from features.errors import SettingsError
from features.messages import Message
from scoring.model.pseudonyms import KEY_FILE
from serving.store import reads
from serving.store.activities.blocks import drop_blocks_of_keys, find_corrected_keys
from serving.store.backends.base import Cursor, Database
from serving.store.backends.sqlite import SqliteDatabase
from serving.store.change_signal import ChangeSignal
from serving.store.circuit_breaker import CircuitBreaker
from serving.store.direct_writer import DirectWriter
from serving.store.disk_queue import DiskQueue
from serving.store.erasure.suppression import SuppressionList
from serving.store.errors import InvalidRecord, StoreUnavailable, describe_error
from serving.store.maintenance import StoreMaintenance
from serving.store.queries import in_chunks
from serving.store.records import (
    ErasedLeads,
    HotRow,
    ListCursor,
    Prediction,
    Record,
    StoredLead,
    StoredState,
    WriteOutcome,
)
from serving.store.state.audit_log import Actor, Change, append_changes
from serving.store.state.identity import StoreMarker
from serving.store.state.retention import RetentionPlan, plan_retention
from serving.store.tables import activity_blocks, metadata
from serving.store.writer import PredictionsJob, RecordsJob, Writer

__all__ = [
    "HotRow",
    "InvalidRecord",
    "Store",
    "StoreUnavailable",
    "StoredLead",
    "StoredState",
    "WriteOutcome",
]

SPOOL_LIMIT = 64 * 2**20
ROWS_AT_ONCE = 1_000
CLOSE_SECONDS, QUEUE_SECONDS = 2.5, 0.5
"""For writing what waits and, if that takes longer, for the queue on disk: workers are killed soon after."""
T = TypeVar("T")
_TABLES = sorted(name for name, table in metadata.tables.items() if "lead_id" in table.c)


class Store:
    """Thread-safe. Open it after a fork, not before."""

    def __init__(
        self,
        database: Database,
        queue: DiskQueue,
        signal: ChangeSignal,
        suppression: SuppressionList,
        marker: StoreMarker | None = None,
    ) -> None:
        self._database, self._queue, self._breaker = database, queue, CircuitBreaker()
        self.suppression, self._signal = suppression, signal
        self._writer = Writer(database, queue, self._breaker, suppression, signal.announce)
        self._direct_writer = DirectWriter(database, suppression)
        self._maintenance = StoreMaintenance(
            database, queue, self._breaker, self._writer, signal, suppression, marker
        )
        self._maintenance.start()

    @staticmethod
    def open(
        url: str,
        spool: Path,
        spool_limit: int = SPOOL_LIMIT,
        marker: StoreMarker | None = None,
        key_file: Path | None = None,
    ) -> Store:
        """The store at a URL: sqlite:///file.db or postgresql://host/name, created or migrated.

        `spool` is the folder of the queue on disk, of at most `spool_limit` bytes. `marker` knows the store
        of this installation: where it is missing, none is created, and it is unavailable. `key_file` holds
        the key of the suppression list (None: `pseudonym.key` beside the folder). A database that is
        unavailable now is no error. Raises SettingsError for an invalid URL.
        """
        suppression = SuppressionList(key_file or spool.with_name(KEY_FILE))
        queue, signal = DiskQueue(spool, spool_limit), ChangeSignal(spool)
        return Store(database_from_url(url), queue, signal, suppression, marker)

    @property
    def is_unavailable(self) -> bool:
        """Whether nothing can be written to the database now."""
        return self._breaker.is_open

    @property
    def change_mark(self) -> bytes:
        """Another one whenever any process of this machine stored a step, an override or an outcome."""
        return self._signal.value

    def add_records(
        self, records: Sequence[Record], actor: Actor | None = None
    ) -> Future[list[WriteOutcome]]:
        """Store records, all or none; the future returns their outcomes, in order, after the flush.

        Overrides by an `actor` are noted in the audit log. The future fails with StoreUnavailable or
        InvalidRecord.
        """
        future: Future[list[WriteOutcome]] = Future()
        try:
            self._breaker.check()
            entries = [(record.kind, record.row()) for record in records]
        except (StoreUnavailable, InvalidRecord) as problem:
            future.set_exception(problem)
            return future
        self._writer.submit(RecordsJob(future, entries, actor))
        future.add_done_callback(lambda _: self._maintenance.count_activities(records))
        return future

    def add_predictions(self, predictions: Sequence[Prediction]) -> Future[StoredState]:
        """Store predictions in the database or, while that is unavailable, in the queue on disk.

        The future never fails: it returns where the predictions are.
        """
        future: Future[StoredState] = Future()
        if not predictions:
            future.set_result("stored")
            return future
        # Not while jobs wait for the writer: steady scoring would keep the database's lock from it.
        writes_directly = self._writer.is_idle and not self._breaker.is_open
        if writes_directly and self._direct_writer.try_write(predictions):
            future.set_result("stored")
        else:
            self._writer.submit(PredictionsJob(future, predictions))
        return future

    def find_queued(self, lead_id: str) -> list[Prediction]:
        """The predictions of a lead in the queue on disk. Raises OSError."""
        return self._queue.find(lead_id)

    def lead(self, lead_id: str, before: int | None = None, limit: int | None = None) -> StoredLead | None:
        """The history of a lead; None if it is unknown. `before` as in `leads`.


        Raises ManyActivities if the lead and its account have more activities than `limit` (None: any
        number), and StoreUnavailable.
        """
        return self.leads([lead_id], before, limit).get(lead_id)

    def leads(
        self, lead_ids: Sequence[str], before: int | None = None, limit: int | None = None
    ) -> dict[str, StoredLead]:
        """The history of leads by id, without unknown ones. Raises ManyActivities and StoreUnavailable.

        Accounts are those set `before` a moment (ms UTC; None: the newest).
        """
        leads_by_id: dict[str, StoredLead] = {}
        unique, report = list(dict.fromkeys(lead_ids)), self._maintenance.request_packing
        for chunk in in_chunks(unique):
            read_chunk = partial(reads.leads, lead_ids=chunk, before=before, limit=limit, report=report)
            leads_by_id |= self.read(read_chunk)
        return leads_by_id

    def scores(self, lead_id: str, limit: int = 100) -> list[dict[str, Any]]:
        """The predictions of a lead, newest moment first, with replays. Raises StoreUnavailable."""
        return self.read(lambda connection: reads.scores(connection, lead_id, limit))

    def call_list(
        self, owner: str | None, limit: int, now: int, after: ListCursor | None = None
    ) -> list[HotRow]:
        """The call list: hot leads without a closed deal by deadline, score and id.

        Of one `owner` or of all, `after` a position (None: from the start), with the steps of sales until
        `now` (ms UTC). Raises StoreUnavailable.
        """
        return self.read(lambda connection: reads.call_list(connection, owner, limit, now, after))

    def forget(
        self,
        lead_ids: Sequence[str],
        erased: ErasedLeads | None = None,
        may_return: bool = False,
        actor: Actor | None = None,
    ) -> ErasedLeads:
        """Erase leads and, unless they may return, put them on the suppression list.

        `erased` is what a failed call erased before. The audit log notes that an `actor` erased leads and how
        many, but not which. Traces in free pages of an SQLite file are cleared as well; in PostgreSQL, vacuum
        does that later. Raises StoreUnavailable: repeat the call then.
        """
        erased = ErasedLeads() if erased is None else erased
        for chunk in in_chunks(list(dict.fromkeys(lead_ids))):
            self._run_in_writer(partial(self._erase_chunk, chunk, erased, may_return, actor))
        self._database.clear_free_pages(lead_ids)
        return erased

    def _erase_chunk(
        self, lead_ids: Sequence[str], erased: ErasedLeads, may_return: bool, actor: Actor | None
    ) -> None:
        """Erase a few leads, with one transaction in the writer's thread."""

        def erase(cursor: Cursor) -> tuple[set[str], set[str], dict[str, int]]:
            before = set[str]()
            if not may_return:
                before = self.suppression.add(self._database, cursor, lead_ids, now_ms())
            present = {i for name in _TABLES for i in self._database.find_leads(cursor, name, lead_ids)}
            return before, present, self._erase_rows(lead_ids, len(present), actor, cursor)

        # No process may drain the leads' predictions into the database meanwhile.
        with self._queue.erasing(lead_ids) as queued:
            before, present, rows = self._writer.transact(True, erase)
        erased.add(present.union(queued), {**rows, "spool": len(queued)}, before)

    def lift(self, lead_ids: Sequence[str]) -> int:
        """Take leads off the suppression list; how many were on it. Raises StoreUnavailable."""

        def lift_chunk(chunk: Sequence[str]) -> int:
            return self._writer.transact(
                True, lambda cursor: self.suppression.lift(self._database, cursor, chunk)
            )

        lifted = sum(self._run_in_writer(partial(lift_chunk, chunk)) for chunk in in_chunks(lead_ids))
        self.suppression.refresh(self._database)
        return lifted

    def prune(self, before: int) -> int:
        """Delete predictions made before a moment (ms UTC), but not present scores; how many.

        In batches, so that requests need not wait. Raises StoreUnavailable.
        """

        def delete_batch() -> int:
            return self._writer.transact(
                False, lambda cursor: self._database.prune(cursor, before, ROWS_AT_ONCE)
            )

        total = 0
        while deleted := self._run_in_writer(delete_batch):
            total += deleted
        return total

    def apply_retention(self, now: int, days: int) -> RetentionPlan:
        """Delete predictions that are older than `days` at `now` (ms UTC), those of one day at most.

        Returns what was planned, which may wait for a person. Raises StoreUnavailable.
        """
        plan = self.write(partial(plan_retention, now=now, days=days))
        if plan.before is not None:
            self.prune(plan.before)
        return plan

    def queue_rows(self) -> int:
        """The predictions in the queue on disk, of all processes, and the requests that wait in memory."""
        return self._queue.rows + self._writer.queue_size

    def log_bytes(self) -> int:
        """The size of SQLite's write-ahead log; 0 in PostgreSQL."""
        return self._database.log_bytes()

    def close(self) -> None:
        """Write what waits and close all connections, within 3 s. Nothing is accepted after that.

        Predictions that cannot be written in that time go to the queue on disk.
        """
        deadline = time.monotonic() + CLOSE_SECONDS
        self._maintenance.stop()
        self._writer.close(CLOSE_SECONDS, QUEUE_SECONDS)
        self._maintenance.close(max(0.0, deadline - time.monotonic()))
        self._direct_writer.close()
        self._queue.close()
        self._database.close()
        self._signal.close()

    def read(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` on a connection for reading. Raises StoreUnavailable."""
        self._breaker.check(reading=True)
        return self._database.read(work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction, flushed to the disk when this returns.

        For tables that hold no records. Rolled back when `work` raises. Raises StoreUnavailable.
        """
        self._breaker.check()
        with self._database.transaction() as connection:
            return work(connection)

    def _erase_rows(
        self, lead_ids: Sequence[str], present: int, actor: Actor | None, cursor: Cursor
    ) -> dict[str, int]:
        """Delete the rows of leads, of which some are `present`; how many by table."""
        corrected_keys = find_corrected_keys(self._database, cursor, lead_ids)
        deleted = {name: self._database.erase(cursor, name, lead_ids) for name in _TABLES}
        if corrected_keys:
            drop_blocks_of_keys(self._database, cursor, corrected_keys)
        del deleted[activity_blocks.name]  # they are the activities once more
        if actor is not None:
            change = Change(actor, "lead_erased", detail={"leads": present, "rows": sum(deleted.values())})
            append_changes(cursor.execute, self._database.mark, [change])
        return deleted

    def _run_in_writer(self, work: Callable[[], T]) -> T:
        self._breaker.check()
        try:
            return self._writer.run(work)
        except self._database.errors as problem:
            raise StoreUnavailable(describe_error(problem)) from None


def database_from_url(url: str) -> Database:
    """The database of a URL. Raises SettingsError, which does not show a password."""
    try:
        parsed_url = make_url(url)
        name = parsed_url.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise SettingsError("The store's URL cannot be read. {allowed}", allowed=_ALLOWED) from None
    if name == "sqlite" and parsed_url.database not in (None, "", ":memory:") and not parsed_url.query:
        return SqliteDatabase(Path(parsed_url.database))
    if name in ("postgresql", "postgres"):
        from serving.store.backends.postgres import PostgresDatabase  # only the driver that is used

        return PostgresDatabase(parsed_url.set(drivername="postgresql+psycopg"))
    shown = parsed_url.render_as_string(hide_password=True)
    raise SettingsError("The store cannot be at {url}. {allowed}", url=shown, allowed=_ALLOWED)


_ALLOWED = Message("It must be such as sqlite:///hotlead-out/store.db or postgresql://user@host/database.")
