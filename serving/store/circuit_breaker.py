"""Remembers that the database is unavailable, so that requests fail at once instead of waiting."""

from __future__ import annotations

import logging
import threading
import time

from serving.store.errors import StoreUnavailable

log = logging.getLogger(__name__)


class CircuitBreaker:
    """Open while the database is unavailable; only StoreMaintenance tries it then.

    Thread-safe. `wake` is set when the breaker trips, so that the maintenance looks at once.
    """

    def __init__(self) -> None:
        self.wake = threading.Event()
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._blocks_reads = False
        self._since = 0.0

    @property
    def is_open(self) -> bool:
        return self._reason is not None

    def check(self, reading: bool = False) -> None:
        """Raise StoreUnavailable when the database cannot be written to (`reading`: cannot be read)."""
        why = self._reason
        if why is not None and (self._blocks_reads or not reading):
            raise StoreUnavailable(why)

    def trip(self, why: str, blocks_reads: bool = False) -> None:
        """Open the breaker. `blocks_reads`: the database cannot be read either."""
        with self._lock:
            if self._reason is None:
                self._since = time.monotonic()
                log.warning("The store is away: %s", why)
            self._reason, self._blocks_reads = why, blocks_reads
        self.wake.set()

    def reset(self) -> None:
        """Close the breaker: the database is available again."""
        with self._lock:
            if self._reason is not None:
                log.info("The store is back after %.1f s", time.monotonic() - self._since)
            self._reason, self._blocks_reads = None, False
