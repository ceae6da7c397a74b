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


RequestFactory = Callable[[int], tuple[str, dict[str, Any]]]
"""The path and body of the n-th request."""


@contextmanager
def run_load(url: str, make_request: RequestFactory, connections: int = 16) -> Iterator[LoadResult]:
    """Send requests over parallel connections until the block ends."""
    result, stop = LoadResult(), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_run_load(url, make_request, connections, result, stop))
    )
    thread.start()
    try:
        yield result
    finally:
        stop.set()
        thread.join(60)


async def _run_load(
    url: str, make_request: RequestFactory, connections: int, result: LoadResult, stop: threading.Event
) -> None:
    numbers = itertools.count()
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
        await asyncio.gather(
            *(_send_until_stopped(client, make_request, numbers, result, stop) for _ in range(connections))
        )


async def _send_until_stopped(
    client: httpx.AsyncClient,
    make_request: RequestFactory,
    numbers: Iterator[int],
    result: LoadResult,
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        path, body = make_request(next(numbers))
        try:
            answer = await client.post(path, json=body)
        except httpx.HTTPError as problem:
            result.broken[type(problem).__name__] += 1
            await asyncio.sleep(0.05)
            continue
        result.statuses[answer.status_code] += 1
        if answer.status_code < 300:
            _record_answer(answer.json(), path, result)
        await asyncio.sleep(0)


def _record_answer(answer: dict[str, Any], path: str, result: LoadResult) -> None:
    if path.startswith("/v1/score"):
        model = answer["model"]
        result.versions[model["version"] if model else f"rules: {answer['fallback']}"] += 1
        if answer["stored"] == "stored":
            result.lead_ids.append(answer["lead_id"])
    else:
        result.acknowledged.append(answer["id"])


def wait_for(holds: Callable[[], bool], seconds: float = 30) -> float:
    """Wait until a condition holds; the seconds it took. Raises TimeoutError after the time limit."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - began
