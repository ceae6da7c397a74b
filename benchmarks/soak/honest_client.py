"""A client that sends right requests, in a process of its own, and measures how long it waits."""

from __future__ import annotations

import http.client
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from typing import Any

PAUSE_SECONDS = 0.02
_SPAWN = multiprocessing.get_context("spawn")


@dataclass
class Waits:
    """The waits of a client in milliseconds, and the number of its requests that failed."""

    milliseconds: list[float] = field(default_factory=list)
    failed: int = 0

    def quantile(self, share: float) -> float:
        """In milliseconds. Raises IndexError when nothing was measured."""
        return sorted(self.milliseconds)[int(len(self.milliseconds) * share)]


@contextmanager
def honest_client(port: int, bodies: Sequence[bytes], host: str = "127.0.0.1") -> Iterator[Waits]:
    """Score leads one after the other while the block runs; the waits are there when it has ended."""
    stop, queue, waits = _SPAWN.Event(), _SPAWN.Queue(), Waits()
    process = _SPAWN.Process(target=_score_until_stopped, args=(host, port, bodies, stop, queue), daemon=True)
    process.start()
    try:
        queue.get(timeout=60)  # it has started
        yield waits
    finally:
        stop.set()
        waits.milliseconds, waits.failed = queue.get(timeout=120)
        process.join(10)


def _score_until_stopped(host: str, port: int, bodies: Sequence[bytes], stop: Event, queue: Any) -> None:
    waits, connection, number = Waits(), http.client.HTTPConnection(host, port, timeout=60), 0
    queue.put(None)
    while not stop.wait(PAUSE_SECONDS):
        began, number = time.perf_counter(), number + 1
        try:
            connection.request(
                "POST", "/v1/score", bodies[number % len(bodies)], {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            answer.read()
            waits.failed += answer.status != 200
        except (OSError, http.client.HTTPException):
            waits.failed += 1
            connection.close()
        waits.milliseconds.append((time.perf_counter() - began) * 1e3)
    queue.put((waits.milliseconds, waits.failed))
