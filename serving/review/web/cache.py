"""Figures that take long, worked out once for all who look.

A figure is new for some seconds; for as many more the old one is told while a new one is worked out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
MAX_ENTRIES = 200
"""So many figures are kept; then the oldest go."""


@dataclass(frozen=True)
class _CacheEntry:
    value: Any
    made_at: int
    until: float


class StaleWhileRevalidateCache:
    """Figures by key."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._entries: dict[Hashable, _CacheEntry] = {}
        self._tasks: dict[Hashable, asyncio.Task[_CacheEntry]] = {}

    async def get(self, key: Hashable, seconds: float, work: Callable[[], T]) -> tuple[T, int]:
        """What `work` returns (it runs in a thread), and when it was worked out (ms UTC).

        Raises what `work` raises where there is nothing to tell yet.
        """
        entry, now = self._entries.get(key), time.monotonic()
        if entry is None or now >= entry.until:
            task = self._tasks.get(key) or self._start_task(key, seconds, work)
            if entry is None or now >= entry.until + seconds:
                entry = await asyncio.shield(task)
        return entry.value, entry.made_at

    def peek(self, key: Hashable) -> tuple[Any, int] | None:
        """What was worked out last, and when; None where nothing was yet. Nobody waits."""
        entry = self._entries.get(key)
        return None if entry is None else (entry.value, entry.made_at)

    def refresh_soon(self, key: Hashable, seconds: float, work: Callable[[], object]) -> None:
        """Begin to work out a figure that somebody will soon ask for; nobody waits for it."""
        entry = self._entries.get(key)
        if key not in self._tasks and (entry is None or time.monotonic() >= entry.until):
            self._start_task(key, seconds, work)

    def _start_task(
        self, key: Hashable, seconds: float, work: Callable[[], object]
    ) -> asyncio.Task[_CacheEntry]:
        task = asyncio.create_task(self._compute(key, seconds, work))
        task.add_done_callback(lambda finished: finished.cancelled() or finished.exception())  # told or not
        self._tasks[key] = task
        return task

    async def _compute(self, key: Hashable, seconds: float, work: Callable[[], object]) -> _CacheEntry:
        try:
            made_at = self._clock()
            value = await asyncio.to_thread(work)
            entry = self._entries[key] = _CacheEntry(value, made_at, time.monotonic() + seconds)
            while len(self._entries) > MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]
            return entry
        finally:
            del self._tasks[key]
