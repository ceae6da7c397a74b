"""The thread that looks after the store: tries whether the database is back, drains, tidies."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from features.clock import now_ms
from serving.store.backends.base import (
    RETRY_SECONDS,
    Database,
    SqlRow,
    StoreUnavailable,
    describe_error,
    rollback_and_close,
)
from serving.store.circuit_breaker import CircuitBreaker
from serving.store.disk_queue import Spool
from serving.store.migrate import migrate
from serving.store.records import Prediction
from serving.store.writer import Writer

TICK_SECONDS = 0.25
PREDICTIONS_AT_ONCE = 1_000
log = logging.getLogger(__name__)


class _DatabaseFailed(Exception):
    """The database failed, not the queue on disk."""


class StoreMaintenance:
    """Looks after one store until it is closed."""

    def __init__(self, database: Database, spool: Spool, breaker: CircuitBreaker, writer: Writer) -> None:
        self._database, self._spool = database, spool
        self._breaker, self._writer = breaker, writer
        self._closing, self._last_error = threading.Event(), ""
        self._thread = threading.Thread(target=self._run, name="store-keeper", daemon=True)

    def start(self) -> None:
        """Try the database once now, then look after it in a thread of its own."""
        self._probe()
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing new."""
        self._closing.set()
        self._breaker.wake.set()

    def close(self, seconds: float) -> None:
        """End, after what is being done."""
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
            except Exception as problem:
                log.error("Looking after the store failed: %s", describe_error(problem))

    def _every_second(self) -> None:
        if self._breaker.is_open:
            self._probe()
        try:
            while not self._breaker.is_open and not self._closing.is_set() and self._spool.waiting:
                if not self._writer.run(self._drain):
                    break
        except _DatabaseFailed as problem:
            self._breaker.trip(str(problem))
        except StoreUnavailable:
            return  # closed meanwhile
        except OSError as problem:
            # The database may well be fine: what is wrong with the queue takes no writing away.
            if (error_name := type(problem).__name__) != self._last_error:
                log.error("The queue on disk cannot be drained: %s", describe_error(problem))
            self._last_error = error_name

    def _probe(self) -> None:
        """Migrate, then write where it takes nothing away: a full disk shows only then."""
        try:
            migrate(self._database)
        except StoreUnavailable as problem:
            self._breaker.trip(str(problem), unread=True)
            return
        try:
            self._test_write()
        except self._database.errors as problem:
            self._breaker.trip(describe_error(problem))
            return
        self._breaker.reset()

    def _test_write(self) -> None:
        connection = self._database.connect(durable=True)
        try:
            cursor = connection.cursor()
            cursor.execute(self._database.begin)
            cursor.execute("UPDATE alembic_version SET version_num = version_num")
            cursor.execute("COMMIT")
        finally:
            rollback_and_close(connection)

    def _drain(self) -> int:
        """Bring some predictions from the disk to the database; how many they were."""
        with self._spool.draining(PREDICTIONS_AT_ONCE) as predictions:
            try:
                self._restore_batch(predictions)
            except self._database.errors as problem:
                raise _DatabaseFailed(describe_error(problem)) from None
            return len(predictions)

    def _restore_batch(self, predictions: list[Prediction]) -> None:
        try:
            self._restore(predictions)
        except Exception as problem:
            if not self._database.is_invalid(problem):
                raise
            self._restore_each(predictions)

    def _restore_each(self, predictions: list[Prediction]) -> None:
        """One by one, without those that the database refuses: they would hold up all others."""
        for prediction in predictions:
            try:
                self._restore([prediction])
            except Exception as problem:
                if not self._database.is_invalid(problem):
                    raise
                log.error("A queued prediction could not be stored: %s", describe_error(problem))

    def _restore(self, predictions: list[Prediction]) -> None:
        if predictions:
            self._writer.transact(False, lambda cursor: self._insert(cursor, predictions))

    def _insert(self, cursor: Any, predictions: list[Prediction]) -> None:
        """Those that are not there yet: a commit may have succeeded though we never heard of it."""
        leads = list({prediction.lead_id for prediction in predictions})
        existing = set(self._database.find_predictions(cursor, leads))
        rows = [p for p in predictions if _prediction_key(p) not in existing]
        if rows:
            self._database.insert_predictions(cursor, rows, now_ms())


def _prediction_key(prediction: Prediction) -> SqlRow:
    return (prediction.lead_id, prediction.as_of, prediction.scored_at, prediction.request_id)
