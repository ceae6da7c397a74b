"""Writes a few predictions in the thread of the request: waking the writer would take longer."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

from features.clock import now_ms
from serving.store.backends.base import Database, DriverConnection, rollback_and_close
from serving.store.erasure.suppression import SuppressionList
from serving.store.records import Prediction

FEW = 4
_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class DirectWriter:
    """Writes to a local database that no other process writes to now; never waits for a lock."""

    connection: DriverConnection | None
    """Open from the first write until one fails."""

    def __init__(self, database: Database, suppression: SuppressionList) -> None:
        self._database, self._suppression, self._lock = database, suppression, threading.Lock()
        self.connection = None
        self._open = database.is_local

    def try_write(self, predictions: Sequence[Prediction]) -> bool:
        """Whether the predictions were stored. If not, for any cause, none of them is: use the writer."""
        if len(predictions) > FEW or not self._open or not self._lock.acquire(False):
            return False
        try:
            return self._write(predictions)
        except Exception:
            # The writer may write them again even when COMMIT failed: _drop rolls back and closes, and
            # SQLite has then committed nothing. (After an error of the disk the end of its log is in
            # doubt, and the next write overwrites exactly that.)
            self._drop()
            return False
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connection; nothing is written here after that."""
        with self._lock:
            self._open = False
            self._drop()

    def _write(self, predictions: Sequence[Prediction]) -> bool:
        """False when another connection writes: no transaction was begun, the connection stays open."""
        if self.connection is None or not self._database.is_usable(self.connection):
            self._drop()
            self.connection = self._database.connect(durable=False)
            self.connection.cursor().execute("PRAGMA busy_timeout = 0")
        cursor = self.connection.cursor()
        try:
            cursor.execute(self._database.begin)
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF in _BUSY_CODES:
                return False
            raise
        erased = self._suppression.find_now(cursor, (prediction.lead_id for prediction in predictions))
        if rows := [prediction for prediction in predictions if prediction.lead_id not in erased]:
            self._database.insert_predictions(cursor, rows, now_ms())
        cursor.execute("COMMIT")
        return True

    def _drop(self) -> None:
        if self.connection is not None:
            rollback_and_close(self.connection)
        self.connection = None
