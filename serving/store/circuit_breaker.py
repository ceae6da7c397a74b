"""Whether the database can be used, as far as this process knows."""

from __future__ import annotations

import logging
import threading
import time

from serving.store.backends.base import StoreUnavailable

log = logging.getLogger(__name__)


class CircuitBreaker:
    """Open while the database is away: then nobody waits for it but the keeper, who tries again.

    Any thread may ask and tell. `wake` is set when something has to be looked after.
    """

    def __init__(self) -> None:
        self.wake = threading.Event()
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._blocks_reads = False
        self._since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether nothing can be written now."""
        return self._reason is not None

    def check(self, reading: bool = False) -> None:
        """Raise StoreUnavailable where the database cannot be written to (or, `reading`, not be read)."""
        why = self._reason
        if why is not None and (self._blocks_reads or not reading):
            raise StoreUnavailable(why)

    def trip(self, why: str, unread: bool = False) -> None:
        """The database is away, since now or still. `unread`: it cannot be read either."""
        with self._lock:
            if self._reason is None:
                self._since = time.monotonic()
                log.warning("The store is away: %s", why)
            self._reason, self._blocks_reads = why, unread
        self.wake.set()

    def reset(self) -> None:
        """The database is back."""
        with self._lock:
            if self._reason is not None:
                log.info("The store is back after %.1f s", time.monotonic() - self._since)
            self._reason, self._blocks_reads = None, False
