"""What the service remembers: the one place that reads and writes its database.

What was sent is on the disk before it is acknowledged; predictions survive the end of the process, and
wait on disk while the database is away.
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

from features.errors import SettingsError
from scoring.decision.overrides import Override
from serving.leads.sales_status import StoredSteps
from serving.store import erase as erasing
from serving.store import reads as store_reads
from serving.store import sales_steps as done_queries
from serving.store.backends.base import Database, StoreUnavailable
from serving.store.circuit_breaker import CircuitBreaker
from serving.store.direct_writer import DirectWriter
from serving.store.disk_queue import Spool
from serving.store.maintenance import StoreMaintenance
from serving.store.records import InvalidRecord, Prediction, Record, StoredState, WriteOutcome
from serving.store.rows import HotRow, ListCursor, StoredLead
from serving.store.write_jobs import PredictionsJob, RecordsJob
from serving.store.writer import Writer

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
CLOSE_SECONDS, QUEUE_SECONDS = 2.5, 0.5
"""To write what waits and, where that is not enough, to put it on disk: workers are soon killed."""
T = TypeVar("T")


class Store:
    """The database of a process. Any thread may use it; open it after a fork, not before."""

    def __init__(self, database: Database, spool: Spool) -> None:
        self._database, self._spool, self._breaker = database, spool, CircuitBreaker()
        self._writer = Writer(database, spool, self._breaker)
        self._direct_writer = DirectWriter(database)
        self._maintenance = StoreMaintenance(database, spool, self._breaker, self._writer)
        self._maintenance.start()

    @staticmethod
    def open(url: str, spool: Path, spool_limit: int = SPOOL_LIMIT) -> Store:
        """The store at a URL: sqlite:///file.db or postgresql://host/name, made or migrated.

        `spool` is the folder where predictions wait, for `spool_limit` bytes, while the database is
        away; that it is away now is no error. Raises SettingsError for a URL that cannot be one.
        """
        return Store(database_from_url(url), Spool(spool, spool_limit))

    @property
    def is_unavailable(self) -> bool:
        """Whether nothing can be written now, as far as is known."""
        return self._breaker.is_open

    @property
    def is_local(self) -> bool:
        """Whether reading need not be given to a thread: a millisecond, and nothing to wait for.

        There a busy thread would even slow it down: SQLite gives the interpreter away at each row.
        """
        return self._database.is_local

    def add_records(self, records: Sequence[Record]) -> Future[list[WriteOutcome]]:
        """Store records; the outcome of each, at its place, once all are on the disk.

        All or none are stored. The future fails with StoreUnavailable, or with Refused.
        """
        future: Future[list[WriteOutcome]] = Future()
        try:
            self._breaker.check()
            entries = [(record.kind, record.row()) for record in records]
        except (StoreUnavailable, InvalidRecord) as problem:
            future.set_exception(problem)
            return future
        self._writer.submit(RecordsJob(future, entries))
        return future

    def add_predictions(self, predictions: Sequence[Prediction]) -> Future[StoredState]:
        """Store predictions, in the database or, while that is away, in the queue on disk.

        The future never fails.
        """
        future: Future[StoredState] = Future()
        # Not beside the writer: who scores all the time would keep the database's lock from it.
        writes_directly = self._writer.is_idle and not self._breaker.is_open
        if writes_directly and self._direct_writer.try_write(predictions):
            future.set_result("stored")
        else:
            self._writer.submit(PredictionsJob(future, predictions))
        return future

    def lead(self, lead_id: str, before: int | None = None) -> StoredLead | None:
        """What is known of a lead; None where nothing is. `before` as in `leads`. Raises StoreUnavailable."""
        return self.leads([lead_id], before).get(lead_id)

    def leads(self, lead_ids: Sequence[str], before: int | None = None) -> dict[str, StoredLead]:
        """What is known of leads, without those of whom nothing is. Raises StoreUnavailable.

        Accounts, theirs and of others, are those told `before` a moment (ms UTC; None: the last told).
        """
        leads_by_id: dict[str, StoredLead] = {}
        unique = list(dict.fromkeys(lead_ids))
        chunk_size = store_reads.LEADS_AT_ONCE
        for start in range(0, len(unique), chunk_size):
            part = unique[start : start + chunk_size]
            leads_by_id |= self._read(partial(store_reads.leads, lead_ids=part, before=before))
        return leads_by_id

    def scores(self, lead_id: str, limit: int = 100) -> list[dict[str, Any]]:
        """A lead's predictions as stored, newest moment first, replays too. Raises StoreUnavailable."""
        return self._read(lambda connection: store_reads.scores(connection, lead_id, limit))

    def call_list(
        self, owner: str | None, limit: int, now: int, after: ListCursor | None = None
    ) -> list[HotRow]:
        """The call list: hot leads without a closed deal, by deadline, then score, then id.

        Of one `owner`, or of all, `after` a place in it (None: from the start); what was done about
        them until `now` (ms UTC). Raises StoreUnavailable.
        """
        return self._read(lambda connection: store_reads.call_list(connection, owner, limit, now, after))

    def overrides(self) -> Sequence[Override]:
        """All verdicts of people on leads, by hand and at the hand-over. Raises StoreUnavailable."""
        return self._read(store_reads.overrides)

    def overrides_version(self) -> tuple[int, ...]:
        """Changes whenever a verdict is stored or erased. Raises StoreUnavailable."""
        return self._read(store_reads.overrides_version)

    def steps_newest(self) -> tuple[int, ...]:
        """Changes whenever a deal closes or a hand-over is told. Raises StoreUnavailable."""
        return self._read(done_queries.newest_rows)

    def steps_count(self) -> int:
        """How many rows tell of closed deals and hand-overs. Raises StoreUnavailable."""
        return self._read(done_queries.count_rows)

    def steps(self, after: tuple[int, ...] | None = None) -> StoredSteps:
        """Closed deals and next actions in the rows after those (None: in all). Raises StoreUnavailable."""
        return self._read(partial(done_queries.read_steps, after=after))

    def forget(self, lead_id: str) -> dict[str, int]:
        """Erase a lead; how many rows went, by table, and those of the "spool".

        Its traces in an SQLite file are cleared too (PostgreSQL's own vacuum does that there, in its
        time). Raises StoreUnavailable; call it again then.
        """
        self._breaker.check()
        return erasing.forget(self._database, self._writer, self._spool, lead_id)

    def prune(self, before: int) -> int:
        """Delete predictions made before a moment (ms UTC); how many. Raises StoreUnavailable.

        Each lead's present score stays.
        """
        self._breaker.check()
        return erasing.prune(self._database, self._writer, before)

    def queue_rows(self) -> int:
        """Predictions on disk and requests in memory that wait for the database."""
        return self._spool.rows + self._writer.queue_size

    def close(self) -> None:
        """Write what waits and let go of everything, within 3 s. Nothing is accepted after that.

        Predictions that cannot be written by then go to the queue on disk.
        """
        until = time.monotonic() + CLOSE_SECONDS
        self._maintenance.stop()
        ended = self._writer.close(CLOSE_SECONDS, QUEUE_SECONDS)
        self._maintenance.close(max(0.0, until - time.monotonic()))
        self._direct_writer.close()
        if ended:
            self._spool.close()
        self._database.close()

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` reads: for the pages, whose questions are their own. Raises StoreUnavailable."""
        return self._read(work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` does in one transaction, on the disk when this returns: for what is no record.

        Nothing of it is written where `work` raises. Raises StoreUnavailable.
        """
        self._breaker.check()
        with self._database.transaction() as connection:
            return work(connection)

    def _read(self, work: Callable[[Connection], T]) -> T:
        self._breaker.check(reading=True)
        return self._database.read(work)


def database_from_url(url: str) -> Database:
    """The database of a URL. Raises SettingsError, which does not show a password."""
    try:
        parsed_url = make_url(url)
        name = parsed_url.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise SettingsError(f"The store's URL cannot be read. {_ALLOWED}") from None
    if (
        name == "sqlite"
        and parsed_url.database
        and parsed_url.database != ":memory:"
        and not parsed_url.query
    ):
        from serving.store.backends.sqlite import SqliteDatabase

        return SqliteDatabase(Path(parsed_url.database))
    if name in ("postgresql", "postgres"):
        from serving.store.backends.postgres import PostgresDatabase

        return PostgresDatabase(parsed_url.set(drivername="postgresql+psycopg"))
    shown = parsed_url.render_as_string(hide_password=True)
    raise SettingsError(f"The store cannot be at {shown}. {_ALLOWED}")


_ALLOWED = "It must be such as sqlite:///hotlead-out/store.db or postgresql://user@host/database."
