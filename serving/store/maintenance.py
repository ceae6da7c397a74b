"""The maintenance thread of a store: probes the database, drains the queue on disk, packs blocks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from serving.observability.limited_log import LimitedLog
from serving.store.activities.blocks import pack_block
from serving.store.activities.packing import PackingRequests
from serving.store.backends.base import Cursor, Database, rollback_and_close
from serving.store.change_signal import ChangeSignal
from serving.store.circuit_breaker import CircuitBreaker
from serving.store.disk_queue import DiskQueue
from serving.store.erasure.suppression import SuppressionList
from serving.store.errors import RETRY_SECONDS, StoreUnavailable, describe_error
from serving.store.records import Prediction, Record
from serving.store.state.identity import StoreMarker, open_database
from serving.store.writer import Writer

TICK_SECONDS = 0.25
PREDICTIONS_AT_ONCE = 1_000
DRAIN_PAUSE_SECONDS = 0.05
"""Between two batches, so that processes that wait for the queue come first."""
PACK_PAUSE_SECONDS = 0.01
"""Between two blocks, so that others can write."""
log = logging.getLogger(__name__)


class _DatabaseFailed(Exception):
    """The database failed, not the queue on disk."""


class StoreMaintenance:
    """Maintains one store, in a thread of its own, until it is closed."""

    def __init__(
        self,
        database: Database,
        disk_queue: DiskQueue,
        breaker: CircuitBreaker,
        writer: Writer,
        signal: ChangeSignal,
        suppression: SuppressionList,
        marker: StoreMarker | None,
    ) -> None:
        self._database, self._disk_queue, self._marker = database, disk_queue, marker
        self._breaker, self._writer, self._signal = breaker, writer, signal
        self._suppression, self._limited_log = suppression, LimitedLog(log)
        self._closing, self._last_error = threading.Event(), ""
        self._packing = PackingRequests()
        self._thread = threading.Thread(target=self._run, name="store-maintenance", daemon=True)

    def start(self) -> None:
        """Probe the database and read the suppression list once in this thread, then start the thread."""
        self._probe()
        with suppress(StoreUnavailable):
            self._suppression.refresh(self._database)
        self._thread.start()

    def request_packing(self, lead_id: str) -> None:
        """Pack the activities of a lead that fill blocks, soon."""
        self._packing.add(lead_id)

    def count_activities(self, records: Sequence[Record]) -> None:
        """Pack the activities of leads that got many, soon."""
        self._packing.count(records)

    def stop(self) -> None:
        """Begin nothing new; the thread ends after its present work."""
        self._closing.set()
        self._breaker.wake.set()

    def close(self, seconds: float) -> None:
        """Stop, and wait for the thread for so many seconds."""
        self.stop()
        self._thread.join(seconds)

    def _run(self) -> None:
        due = time.monotonic() + RETRY_SECONDS
        while not self._closing.is_set():
            self._breaker.wake.wait(TICK_SECONDS)
            self._breaker.wake.clear()
            try:
                if time.monotonic() >= due:
                    due = time.monotonic() + RETRY_SECONDS
                    self._every_second()
                if not self._breaker.is_open:
                    self._database.checkpoint()
                    self._pack()
            except Exception as problem:
                self._limited_log.error("Looking after the store failed: %s", describe_error(problem))

    def _pack(self) -> None:
        """Pack blocks of the leads that wait; what cannot be packed now is read from its rows."""
        for lead_id in self._packing.take():
            pack = partial(pack_block, self._database, lead_id=lead_id)
            try:
                while not self._closing.is_set() and self._writer.run(
                    partial(self._writer.transact, False, pack)
                ):
                    self._closing.wait(PACK_PAUSE_SECONDS)
                    self._database.checkpoint()
            except StoreUnavailable:
                return  # closed meanwhile
            except self._database.errors as problem:
                log.debug("Activities could not be packed: %s", describe_error(problem))

    def _every_second(self) -> None:
        self._signal.reopen()
        if self._breaker.is_open:
            self._probe()
        try:
            if not self._breaker.is_open:
                self._suppression.refresh(self._database)
            while not self._breaker.is_open and not self._closing.is_set() and self._disk_queue.waiting:
                if not self._writer.run(self._drain) or self._closing.wait(DRAIN_PAUSE_SECONDS):
                    break
        except _DatabaseFailed as problem:
            self._breaker.trip(str(problem))
        except StoreUnavailable:
            return  # closed meanwhile, or unavailable again
        except OSError as problem:
            # The database may be fine: a damaged queue must not stop the writing. Logged once.
            if (error := describe_error(problem)) != self._last_error:
                log.error("The queue on disk cannot be drained: %s", error)
            self._last_error = error

    def _probe(self) -> None:
        """Find the store and migrate it, test whether the database can be written to, and set the breaker."""
        try:
            open_database(self._database, self._marker)
        except StoreUnavailable as problem:
            self._breaker.trip(str(problem), blocks_reads=True)
            return
        try:
            self._test_write()
        except self._database.errors as problem:
            self._breaker.trip(describe_error(problem))
            return
        self._breaker.reset()

    def _test_write(self) -> None:
        """Write a row that does not change: only a write shows that the disk is full."""
        connection = self._database.connect(durable=True)
        try:
            cursor = connection.cursor()
            cursor.execute(self._database.begin)
            cursor.execute("UPDATE alembic_version SET version_num = version_num")
            cursor.execute("COMMIT")
        finally:
            rollback_and_close(connection)

    def _drain(self) -> int:
        """Move a batch of predictions from the disk to the database; how many. Runs in the writer."""
        with self._disk_queue.draining(PREDICTIONS_AT_ONCE) as predictions:
            try:
                self._restore(predictions)
            except self._database.errors as problem:
                raise _DatabaseFailed(describe_error(problem)) from None
            return len(predictions)

    def _restore(self, predictions: list[Prediction]) -> None:
        """Store predictions, without those that the database refuses, which would block the queue."""
        try:
            if predictions:
                self._writer.transact(False, lambda cursor: self._insert(cursor, predictions))
        except Exception as problem:
            if not self._database.is_invalid(problem):
                raise
            if len(predictions) == 1:
                self._limited_log.error(
                    "A queued prediction could not be stored: %s", describe_error(problem)
                )
                return
            for prediction in predictions:
                self._restore([prediction])

    def _insert(self, cursor: Cursor, predictions: list[Prediction]) -> None:
        """Insert those that are not stored yet: a commit may have succeeded before its process was killed."""
        leads = list({prediction.lead_id for prediction in predictions})
        existing = set(self._database.find_predictions(cursor, leads))
        rows = [p for p in predictions if (p.lead_id, p.as_of, p.scored_at, p.request_id) not in existing]
        self._writer.insert_predictions(cursor, rows)
