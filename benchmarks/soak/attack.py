"""Hostile requests against a running service, with an honest client beside them."""

from __future__ import annotations

import http.client
import itertools
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks.service import leads
from benchmarks.soak.figures import Figure
from benchmarks.soak.honest_client import Waits, honest_client
from benchmarks.soak.hostile_requests import HostileRequest, generate, large_requests
from benchmarks.soak.schema_cases import send_schema_cases
from benchmarks.support.served import RunningService, start_service
from features.settings import load_settings
from serving.web.problems import MEDIA_TYPE

ATTACKERS, WARM_SHARE, SCHEMA_SHARE = 8, 0.1, 0.1
SETTLE_SECONDS, QUIET_SECONDS = 5.0, 15.0
MAX_MEMORY_TIMES, MAX_WAIT_TIMES = 1.1, 5.0
RETRIABLE = (503, 504)


@dataclass
class Tally:
    """What was answered: counts of statuses, and a description of each answer that is not as documented."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    misshapen: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)

    def judge(self, kind: str, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
        """Count an answer; `body` is None where there is none to look at. Pages answer errors as pages."""
        self.statuses[status] += 1
        is_retriable = status in RETRIABLE and "retry-after" in headers
        if status >= 500 and not is_retriable:
            self.faults[f"{kind}: {status} {(body or b'')[:200]!r}"] += 1
        if status >= 400 and body is not None and not is_problem(status, headers, body):
            self.misshapen[f"{kind}: {status} {headers.get('content-type')} {body[:200]!r}"] += 1

    @property
    def count(self) -> int:
        return sum(self.statuses.values()) + sum(self.silent.values())


def is_problem(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an error has the one documented shape."""
    if headers.get("content-type") != MEDIA_TYPE:
        return False
    problem = orjson.loads(body)
    return {"type", "title", "status", "detail", "request_id"} <= {*problem} and problem["status"] == status


def measure_attack(crm_toml: Path, requests: int) -> list[Figure]:
    """Send `requests` hostile requests to a service of two workers."""
    lead_bodies: list[dict[str, Any]] = leads(load_settings(crm_toml), 200)
    honest = [orjson.dumps(lead) for lead in lead_bodies]
    source = generate(random.Random(1), lead_bodies)
    with start_service(crm_toml, "--workers", "2", environ={"HOTLEAD_RATE_LIMIT": "0"}) as service:
        attack(service, itertools.chain(large_requests(), large_requests()), Tally())
        attack(service, itertools.islice(source, max(100, int(requests * WARM_SHARE))), Tally())
        time.sleep(SETTLE_SECONDS)
        workers, before = {w.pid for w in service.workers}, read_memory(service)
        with honest_client(service.port, honest) as quiet:
            time.sleep(QUIET_SECONDS)
        tally = Tally()
        with honest_client(service.port, honest) as attacked:
            cases = int(requests * SCHEMA_SHARE)
            broken_checks = send_schema_cases(service.url, cases, tally)
            attack(service, itertools.islice(source, requests - cases), tally)
        time.sleep(SETTLE_SECONDS)
        lost_workers, after = len(workers - {w.pid for w in service.workers}), read_memory(service)
    report(tally)
    return [
        Figure("hostile requests", tally.count, None, "requests"),
        Figure("undocumented 5xx", tally.faults.total(), 0, "answers"),
        Figure("errors out of the documented shape", tally.misshapen.total(), 0, "answers"),
        Figure("requests without an answer", tally.silent.total(), 0, "requests"),
        Figure("checks of schemathesis that failed", broken_checks, 0, "checks"),
        Figure("workers that ended", lost_workers, 0, "workers"),
        Figure("memory of the workers, after / before", after / before, MAX_MEMORY_TIMES, "times"),
        *compare_waits(quiet, attacked),
    ]


def compare_waits(quiet: Waits, attacked: Waits) -> list[Figure]:
    """The waits of the honest client beside the attack, as multiples of its quiet ones."""
    times = attacked.quantile(0.99) / quiet.quantile(0.99)
    return [
        Figure("honest client, quiet p99", quiet.quantile(0.99), None, "ms"),
        Figure("honest client, p99 under attack", attacked.quantile(0.99), None, "ms"),
        Figure("honest client, p99 under attack / quiet", times, MAX_WAIT_TIMES, "times"),
        Figure("honest requests that failed", quiet.failed + attacked.failed, 0, "requests"),
    ]


def read_memory(service: RunningService) -> int:
    return sum(int(worker.memory_info().rss) for worker in service.workers)


def attack(service: RunningService, requests: Iterator[HostileRequest], tally: Tally) -> None:
    """Send requests over eight connections at once, and judge the answers."""
    lock = threading.Lock()

    def send_all() -> None:
        while True:
            with lock:
                request = next(requests, None)
            if request is None:
                return
            send(service.port, request, tally)

    threads = [threading.Thread(target=send_all) for _ in range(ATTACKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def send(port: int, request: HostileRequest, tally: Tally) -> None:
    """Send a request on a connection of its own, and judge the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=90) as connection:
        try:
            for part in request.parts:
                connection.sendall(part)
                time.sleep(request.pause_seconds)
        except OSError:
            pass  # the service answers before it has read all
        if request.leaves:
            tally.statuses[0] += 1
            return
        try:
            response = http.client.HTTPResponse(connection, method=request.method)
            response.begin()
            body = response.read()
        except (OSError, http.client.HTTPException) as problem:
            tally.silent[f"{request.kind}: {type(problem).__name__}"] += 1
            return
        headers = {name.lower(): value for name, value in response.getheaders()}
        is_shown = request.is_page and headers.get("content-type", "").startswith("text/html")
        tally.judge(
            request.kind, response.status, headers, None if is_shown or request.method == "HEAD" else body
        )


def report(tally: Tally) -> None:
    """Print the counts, and what is not as documented."""
    print(f"  {tally.count:,} requests: {dict(sorted(tally.statuses.items()))}")
    kinds: Sequence[tuple[str, Counter[str]]] = (
        ("undocumented 5xx", tally.faults),
        ("out of shape", tally.misshapen),
        ("no answer", tally.silent),
    )
    for name, counts in kinds:
        for description, count in counts.most_common(10):
            print(f"  {name}, {count} times: {description}")
