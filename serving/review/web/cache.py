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
MOST = 200
"""So many figures are kept; then the oldest go."""


@dataclass(frozen=True)
class _Kept:
    value: Any
    made_at: int
    until: float


class Cached:
    """Figures by key."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._kept: dict[Hashable, _Kept] = {}
        self._working: dict[Hashable, asyncio.Task[_Kept]] = {}

    async def get(self, key: Hashable, seconds: float, work: Callable[[], T]) -> tuple[T, int]:
        """What `work` returns (it runs in a thread), and when it was worked out (ms UTC).

        Raises what `work` raises where there is nothing to tell yet.
        """
        kept, now = self._kept.get(key), time.monotonic()
        if kept is None or now >= kept.until:
            task = self._working.get(key) or self._begun(key, seconds, work)
            if kept is None or now >= kept.until + seconds:
                kept = await asyncio.shield(task)
        return kept.value, kept.made_at

    def peek(self, key: Hashable) -> tuple[Any, int] | None:
        """What was worked out last, and when; None where nothing was yet. Nobody waits."""
        kept = self._kept.get(key)
        return None if kept is None else (kept.value, kept.made_at)

    def prepare(self, key: Hashable, seconds: float, work: Callable[[], Any]) -> None:
        """Begin to work out a figure that somebody will soon ask for; nobody waits for it."""
        kept = self._kept.get(key)
        if key not in self._working and (kept is None or time.monotonic() >= kept.until):
            self._begun(key, seconds, work)

    def _begun(self, key: Hashable, seconds: float, work: Callable[[], Any]) -> asyncio.Task[_Kept]:
        task = asyncio.create_task(self._made(key, seconds, work))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # told or not
        self._working[key] = task
        return task

    async def _made(self, key: Hashable, seconds: float, work: Callable[[], Any]) -> _Kept:
        try:
            made_at = self._clock()
            value = await asyncio.to_thread(work)
            kept = self._kept[key] = _Kept(value, made_at, time.monotonic() + seconds)
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
            return kept
        finally:
            del self._working[key]
