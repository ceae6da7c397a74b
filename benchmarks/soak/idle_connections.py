"""Connections that say nothing, from several addresses of this machine, and an honest client beside them."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson

from benchmarks.service import leads
from benchmarks.soak.attack import compare_waits
from benchmarks.soak.figures import Figure
from benchmarks.soak.honest_client import honest_client
from benchmarks.support.served import RunningService, start_service
from features.settings import load_settings

PER_ADDRESS, SPARE_FILES = 900, 200
SETTLE_SECONDS, QUIET_SECONDS, BESIDE_SECONDS = 5.0, 10.0, 15.0


def measure_idle(crm_toml: Path, connections: int) -> list[Figure]:
    """Open as many connections as this machine lets one process open, and keep them open."""
    honest = [orjson.dumps(lead) for lead in leads(load_settings(crm_toml), 50)]
    raise_file_limit()
    count = min(connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES)
    with start_service(crm_toml, "--workers", "1", environ={"HOTLEAD_RATE_LIMIT": "0"}) as service:
        time.sleep(SETTLE_SECONDS)
        with honest_client(service.port, honest) as quiet:
            time.sleep(QUIET_SECONDS)
        with honest_client(service.port, honest) as crowded, idle_connections(service, count) as open_files:
            time.sleep(BESIDE_SECONDS)
            newcomer = httpx.get(f"{service.url}/livez", timeout=30).status_code
    return [
        Figure(f"idle: files open in the worker after {count:,} connections", open_files, None, "files"),
        Figure("idle: a new client is not answered", newcomer != 200, 0, "clients"),
        *(
            Figure(f"idle: {figure.name}", figure.value, figure.limit, figure.unit, figure.load)
            for figure in compare_waits(quiet, crowded)
        ),
    ]


def raise_file_limit() -> None:
    """Let this process and those that it starts open as many files as the machine allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def idle_connections(service: RunningService, count: int) -> Iterator[int]:
    """Half of them send nothing, half of them half a header; yields how many the service holds then.

    The service ends those whose header is not complete in time.
    """
    opened: list[socket.socket] = []
    try:
        for number in range(count):
            opened.append(_open(service.port, number))
        yield sum(worker.num_fds() for worker in service.workers)
    finally:
        for connection in opened:
            connection.close()


def _open(port: int, number: int) -> socket.socket:
    source = f"127.0.{1 + number // PER_ADDRESS // 250}.{1 + number // PER_ADDRESS % 250}"
    connection = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0))
    if number % 2:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost:")
    return connection
