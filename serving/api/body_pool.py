"""Threads of their own for large bodies, so that pages and reads never wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from serving.web.problems import busy

T = TypeVar("T")

MAX_INLINE_BYTES = 8_192
"""Larger bodies are parsed in a thread, so that the event loop goes on."""
THREADS = 2
MAX_BYTES = 128 * 2**20
"""The size of the bodies that may wait or be parsed at one time; one alone may be larger."""


class BodyPool:
    """Parses bodies in a few threads, and refuses more than it may hold."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._executor = ThreadPoolExecutor(THREADS, "bodies")
        self._max_bytes, self._held_bytes = max_bytes, 0

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Count a body of `size` bytes as long as the block runs. Raises Problem (503) if too many wait."""
        if self._held_bytes and self._held_bytes + size > self._max_bytes:
            raise busy()
        self._held_bytes += size
        try:
            yield
        finally:
            self._held_bytes -= size

    async def run(self, parse: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, parse)

    async def parse(self, parse: Callable[[], T], size: int) -> T:
        """What `parse` makes of a body of `size` bytes, a small one at once. Raises Problem (503)."""
        if size <= MAX_INLINE_BYTES:
            return parse()
        with self.hold(size):
            return await self.run(parse)
