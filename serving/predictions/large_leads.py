"""A thread of its own for leads with very many activities, so that others never wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from serving.web.problems import too_many_large_leads

T = TypeVar("T")
MAX_WAITING = 16


class LargeLeads:
    """Does the work for one large lead after another, and refuses more than may wait."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._executor = ThreadPoolExecutor(1, "large-leads")
        self._max_waiting, self._waiting = max_waiting, 0

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, in the thread. Raises Problem (503) if too many wait."""
        if self._waiting >= self._max_waiting:
            raise too_many_large_leads()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._waiting -= 1
