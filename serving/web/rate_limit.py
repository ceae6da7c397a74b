"""How often a key may ask: a bucket of tokens that fills as time goes by."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_KEYS = 10_000
"""So many buckets are remembered; the one that was asked for least lately is forgotten first."""


class RateLimiter:
    """At most `rate` requests a second for each key, and as many at once (at least one).

    `rate` 0 means no limit. `clock` gives seconds that only rise.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._capacity, self._clock = rate, max(1.0, rate), clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def retry_after(self, key_id: str) -> float:
        """0 where the key may ask now (and a token is taken), else the seconds until it may."""
        if not self._rate:
            return 0.0
        now = self._clock()
        tokens, refilled_at = self._buckets.pop(key_id, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - refilled_at) * self._rate)
        allowed = tokens >= 1
        # Put back at the end: the dictionary's order is the order of use.
        self._buckets[key_id] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_KEYS:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if allowed else (1 - tokens) / self._rate

    def __len__(self) -> int:
        return len(self._buckets)
