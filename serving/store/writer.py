"""The one thread of a process that writes to the database: all that waits, in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from features.clock import now_ms
from serving.store.backends.base import Database, StoreUnavailable, describe_error, rollback_and_close
from serving.store.circuit_breaker import CircuitBreaker
from serving.store.deduplicate import WriteConflict, insert_new
from serving.store.disk_queue import Spool
from serving.store.records import InvalidRecord
from serving.store.write_jobs import CallableJob, PredictionsJob, RecordsJob, WriteJob

ROWS_A_GROUP = 5_000
ATTEMPTS = 3
T = TypeVar("T")
W = TypeVar("W", bound=WriteJob[Any])
log = logging.getLogger(__name__)


class Writer:
    """Takes what waits and writes it as one group: one commit, however many requests.

    What a group fails with, all in it are told, except where one of them is to blame.
    """

    def __init__(self, database: Database, spool: Spool, breaker: CircuitBreaker) -> None:
        self._database, self._spool, self._breaker = database, spool, breaker
        self._queue: SimpleQueue[WriteJob[Any] | None] = SimpleQueue()
        self._connections: dict[bool, Any] = {}
        self._current_group: list[WriteJob[Any]] = []
        self._lock, self._open = threading.Lock(), True
        self._ended = self._has_spilled = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, job: WriteJob[Any]) -> None:
        """Have something written. Its future can no longer be cancelled: who goes away loses nothing."""
        job.future.set_running_or_notify_cancel()
        with self._lock:
            if self._open:
                self._queue.put(job)
                return
        job.fail(StoreUnavailable("the store is closed"))

    def run(self, work: Callable[[], T]) -> T:
        """Run `work` in the writer's thread and wait for it. Raises what it raises."""
        future: Future[T] = Future()
        self.submit(CallableJob(future, work))
        return future.result()

    def transact(self, durable: bool, work: Callable[[Any], T]) -> T:
        """What `work` does with a cursor, in one transaction. Only in the writer's thread.

        Raises what the driver raises; nothing is written then, or (at the commit) perhaps all of it.
        """
        try:
            cursor = self._cursor(durable)
            result = work(cursor)
            cursor.execute("COMMIT")
        except BaseException:
            self._drop(durable)
            raise
        return result

    @property
    def queue_size(self) -> int:
        """Requests that wait to be written."""
        return self._queue.qsize()

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return not self._current_group and self._queue.empty()

    def close(self, seconds: float, patience: float) -> bool:
        """Write what waits, then end; whether it has ended.

        Where that takes longer than `seconds`, predictions go to the queue on disk, for which
        `patience` seconds more may pass. The queue is closed when the writer ends at last.
        """
        with self._lock:
            self._open = False
            self._queue.put(None)
        self._thread.join(seconds)
        with self._lock:
            if not self._ended:
                self._spill(patience)
        return self._ended

    def _spill(self, patience: float) -> None:
        """Nothing may wait in memory alone. What is being written now may succeed all the same: who
        drains the queue looks whether it is there, and a sender sends again what has its id."""
        self._has_spilled = True
        unfinished = list(self._current_group)
        with suppress(Empty):
            while True:
                if (job := self._queue.get_nowait()) is not None:
                    unfinished.append(job)
        open_still = [job for job in unfinished if not job.future.done()]
        self._queue_on_disk([w for w in open_still if isinstance(w, PredictionsJob)], patience)
        for job in open_still:
            job.fail(StoreUnavailable("the store is closed"))
        self._queue.put(None)

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._next_group()
            self._run_safely(self._write_predictions, [w for w in group if isinstance(w, PredictionsJob)])
            self._run_safely(self._write_records, [w for w in group if isinstance(w, RecordsJob)])
            for task in (w for w in group if isinstance(w, CallableJob)):
                _run_task(task)
            self._current_group = []
        for durable in list(self._connections):
            self._drop(durable)
        with self._lock:
            self._ended = True
            if self._has_spilled:
                self._spool.close()

    def _run_safely(self, write: Callable[[Sequence[W]], None], group: Sequence[W]) -> None:
        """Whatever happens, this thread goes on and nobody waits for ever."""
        try:
            if group:
                write(group)
        except Exception as problem:
            log.error("Writing failed: %s", type(problem).__name__)
            for job in group:
                job.fail(problem)

    def _next_group(self) -> tuple[list[WriteJob[Any]], bool]:
        """All that waits, at least one; and whether it goes on after that."""
        group = self._current_group = []
        rows = 0
        try:
            while rows < ROWS_A_GROUP:
                job = self._queue.get(block=not group)
                if job is None:
                    return group, False
                group.append(job)
                rows += job.rows
        except Empty:
            pass
        return group, True

    def _write_records(self, group: Sequence[RecordsJob]) -> None:
        lists = [job.entries for job in group]
        try:
            self._breaker.check()
            outcomes = self._with_retry(True, lambda cursor: insert_new(self._database, cursor, lists))
        except Exception as problem:
            self._handle_records_error(group, problem)
            return
        for job, job_outcomes in zip(group, outcomes, strict=True):
            job.settle(job_outcomes)

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
        try:
            self._insert_predictions(group)
        except Exception as problem:
            self._handle_predictions_error(group, problem)
            return
        for job in group:
            job.settle("stored")

    def _insert_predictions(self, group: Sequence[PredictionsJob]) -> None:
        rows = [p for job in group for p in job.predictions]
        if rows:
            self._with_retry(False, lambda cursor: self._database.insert_predictions(cursor, rows, now_ms()))

    def _handle_predictions_error(self, group: Sequence[PredictionsJob], problem: Exception) -> None:
        if not self._database.is_invalid(problem):
            self._classify_error(problem)
            self._queue_on_disk(group)
        elif len(group) > 1:
            for job in group:
                self._write_predictions([job])
        else:
            log.error("Predictions could not be stored: %s", describe_error(problem))
            group[0].fail(problem)

    def _queue_on_disk(self, group: Sequence[PredictionsJob], patience: float | None = None) -> None:
        pending = [job for job in group if not job.future.done()]
        taken = self._spool.append([w.predictions for w in pending], patience) if pending else []
        for job, queued in zip(pending, taken, strict=True):
            job.settle("queued" if queued else "not_stored")

    def _classify_error(self, problem: Exception) -> Exception:
        """The error as a waiting request is told it; the breaker opens where the database is away."""
        if isinstance(problem, StoreUnavailable):
            return problem
        if self._database.is_invalid(problem):
            return InvalidRecord(f"the database cannot hold this record ({describe_error(problem)})")
        if isinstance(problem, WriteConflict) or self._database.is_transient(problem):
            return StoreUnavailable("other processes write the same records")
        if isinstance(problem, self._database.errors):
            self._breaker.trip(describe_error(problem))
            return StoreUnavailable(describe_error(problem))
        log.error("Writing failed: %s", type(problem).__name__)
        return problem

    def _with_retry(self, durable: bool, work: Callable[[Any], T]) -> T:
        """Once more where another process came between."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self.transact(durable, work)
            except Exception as problem:
                is_retryable = isinstance(problem, WriteConflict) or self._database.is_transient(problem)
                if not is_retryable or attempt == ATTEMPTS:
                    raise
        raise AssertionError

    def _cursor(self, durable: bool) -> Any:
        """A cursor in a new transaction; on a new connection where the old one was lost meanwhile."""
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

    def _begin(self, connection: Any) -> Any:
        cursor = connection.cursor()
        cursor.execute(self._database.begin)
        return cursor

    def _drop(self, durable: bool) -> None:
        connection = self._connections.pop(durable, None)
        if connection is not None:
            rollback_and_close(connection)


def _run_task(task: CallableJob) -> None:
    try:
        result = task.work()
    except Exception as problem:
        # The error itself: not each can be copied.
        with suppress(InvalidStateError):
            task.future.set_exception(problem)
    else:
        task.settle(result)
