"""Group commit: one thread of the process writes all requests that wait in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

from features.clock import now_ms
from serving.observability.limited_log import LimitedLog
from serving.store.backends.base import Cursor, Database, DriverConnection, rollback_and_close
from serving.store.backends.inserts import Entry, insert_new, lead_of
from serving.store.circuit_breaker import CircuitBreaker
from serving.store.disk_queue import DiskQueue
from serving.store.erasure.suppression import SuppressionList
from serving.store.errors import InvalidRecord, StoreUnavailable, WriteConflict, describe_error
from serving.store.records import Prediction, RecordKind, StoredState, WriteOutcome
from serving.store.state.audit_log import Actor, record_overrides

ROWS_A_GROUP = 5_000
ATTEMPTS = 3
MIRRORED: frozenset[RecordKind] = frozenset({"handovers", "outcomes", "overrides"})
"""The records that processes mirror in memory."""
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class WriteJob(Generic[T]):
    """Something to write, and the future that receives its result."""

    future: Future[T]

    def settle(self, result: T) -> None:
        """Set the result, unless the future is done: `close` does not wait for a slow writer."""
        with suppress(InvalidStateError):
            self.future.set_result(result)

    def fail(self, problem: Exception) -> None:
        """Set the exception, unless the future is done."""
        with suppress(InvalidStateError):
            self.future.set_exception(copy(problem))


@dataclass(slots=True)
class RecordsJob(WriteJob[list[WriteOutcome]]):
    """Records, which are flushed to the disk before the future is done. Overrides by an `actor` are noted in
    the audit log."""

    rows: Sequence[Entry]
    actor: Actor | None = None


@dataclass(slots=True)
class PredictionsJob(WriteJob[StoredState]):
    """Predictions, which need not be flushed."""

    rows: Sequence[Prediction]

    def fail(self, problem: Exception) -> None:
        self.settle("not_stored")


@dataclass(slots=True)
class CallableJob(WriteJob[T]):
    """Other work on the database, run between two groups. It may use Writer.transact."""

    work: Callable[[], T]
    rows: Sequence[object] = ()


Job: TypeAlias = RecordsJob | PredictionsJob | CallableJob[Any]
W = TypeVar("W", RecordsJob, PredictionsJob)


class Writer:
    """Writes the jobs that wait as one group with one commit.

    When a group fails because the database refuses the content of one job, the jobs are written one by
    one; any other error is passed to all jobs of the group.
    """

    def __init__(
        self,
        database: Database,
        disk_queue: DiskQueue,
        breaker: CircuitBreaker,
        suppression: SuppressionList,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        """`announce` is called when records that processes mirror are committed, before they are settled."""
        self._announce = announce
        self._database, self._disk_queue, self._breaker = database, disk_queue, breaker
        self._suppression = suppression
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._connections: dict[bool, DriverConnection] = {}
        self._current_group: list[Job] = []
        self._lock, self._open = threading.Lock(), True
        self._ended = False
        self._limited_log = LimitedLog(log)
        self.commits = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Add a job to the queue. Its future can no longer be cancelled, so a lost client loses nothing."""
        job.future.set_running_or_notify_cancel()
        with self._lock:
            if self._open:
                self._queue.put(job)
                return
        job.fail(StoreUnavailable("the store is closed"))

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, run in the writer's thread. Raises what `work` raises."""
        future: Future[T] = Future()
        self.submit(CallableJob(future, work))
        return future.result()

    def transact(self, durable: bool, work: Callable[[Cursor], T]) -> T:
        """The result of `work`, which gets a cursor in one transaction. Only in the writer's thread.

        Raises what the driver raises. Nothing is written then; when COMMIT itself fails, perhaps all is.
        """
        try:
            cursor = self._cursor(durable)
            result = work(cursor)
            cursor.execute("COMMIT")
            self.commits += 1
        except BaseException:
            self._drop(durable)
            raise
        return result

    @property
    def queue_size(self) -> int:
        return self._queue.qsize()

    @property
    def is_idle(self) -> bool:
        return not self._current_group and self._queue.empty()

    def close(self, seconds: float, timeout: float) -> bool:
        """Write what waits, then end; whether the thread has ended.

        When that takes longer than `seconds`, the predictions that wait go to the queue on disk, for
        which `timeout` seconds more may pass.
        """
        with self._lock:
            self._open = False
            self._queue.put(None)
        self._thread.join(seconds)
        with self._lock:
            if not self._ended:
                self._spill(timeout)
        return self._ended

    def _spill(self, timeout: float) -> None:
        """Put on disk what waits in memory, and refuse the records.

        What is being written now may still succeed. Draining the queue skips predictions that are stored,
        and a sender that repeats a record receives "known".
        """
        unfinished = list(self._current_group)
        with suppress(Empty):
            while True:
                if (job := self._queue.get_nowait()) is not None:
                    unfinished.append(job)
        unsettled = [job for job in unfinished if not job.future.done()]
        self._queue_on_disk([job for job in unsettled if isinstance(job, PredictionsJob)], timeout)
        for job in unsettled:
            job.fail(StoreUnavailable("the store is closed"))
        self._queue.put(None)

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._next_group()
            self._run_safely(
                self._write_predictions, [job for job in group if isinstance(job, PredictionsJob)]
            )
            self._run_safely(self._write_records, [job for job in group if isinstance(job, RecordsJob)])
            for task in (job for job in group if isinstance(job, CallableJob)):
                _run_task(task)
            self._current_group = []
        for durable in list(self._connections):
            self._drop(durable)
        with self._lock:
            self._ended = True

    def _run_safely(self, write: Callable[[Sequence[W]], None], group: Sequence[W]) -> None:
        """Pass any error to the jobs: this thread must go on, and every future must end."""
        try:
            if group:
                write(group)
        except Exception as problem:
            self._limited_log.error("Writing failed: %s", type(problem).__name__)
            for job in group:
                job.fail(problem)

    def _next_group(self) -> tuple[list[Job], bool]:
        """All jobs that wait, one or more (none at the end), and whether to continue after them."""
        group = self._current_group = []
        rows = 0
        try:
            while rows < ROWS_A_GROUP:
                job = self._queue.get(block=not group)
                if job is None:
                    return group, False
                group.append(job)
                rows += len(job.rows)
        except Empty:
            pass
        return group, True

    def _write_records(self, group: Sequence[RecordsJob]) -> None:
        try:
            self._breaker.check()
            outcomes = self._with_retry(True, lambda cursor: self._insert_records(cursor, group))
        except Exception as problem:
            self._handle_records_error(group, problem)
            return
        if any(kind in MIRRORED for job in group for kind, _ in job.rows):
            self._announce()
        for job, job_outcomes in zip(group, outcomes, strict=True):
            job.settle(job_outcomes)

    def _insert_records(self, cursor: Cursor, group: Sequence[RecordsJob]) -> list[list[WriteOutcome]]:
        lists = [job.rows for job in group]
        erased = self._suppression.find_now(
            cursor, (lead_of(entry) for entries in lists for entry in entries)
        )
        outcomes = insert_new(self._database, cursor, lists, erased)
        for job, job_outcomes in zip(group, outcomes, strict=True):
            if job.actor is not None:
                record_overrides(self._database, cursor, job.actor, job.rows, job_outcomes)
        return outcomes

    def insert_predictions(self, cursor: Cursor, predictions: Sequence[Prediction]) -> None:
        """Insert predictions, without those of erased leads."""
        erased = self._suppression.find_now(cursor, (prediction.lead_id for prediction in predictions))
        if rows := [prediction for prediction in predictions if prediction.lead_id not in erased]:
            self._database.insert_predictions(cursor, rows, now_ms())

    def _handle_records_error(self, group: Sequence[RecordsJob], problem: Exception) -> None:
        if self._database.is_invalid(problem) and len(group) > 1:
            for job in group:
                self._write_records([job])
            return
        error = self._classify_error(problem)
        for job in group:
            job.fail(error)

    def _write_predictions(self, group: Sequence[PredictionsJob]) -> None:
        if self._breaker.is_open:
            self._queue_on_disk(group)
            return
        rows = [p for job in group for p in job.rows]
        try:
            if rows:
                self._with_retry(False, lambda cursor: self.insert_predictions(cursor, rows))
        except Exception as problem:
            self._handle_predictions_error(group, problem)
            return
        for job in group:
            job.settle("stored")

    def _handle_predictions_error(self, group: Sequence[PredictionsJob], problem: Exception) -> None:
        if not self._database.is_invalid(problem):
            self._classify_error(problem)
            self._queue_on_disk(group)
        elif len(group) > 1:
            for job in group:
                self._write_predictions([job])
        else:
            self._limited_log.error("Predictions could not be stored: %s", describe_error(problem))
            group[0].fail(problem)

    def _queue_on_disk(self, group: Sequence[PredictionsJob], timeout: float | None = None) -> None:
        pending = [job for job in group if not job.future.done()]
        taken = self._disk_queue.append([job.rows for job in pending], timeout) if pending else []
        for job, queued in zip(pending, taken, strict=True):
            job.settle("queued" if queued else "not_stored")

    def _classify_error(self, problem: Exception) -> Exception:
        """The error for a caller that waits; trips the breaker when the database is unavailable."""
        if isinstance(problem, StoreUnavailable):
            return problem
        if self._database.is_invalid(problem):
            return InvalidRecord(f"the database cannot hold this record ({describe_error(problem)})")
        if isinstance(problem, WriteConflict) or self._database.is_transient(problem):
            return StoreUnavailable("other processes write the same records")
        if isinstance(problem, self._database.errors):
            self._breaker.trip(describe_error(problem))
            return StoreUnavailable(describe_error(problem))
        self._limited_log.error("Writing failed: %s", type(problem).__name__)
        return problem

    def _with_retry(self, durable: bool, work: Callable[[Cursor], T]) -> T:
        """Run `work` in a transaction, and again after a conflict with another process."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self.transact(durable, work)
            except Exception as problem:
                is_retryable = isinstance(problem, WriteConflict) or self._database.is_transient(problem)
                if not is_retryable or attempt == ATTEMPTS:
                    raise
        raise AssertionError

    def _cursor(self, durable: bool) -> Cursor:
        """A cursor in a new transaction, on a new connection if the last one was lost."""
        connection = self._connections.get(durable)
        if connection is not None and self._database.is_usable(connection):
            try:
                return self._begin(connection)
            except self._database.errors:
                if self._database.is_usable(connection):
                    raise
        self._drop(durable)
        connection = self._connections[durable] = self._database.connect(durable)
        return self._begin(connection)

    def _begin(self, connection: DriverConnection) -> Cursor:
        cursor = connection.cursor()
        cursor.execute(self._database.begin)
        return cursor

    def _drop(self, durable: bool) -> None:
        connection = self._connections.pop(durable, None)
        if connection is not None:
            rollback_and_close(connection)


def _run_task(task: CallableJob[T]) -> None:
    try:
        result = task.work()
    except Exception as problem:
        # The error itself: not each can be copied.
        with suppress(InvalidStateError):
            task.future.set_exception(problem)
    else:
        task.settle(result)
