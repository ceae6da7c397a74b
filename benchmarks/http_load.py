"""Asking a service: how long one answer takes, and how many it gives in a second."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass

_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Latency:
    """Milliseconds of sorted answers."""

    took: Sequence[float]

    def at(self, share: float) -> float:
        """The time within which a share of the answers came."""
        return self.took[min(int(len(self.took) * share), len(self.took) - 1)]


class Connection:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and body of an answer."""
        self._http.request("POST", path, body, _HEADERS)
        answer = self._http.getresponse()
        return answer.status, answer.read()

    def timed(self, path: str, body: bytes) -> float:
        """The milliseconds of an answer. Raises RuntimeError where it is an error."""
        began = time.perf_counter()
        status, told = self.post(path, body)
        took = (time.perf_counter() - began) * 1000
        if status >= 300:
            raise RuntimeError(f"{path}: {status} {told[:300]!r}")
        return took


def side_by_side(asked: Sequence[tuple[int, str, Sequence[bytes]]], rounds: int, each: int) -> list[Latency]:
    """The latency of several endpoints, asked in turns so that they share the machine's moods."""
    connections = [Connection(port) for port, _, _ in asked]
    took: list[list[float]] = [[] for _ in asked]
    for turn in range(rounds + 1):  # the first round warms up
        for i, (_, path, bodies) in enumerate(asked):
            for n in range(each):
                told = connections[i].timed(path, bodies[(turn * each + n) % len(bodies)])
                if turn:
                    took[i].append(told)
    return [Latency(sorted(each)) for each in took]


def throughput(port: int, path: str, bodies: Sequence[bytes], connections: int, seconds: float) -> float:
    """Answers a second over so many connections at once. Raises RuntimeError on an error."""
    return asyncio.run(_throughput(port, path, bodies, connections, seconds))


async def _throughput(
    port: int, path: str, bodies: Sequence[bytes], connections: int, seconds: float
) -> float:
    until = time.monotonic() + seconds
    began = time.monotonic()
    done = await asyncio.gather(
        *(_ask(port, path, bodies[i % len(bodies) :], until) for i in range(connections))
    )
    return sum(done) / (time.monotonic() - began)


async def _ask(port: int, path: str, bodies: Sequence[bytes], until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = [_request(path, body) for body in bodies]
    done = 0
    while time.monotonic() < until:
        writer.write(asked[done % len(asked)])
        head = await reader.readuntil(b"\r\n\r\n")
        told = await reader.readexactly(_length(head))
        if not head.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(f"{path}: {head[:40]!r} {told[:300]!r}")
        done += 1
    writer.close()
    return done


def _request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(b"content-length:") + len(b"content-length:")
    return int(lower[start : lower.index(b"\r\n", start)])
