"""A steady load on a service, every answer looked at: what the tests and the soak put it through."""

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
class Seen:
    """What the load saw: answers by status, what broke on the way, and who gave the scores."""

    statuses: Counter[int] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    lead_ids: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Requests without an answer, or with an error."""
        return sum(self.broken.values()) + sum(n for s, n in self.statuses.items() if s >= 400)


Ask = Callable[[int], tuple[str, dict[str, Any]]]
"""The path and body of the n-th request."""


@contextmanager
def load(url: str, ask: Ask, connections: int = 16) -> Iterator[Seen]:
    """Ask from so many connections at once until the block ends."""
    seen, stop = Seen(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_load(url, ask, connections, seen, stop)))
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(60)


async def _load(url: str, ask: Ask, connections: int, seen: Seen, stop: threading.Event) -> None:
    numbers = itertools.count()
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
        await asyncio.gather(*(_keep_asking(client, ask, numbers, seen, stop) for _ in range(connections)))


async def _keep_asking(
    client: httpx.AsyncClient, ask: Ask, numbers: Iterator[int], seen: Seen, stop: threading.Event
) -> None:
    while not stop.is_set():
        path, body = ask(next(numbers))
        try:
            answer = await client.post(path, json=body)
        except httpx.HTTPError as problem:
            seen.broken[type(problem).__name__] += 1
            await asyncio.sleep(0.05)
            continue
        seen.statuses[answer.status_code] += 1
        if answer.status_code < 300:
            _note(answer.json(), path, seen)
        await asyncio.sleep(0)


def _note(told: dict[str, Any], path: str, seen: Seen) -> None:
    if path.startswith("/v1/score"):
        model = told["model"]
        seen.versions[model["version"] if model else f"rules: {told['fallback']}"] += 1
        if told["stored"] == "stored":
            seen.lead_ids.append(told["lead_id"])
    else:
        seen.acknowledged.append(told["id"])


def wait_for(holds: Callable[[], bool], seconds: float = 30) -> float:
    """Wait until something holds; the seconds that took. Raises TimeoutError where it never does."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - began
