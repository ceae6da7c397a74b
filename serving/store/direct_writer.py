"""Writing a few predictions where they are asked for: to wake the writer takes longer than to write."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from typing import Any

from features.clock import now_ms
from serving.store.backends.base import Database, rollback_and_close
from serving.store.records import Prediction

FEW = 4
_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class DirectWriter:
    """Writes to a database of this machine while nobody else does; it never waits for a lock."""

    def __init__(self, database: Database) -> None:
        self._database, self._lock = database, threading.Lock()
        self._connection: Any = None
        self._open = database.is_local

    def try_write(self, predictions: Sequence[Prediction]) -> bool:
        """Whether it stored a few predictions. Where not, for whatever cause, nothing of them is
        stored, and the writer finds out why."""
        if len(predictions) > FEW or not self._open or not self._lock.acquire(False):
            return False
        try:
            return self._write(predictions)
        except Exception:
            # Also where COMMIT failed the writer may write them again: `drop` rolls back and closes
            # first, and SQLite has then committed nothing. (After an error of the disk itself the end
            # of its log is in doubt, and is just what the next to write overwrites.)
            self._drop()
            return False
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the connection; nothing is written here after that."""
        with self._lock:
            self._open = False
            self._drop()

    def _write(self, predictions: Sequence[Prediction]) -> bool:
        """False where another writes: nothing was begun, so the connection is as good as before."""
        if self._connection is None or not self._database.is_usable(self._connection):
            self._drop()
            self._connection = self._database.connect(durable=False)
            self._connection.execute("PRAGMA busy_timeout = 0")
        cursor = self._connection.cursor()
        try:
            cursor.execute(self._database.begin)
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF in _BUSY_CODES:
                return False
            raise
        self._database.insert_predictions(cursor, predictions, now_ms())
        cursor.execute("COMMIT")
        return True

    def _drop(self) -> None:
        if self._connection is not None:
            rollback_and_close(self._connection)
        self._connection = None
