"""Whether the database can be used, as far as this process knows."""

from __future__ import annotations

import logging
import threading
import time

from serving.store.backends.base import StoreAway

log = logging.getLogger(__name__)


class Breaker:
    """Open while the database is away: then nobody waits for it but the keeper, who tries again.

    Any thread may ask and tell. `wake` is set when something has to be looked after.
    """

    def __init__(self) -> None:
        self.wake = threading.Event()
        self._lock = threading.Lock()
        self._why: str | None = None
        self._unread = False
        self._since = 0.0

    @property
    def away(self) -> bool:
        """Whether nothing can be written now."""
        return self._why is not None

    def check(self, reading: bool = False) -> None:
        """Raise StoreAway where the database cannot be written to (or, `reading`, not be read)."""
        why = self._why
        if why is not None and (self._unread or not reading):
            raise StoreAway(why)

    def opened(self, why: str, unread: bool = False) -> None:
        """The database is away, since now or still. `unread`: it cannot be read either."""
        with self._lock:
            if self._why is None:
                self._since = time.monotonic()
                log.warning("The store is away: %s", why)
            self._why, self._unread = why, unread
        self.wake.set()

    def closed(self) -> None:
        """The database is back."""
        with self._lock:
            if self._why is not None:
                log.info("The store is back after %.1f s", time.monotonic() - self._since)
            self._why, self._unread = None, False
