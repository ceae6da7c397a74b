"""The long trial of the service: a champion that moves under load, bodies that nobody should send, memory.

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

import orjson
import psutil

from benchmarks.data import FOLDER
from benchmarks.http_load import Connection
from benchmarks.load import load, wait_for
from benchmarks.measuring import end, show
from benchmarks.served import Served, served
from benchmarks.service import leads
from demo.run import make
from features.settings import load_settings
from scoring.scorecard.load import find_card
from training.registry.promotion import promote, rollback
from training.train import train_and_register

LEADS, CONNECTIONS, SECONDS, SWAPS = 2_000, 16, 60, 5
REQUESTS, WARM, MALFORMED = 100_000, 10_000, 100_000
DOORS = (
    "score",
    "score/batch",
    "activities",
    "leads",
    "outcomes",
    "opportunities",
    "handovers",
    "overrides",
    "verdicts",
)


def two_models() -> Path:
    """The crm.toml of a demo CRM with two models, the first of them champion."""
    folder = FOLDER / "soak"
    crm_toml = folder / "crm.toml"
    if not (folder / "ready").exists():
        print("making a demo CRM with two models ...", flush=True)
        make(folder, LEADS, 7)
        for seed in (0, 1):
            train_and_register(crm_toml, folder / "hotlead-out", lambda _: None, "en", seed)
            if not seed:
                _promote(crm_toml)
        (folder / "ready").touch()
    return crm_toml


def _promote(crm_toml: Path) -> None:
    settings = load_settings(crm_toml)
    promote(crm_toml.parent / "hotlead-out", find_card(settings.folder, settings.table), "soak", None)


def swapped_under_load(crm_toml: Path, service: Served, sent: list[dict[str, Any]]) -> list[bool]:
    """Move the champion five times while sixteen connections ask."""
    out = crm_toml.parent / "hotlead-out"
    slowest = 0.0
    with load(service.url, lambda n: ("/v1/score", sent[n % len(sent)]), CONNECTIONS) as seen:
        began = time.monotonic()
        for turn in range(SWAPS):
            before = set(seen.versions)
            served_now = _version(service)
            if turn % 2:
                rollback(out, "soak", None)
            else:
                _promote(crm_toml)
            slowest = max(slowest, wait_for(lambda was=served_now: _version(service) != was))  # type: ignore[misc]
            print(f"  swap {turn + 1}: {before} so far", flush=True)
            time.sleep(max(0.0, SECONDS / SWAPS * (turn + 1) - (time.monotonic() - began)))
    with suppress(Exception):  # the first is champion again, for the next run
        rollback(out, "as it was", None)
    print(f"  {sum(seen.statuses.values()):,} answers, by version {dict(seen.versions)}")
    return [
        show("failed requests while the champion moved", seen.failed, 0, "requests"),
        show(
            "answers that name no model",
            sum(n for name, n in seen.versions.items() if name.startswith("rules")),
            0,
            "answers",
        ),
        show("slowest swap", slowest, 5, "s"),
    ]


def _version(service: Served) -> str:
    import httpx

    told = httpx.get(f"{service.url}/v1/model", timeout=30).json()["model"]
    return str(told and told["version"])


def malformed(rng: random.Random, good: list[dict[str, Any]]) -> bytes:
    """A body that nobody should send: random bytes, or a good body with something wrong in it."""
    body = orjson.dumps(rng.choice(good))
    way = rng.randrange(6)
    if way == 0:
        return rng.randbytes(rng.randrange(200))
    if way == 1:
        return body[: rng.randrange(len(body))]
    if way == 2:
        at = rng.randrange(len(body))
        return body[:at] + rng.randbytes(rng.randrange(1, 5)) + body[at + rng.randrange(4) :]
    if way == 3:
        return b"[" * rng.randrange(1, 2_000) + body
    wrong: Any = rng.choice([None, -1, 1e300, 10**30, "", "\0", "x" * 9_000, [], {}, True, [[]]])
    told = orjson.loads(body)
    told[rng.choice([*told, "unknown"])] = wrong if wrong != 10**30 else 10**18
    return orjson.dumps([told] * rng.randrange(3) if way == 4 else told)


def malformed_bodies(service: Served, sent: list[dict[str, Any]]) -> list[bool]:
    """A hundred thousand of them over all doors: no fault of ours, and the service goes on."""
    rng, statuses, connection = random.Random(1), Counter[int](), Connection(service.port)
    good = [*sent[:20], {"leads": sent[:2]}, *_records()]
    for _ in range(MALFORMED):
        try:
            status, _told = connection.post(f"/v1/{rng.choice(DOORS)}", malformed(rng, good))
        except OSError:
            statuses[0] += 1
            connection = Connection(service.port)
            continue
        statuses[status] += 1
    print(f"  {MALFORMED:,} bodies: {dict(sorted(statuses.items()))}")
    faults = sum(n for status, n in statuses.items() if status >= 500 or not status)
    return [show("faults by malformed bodies", faults, 0, "answers")]


def _records() -> list[dict[str, Any]]:
    at = "2026-01-05T09:00:00Z"
    return [
        {"id": "a", "lead_id": "L", "type": "visit", "at": at},
        {"id": "b", "lead_id": "L", "updated_at": at, "attributes": {"channel": "x"}},
        {"id": "c", "lead_id": "L", "outcome": "won", "closed_at": at, "amount": 5.0},
        {"id": "d", "lead_id": "L", "opened_at": at},
        {"id": "e", "lead_id": "L", "step": "sent_back", "reason": "no budget", "at": at},
        {"id": "f", "lead_id": "L", "verdict": "hot", "reason": "said so", "by": "S", "at": at},
    ]


def memory(service: Served, sent: list[dict[str, Any]]) -> list[bool]:
    """The worker's memory before and after a hundred thousand requests (warmed up by some)."""
    bodies = [orjson.dumps(lead) for lead in sent]
    connection, (worker,) = Connection(service.port), service.workers
    before = 0
    for n in itertools.islice(itertools.count(), WARM + REQUESTS):
        if n == WARM:
            before = _resident(worker)
        connection.timed("/v1/score", bodies[n % len(bodies)])
    after = _resident(worker)
    print(f"  {before / 2**20:,.0f} MiB before, {after / 2**20:,.0f} MiB after {REQUESTS:,} requests")
    return [show("memory after 100,000 requests, of before", after / before, 1.1, "times")]


def _resident(worker: psutil.Process) -> int:
    told: int = worker.memory_info().rss
    return told


def main() -> None:
    """Try and show."""
    crm_toml = two_models()
    sent: list[dict[str, Any]] = leads(load_settings(crm_toml), 500)
    with served(crm_toml, environ={"HOTLEAD_RATE_LIMIT": "0"}) as service:
        wait_for(lambda: _version(service) != "None")
        held = swapped_under_load(crm_toml, service, sent)
        held += malformed_bodies(service, sent)
        held += memory(service, sent)
    end(held)


if __name__ == "__main__":
    main()
