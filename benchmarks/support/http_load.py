"""Measures the latency and the throughput of HTTP endpoints."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass

_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Latency:
    """Latencies in milliseconds, sorted."""

    milliseconds: Sequence[float]

    def quantile(self, share: float) -> float:
        """The latency quantile of a share, in milliseconds."""
        return self.milliseconds[min(int(len(self.milliseconds) * share), len(self.milliseconds) - 1)]


class Connection:
    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """POST a body; the status and body of the response."""
        self._http.request("POST", path, body, _HEADERS)
        answer = self._http.getresponse()
        return answer.status, answer.read()

    def time_post(self, path: str, body: bytes) -> float:
        """POST a body; the latency in milliseconds. Raises RuntimeError on an error status."""
        began = time.perf_counter()
        status, answer = self.post(path, body)
        elapsed = (time.perf_counter() - began) * 1000
        if status >= 300:
            raise RuntimeError(f"{path}: {status} {answer[:300]!r}")
        return elapsed


def measure_side_by_side(
    endpoints: Sequence[tuple[int, str, Sequence[bytes]]], rounds: int, per_round: int
) -> list[Latency]:
    """The latency of several endpoints, measured in turns so that the machine's load affects all alike."""
    connections = [Connection(port) for port, _, _ in endpoints]
    times: list[list[float]] = [[] for _ in endpoints]
    for turn in range(rounds + 1):  # the first round warms up
        for i, (_, path, bodies) in enumerate(endpoints):
            for n in range(per_round):
                elapsed = connections[i].time_post(path, bodies[(turn * per_round + n) % len(bodies)])
                if turn:
                    times[i].append(elapsed)
    return [Latency(sorted(per_round)) for per_round in times]


def measure_throughput(
    port: int, path: str, bodies: Sequence[bytes], connections: int, seconds: float
) -> float:
    """Responses per second over parallel connections. Raises RuntimeError on an error status."""

    async def count_responses() -> int:
        until = time.monotonic() + seconds
        shifted = [bodies[i % len(bodies) :] for i in range(connections)]
        return sum(await asyncio.gather(*(_send_requests(port, path, part, until) for part in shifted)))

    began = time.monotonic()
    return asyncio.run(count_responses()) / (time.monotonic() - began)


async def _send_requests(port: int, path: str, bodies: Sequence[bytes], until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    requests = [_request(path, body) for body in bodies]
    count = 0
    while time.monotonic() < until:
        writer.write(requests[count % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        content = await reader.readexactly(_length(head))
        if not head.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(f"{path}: {head[:40]!r} {content[:300]!r}")
        count += 1
    writer.close()
    return count


def _request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
