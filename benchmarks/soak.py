"""The soak test of the service: champion swaps under load, malformed bodies, and memory.

`make soak` (about 15 minutes)
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import orjson

from benchmarks.service import leads
from benchmarks.support.data import crm_with_models, promote_challenger
from benchmarks.support.http_load import Connection
from benchmarks.support.load import run_load, wait_for
from benchmarks.support.measuring import end, show
from benchmarks.support.served import RunningService, start_service
from features.settings import load_settings
from training.registry.promotion import rollback

LEADS, CONNECTIONS, SECONDS, SWAPS = 2_000, 16, 60, 5
REQUESTS, WARM, MALFORMED = 100_000, 10_000, 100_000
ENDPOINTS = [
    "score",
    "score/batch",
    "activities",
    "leads",
    "outcomes",
    "opportunities",
    "handovers",
    "overrides",
    "verdicts",
]


def two_models() -> Path:
    """The crm.toml of a demo CRM with two models, the first of which is the champion."""
    return crm_with_models("soak", LEADS, models=2)


def swap_under_load(crm_toml: Path, service: RunningService, lead_bodies: list[dict[str, Any]]) -> list[bool]:
    """Swap the champion five times under a load of sixteen connections."""
    out = crm_toml.parent / "hotlead-out"
    slowest = 0.0
    bodies = itertools.cycle(lead_bodies)
    with run_load(service.url, lambda _: ("/v1/score", next(bodies)), CONNECTIONS) as result:
        began = time.monotonic()
        for turn in range(SWAPS):
            before = set(result.versions)
            served_now = _version(service)
            if turn % 2:
                rollback(out, "soak", None)
            else:
                promote_challenger(crm_toml)
            slowest = max(slowest, wait_for(lambda previous=served_now: _version(service) != previous))  # type: ignore[misc]
            print(f"  swap {turn + 1}: {before} so far", flush=True)
            time.sleep(max(0.0, SECONDS / SWAPS * (turn + 1) - (time.monotonic() - began)))
    with suppress(Exception):  # restores the first champion for the next run
        rollback(out, "as it was", None)
    print(f"  {sum(result.statuses.values()):,} answers, by version {dict(result.versions)}")
    nameless = sum(n for name, n in result.versions.items() if name.startswith("rules"))
    return [
        show("failed requests while the champion moved", result.failed, 0, "requests"),
        show("answers that name no model", nameless, 0, "answers"),
        show("slowest swap", slowest, 5, "s"),
    ]


def _version(service: RunningService) -> str:
    model = httpx.get(f"{service.url}/v1/model", timeout=30).json()["model"]
    return str(model and model["version"])


def make_malformed(rng: random.Random, good: list[dict[str, Any]]) -> bytes:
    """A malformed body: random bytes, or a valid body with an error in it."""
    body = orjson.dumps(rng.choice(good))
    way = rng.randrange(6)
    if way == 0:
        return rng.randbytes(rng.randrange(200))
    if way == 1:
        return body[: rng.randrange(len(body))]
    if way == 2:
        position = rng.randrange(len(body))
        return body[:position] + rng.randbytes(rng.randrange(1, 5)) + body[position + rng.randrange(4) :]
    if way == 3:
        return b"[" * rng.randrange(1, 2_000) + body
    bad_value: Any = rng.choice([None, -1, 1e300, 10**30, "", "\0", "x" * 9_000, [], {}, True, [[]]])
    parsed = orjson.loads(body)
    parsed[rng.choice([*parsed, "unknown"])] = bad_value if bad_value != 10**30 else 10**18
    return orjson.dumps([parsed] * rng.randrange(3) if way == 4 else parsed)


def send_malformed_bodies(service: RunningService, lead_bodies: list[dict[str, Any]]) -> list[bool]:
    """Send 100,000 malformed bodies to all endpoints: no status 5xx, and the service still answers."""
    rng, statuses, connection = random.Random(1), Counter[int](), Connection(service.port)
    good = [*lead_bodies[:20], {"leads": lead_bodies[:2]}, *_records()]
    for _ in range(MALFORMED):
        try:
            status, _answer = connection.post(f"/v1/{rng.choice(ENDPOINTS)}", make_malformed(rng, good))
        except OSError:
            statuses[0] += 1
            connection = Connection(service.port)
            continue
        statuses[status] += 1
    print(f"  {MALFORMED:,} bodies: {dict(sorted(statuses.items()))}")
    faults = sum(n for status, n in statuses.items() if status >= 500 or not status)
    return [show("faults by malformed bodies", faults, 0, "answers")]


def _records() -> list[dict[str, Any]]:
    timestamp = "2026-01-05T09:00:00Z"
    return [
        {"id": "a", "lead_id": "L", "type": "visit", "at": timestamp},
        {"id": "b", "lead_id": "L", "updated_at": timestamp, "attributes": {"channel": "x"}},
        {"id": "c", "lead_id": "L", "outcome": "won", "closed_at": timestamp, "amount": 5.0},
        {"id": "d", "lead_id": "L", "opened_at": timestamp},
        {"id": "e", "lead_id": "L", "step": "sent_back", "reason": "no budget", "at": timestamp},
        {"id": "f", "lead_id": "L", "verdict": "hot", "reason": "said so", "by": "S", "at": timestamp},
    ]


def measure_memory(service: RunningService, lead_bodies: list[dict[str, Any]]) -> list[bool]:
    """Compare the worker's memory before and after 100,000 requests, after a warm-up."""
    bodies = [orjson.dumps(lead) for lead in lead_bodies]
    connection, (worker,) = Connection(service.port), service.workers
    before = 0
    for n in range(WARM + REQUESTS):
        if n == WARM:
            before = worker.memory_info().rss
        connection.time_post("/v1/score", bodies[n % len(bodies)])
    after = worker.memory_info().rss
    print(f"  {before / 2**20:,.0f} MiB before, {after / 2**20:,.0f} MiB after {REQUESTS:,} requests")
    return [show("memory after 100,000 requests, of before", after / before, 1.1, "times")]


def main() -> None:
    crm_toml = two_models()
    lead_bodies: list[dict[str, Any]] = leads(load_settings(crm_toml), 500)
    with start_service(crm_toml, environ={"HOTLEAD_RATE_LIMIT": "0"}) as service:
        wait_for(lambda: _version(service) != "None")
        passed = swap_under_load(crm_toml, service, lead_bodies)
        passed += send_malformed_bodies(service, lead_bodies)
        passed += measure_memory(service, lead_bodies)
    end(passed)


if __name__ == "__main__":
    main()
