"""A steady load on a service that checks every response, for the tests and the soak test."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class LoadResult:
    """The responses of a load: counts by status, broken connections, model versions and lead ids."""

    statuses: Counter[int] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    lead_ids: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """The number of requests without a response or with an error status."""
        return sum(self.broken.values()) + sum(n for s, n in self.statuses.items() if s >= 400)

    def record(self, path: str, response: httpx.Response) -> None:
        """Count a response by its status and, if it is one, by its model version."""
        self.statuses[response.status_code] += 1
        if response.status_code >= 300:
            return
        answer = response.json()
        if not path.startswith("/v1/score"):
            self.acknowledged.append(answer["id"])
            return
        model = answer["model"]
        self.versions[model["version"] if model else f"rules: {answer['fallback']}"] += 1
        if answer["stored"] == "stored":
            self.lead_ids.append(answer["lead_id"])


RequestFactory = Callable[[int], tuple[str, dict[str, Any]]]
"""The path and body of the n-th request."""


@contextmanager
def run_load(url: str, make_request: RequestFactory, connections: int = 16) -> Iterator[LoadResult]:
    """Send requests over parallel connections until the block ends."""
    result, stop, numbers = LoadResult(), threading.Event(), itertools.count()
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)

    async def send_until_stopped(client: httpx.AsyncClient) -> None:
        while not stop.is_set():
            path, body = make_request(next(numbers))
            try:
                result.record(path, await client.post(path, json=body))
            except httpx.HTTPError as problem:
                result.broken[type(problem).__name__] += 1
                await asyncio.sleep(0.05)
            await asyncio.sleep(0)

    async def send_in_parallel() -> None:
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
            await asyncio.gather(*(send_until_stopped(client) for _ in range(connections)))

    thread = threading.Thread(target=lambda: asyncio.run(send_in_parallel()))
    thread.start()
    try:
        yield result
    finally:
        stop.set()
        thread.join(60)


def wait_for(holds: Callable[[], bool], seconds: float = 30) -> float:
    """Wait until a condition holds; the seconds it took. Raises TimeoutError after the time limit."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - began
