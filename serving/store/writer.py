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
from serving.store.backends.base import Database, StoreAway, drop, reason
from serving.store.circuit_breaker import Breaker
from serving.store.deduplicate import Overtaken, accept_all
from serving.store.disk_queue import Spool
from serving.store.records import Refused
from serving.store.write_jobs import Accepting, Remembering, Task, Waiting

ROWS_A_GROUP = 5_000
ATTEMPTS = 3
T = TypeVar("T")
W = TypeVar("W", bound=Waiting[Any])
log = logging.getLogger(__name__)


class Writer:
    """Takes what waits and writes it as one group: one commit, however many requests.

    What a group fails with, all in it are told, except where one of them is to blame.
    """

    def __init__(self, database: Database, spool: Spool, breaker: Breaker) -> None:
        self._database, self._spool, self._breaker = database, spool, breaker
        self._queue: SimpleQueue[Waiting[Any] | None] = SimpleQueue()
        self._connections: dict[bool, Any] = {}
        self._in_hand: list[Waiting[Any]] = []
        self._lock, self._open = threading.Lock(), True
        self._ended = self._given_up = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def put(self, waiting: Waiting[Any]) -> None:
        """Have something written. Its future can no longer be cancelled: who goes away loses nothing."""
        waiting.future.set_running_or_notify_cancel()
        with self._lock:
            if self._open:
                self._queue.put(waiting)
                return
        waiting.fail(StoreAway("the store is closed"))

    def run(self, work: Callable[[], T]) -> T:
        """Run `work` in the writer's thread and wait for it. Raises what it raises."""
        future: Future[T] = Future()
        self.put(Task(future, work))
        return future.result()

    def transact(self, durable: bool, work: Callable[[Any], T]) -> T:
        """What `work` does with a cursor, in one transaction. Only in the writer's thread.

        Raises what the driver raises; nothing is written then, or (at the commit) perhaps all of it.
        """
        try:
            cursor = self._begun(durable)
            told = work(cursor)
            cursor.execute("COMMIT")
        except BaseException:
            self._drop(durable)
            raise
        return told

    @property
    def waiting(self) -> int:
        """Requests that wait to be written."""
        return self._queue.qsize()

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return not self._in_hand and self._queue.empty()

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
                self._give_up(patience)
        return self._ended

    def _give_up(self, patience: float) -> None:
        """Nothing may wait in memory alone. What is being written now may succeed all the same: who
        drains the queue looks whether it is there, and a sender sends again what has its id."""
        self._given_up = True
        left = list(self._in_hand)
        with suppress(Empty):
            while True:
                if (waiting := self._queue.get_nowait()) is not None:
                    left.append(waiting)
        open_still = [waiting for waiting in left if not waiting.future.done()]
        self._queue_on_disk([w for w in open_still if isinstance(w, Remembering)], patience)
        for waiting in open_still:
            waiting.fail(StoreAway("the store is closed"))
        self._queue.put(None)

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._gathered()
            self._safely(self._remember, [w for w in group if isinstance(w, Remembering)])
            self._safely(self._accept, [w for w in group if isinstance(w, Accepting)])
            for task in (w for w in group if isinstance(w, Task)):
                _resolve(task)
            self._in_hand = []
        for durable in list(self._connections):
            self._drop(durable)
        with self._lock:
            self._ended = True
            if self._given_up:
                self._spool.close()

    def _safely(self, write: Callable[[Sequence[W]], None], group: Sequence[W]) -> None:
        """Whatever happens, this thread goes on and nobody waits for ever."""
        try:
            if group:
                write(group)
        except Exception as problem:
            log.error("Writing failed: %s", type(problem).__name__)
            for waiting in group:
                waiting.fail(problem)

    def _gathered(self) -> tuple[list[Waiting[Any]], bool]:
        """All that waits, at least one; and whether it goes on after that."""
        group = self._in_hand = []
        rows = 0
        try:
            while rows < ROWS_A_GROUP:
                waiting = self._queue.get(block=not group)
                if waiting is None:
                    return group, False
                group.append(waiting)
                rows += waiting.rows
        except Empty:
            pass
        return group, True

    def _accept(self, group: Sequence[Accepting]) -> None:
        lists = [waiting.entries for waiting in group]
        try:
            self._breaker.check()
            outcomes = self._tried(True, lambda at: accept_all(self._database, at, lists))
        except Exception as problem:
            self._accept_failed(group, problem)
            return
        for waiting, told in zip(group, outcomes, strict=True):
            waiting.settle(told)

    def _accept_failed(self, group: Sequence[Accepting], problem: Exception) -> None:
        if self._database.refuses(problem) and len(group) > 1:
            for waiting in group:
                self._accept([waiting])
            return
        told = self._told(problem)
        for waiting in group:
            waiting.fail(told)

    def _remember(self, group: Sequence[Remembering]) -> None:
        if self._breaker.away:
            self._queue_on_disk(group)
            return
        try:
            self._remembered(group)
        except Exception as problem:
            self._remember_failed(group, problem)
            return
        for waiting in group:
            waiting.settle("stored")

    def _remembered(self, group: Sequence[Remembering]) -> None:
        rows = [p for waiting in group for p in waiting.predictions]
        if rows:
            self._tried(False, lambda at: self._database.remember(at, rows, now_ms()))

    def _remember_failed(self, group: Sequence[Remembering], problem: Exception) -> None:
        if not self._database.refuses(problem):
            self._told(problem)
            self._queue_on_disk(group)
        elif len(group) > 1:
            for waiting in group:
                self._remember([waiting])
        else:
            log.error("Predictions could not be stored: %s", reason(problem))
            group[0].fail(problem)

    def _queue_on_disk(self, group: Sequence[Remembering], patience: float | None = None) -> None:
        left = [waiting for waiting in group if not waiting.future.done()]
        taken = self._spool.append([w.predictions for w in left], patience) if left else []
        for waiting, queued in zip(left, taken, strict=True):
            waiting.settle("queued" if queued else "not_stored")

    def _told(self, problem: Exception) -> Exception:
        """The error as a waiting request is told it; the breaker opens where the database is away."""
        if isinstance(problem, StoreAway):
            return problem
        if self._database.refuses(problem):
            return Refused(f"the database cannot hold this record ({reason(problem)})")
        if isinstance(problem, Overtaken) or self._database.passes(problem):
            return StoreAway("other processes write the same records")
        if isinstance(problem, self._database.errors):
            self._breaker.opened(reason(problem))
            return StoreAway(reason(problem))
        log.error("Writing failed: %s", type(problem).__name__)
        return problem

    def _tried(self, durable: bool, work: Callable[[Any], T]) -> T:
        """Once more where another process came between."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self.transact(durable, work)
            except Exception as problem:
                again = isinstance(problem, Overtaken) or self._database.passes(problem)
                if not again or attempt == ATTEMPTS:
                    raise
        raise AssertionError

    def _begun(self, durable: bool) -> Any:
        """A cursor in a new transaction; on a new connection where the old one was lost meanwhile."""
        connection = self._connections.get(durable)
        if connection is not None and self._database.usable(connection):
            try:
                return self._begin(connection)
            except self._database.errors:
                if self._database.usable(connection):
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
            drop(connection)


def _resolve(task: Task) -> None:
    try:
        told = task.work()
    except Exception as problem:
        # The error itself: not each can be copied.
        with suppress(InvalidStateError):
            task.future.set_exception(problem)
    else:
        task.settle(told)
