"""The rate limit of a key: a token bucket."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_KEYS = 10_000
"""The number of buckets in memory; the least recently used one is dropped first."""


class RateLimiter:
    """At most `rate` requests per second for each key, in bursts of up to `rate` (at least 1).

    `rate` 0 means no limit. `clock` returns monotonic seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._capacity, self._clock = rate, max(1.0, rate), clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def retry_after(self, key_id: str) -> float:
        """Take a token and return 0, or return the seconds until the key has one."""
        if not self._rate:
            return 0.0
        now = self._clock()
        tokens, refilled_at = self._buckets.pop(key_id, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - refilled_at) * self._rate)
        allowed = tokens >= 1
        # Inserted at the end: the dictionary's order is the order of use.
        self._buckets[key_id] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_KEYS:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if allowed else (1 - tokens) / self._rate

    def __len__(self) -> int:
        return len(self._buckets)
