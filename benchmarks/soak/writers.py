"""Writers that remember what was acknowledged, and the comparison with what the store holds."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import create_engine, text

WRITERS, RETRY_SECONDS = 4, 0.1
_START = datetime.now(UTC).isoformat()
_JSON = {"Content-Type": "application/json"}
TABLES: Mapping[str, Mapping[str, Any]] = {
    "activities": {"type": "visit", "at": _START},
    "outcomes": {"outcome": "won", "closed_at": _START, "amount": 5.0},
    "handovers": {"step": "accepted", "at": _START},
}
"""The kinds of records that are written, with what a body of each has beside its id and its lead."""


@dataclass
class Acknowledged:
    """Ids of records by kind that were called stored, and the leads of scores by what was said of them."""

    records: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in TABLES})
    scores: dict[str, list[str]] = field(
        default_factory=lambda: {"stored": [], "queued": [], "not_stored": []}
    )
    failures: Counter[str] = field(default_factory=Counter)
    last_write: float = 0.0
    last_score: float = 0.0

    @property
    def count(self) -> int:
        return sum(map(len, self.records.values()))


@contextmanager
def run_writers(port: int, prefix: str) -> Iterator[Acknowledged]:
    """Write records and score leads over four connections while the block runs.

    A record that was not acknowledged is sent again with its id, as a CRM does; each score has a lead of its
    own.
    """
    acknowledged, stop, numbers = Acknowledged(), threading.Event(), itertools.count()
    threads = [
        threading.Thread(target=_write, args=(port, prefix, numbers, acknowledged, stop))
        for _ in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _write(
    port: int, prefix: str, numbers: Iterator[int], acknowledged: Acknowledged, stop: threading.Event
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not stop.is_set():
        number = next(numbers)
        name = f"{prefix}-{number}"
        kind = [*TABLES, "score"][number % 4]
        body = {"lead_id": name, "attributes": {}} if kind == "score" else _record(kind, name)
        while not _send(connection, kind, body, acknowledged) and not stop.is_set():
            connection.close()
            stop.wait(RETRY_SECONDS)
            if kind == "score":
                break
    connection.close()


def _record(kind: str, name: str) -> dict[str, Any]:
    return {"id": name, "lead_id": f"L-{name}", **TABLES[kind]}


def _send(
    connection: http.client.HTTPConnection, kind: str, body: dict[str, Any], acknowledged: Acknowledged
) -> bool:
    try:
        connection.request("POST", f"/v1/{kind}", orjson.dumps(body), _JSON)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as problem:
        acknowledged.failures[type(problem).__name__] += 1
        return False
    if response.status >= 300:
        acknowledged.failures[str(response.status)] += 1
        return False
    if kind == "score":
        acknowledged.scores[orjson.loads(answer)["stored"]].append(body["lead_id"])
        acknowledged.last_score = time.monotonic()
    else:
        acknowledged.records[kind].append(body["id"])
        acknowledged.last_write = time.monotonic()
    return True


@dataclass(frozen=True)
class WriteLosses:
    """Acknowledged records that are not in the store, or twice; scores called stored that are not there."""

    lost: int
    doubled: int
    scores_missing: int
    scores_doubled: int


def compare_with_store(url: str, acknowledged: Acknowledged, prefix: str) -> WriteLosses:
    """What the database at a SQLAlchemy URL holds of that which was acknowledged."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            lost = doubled = 0
            for kind, names in acknowledged.records.items():
                counts = _count(connection, f'SELECT "key", count(*) FROM {kind}', "key", prefix)
                lost += sum(name not in counts for name in names)
                doubled += sum(count > 1 for count in counts.values())
            scores = _count(connection, "SELECT lead_id, count(*) FROM predictions", "lead_id", prefix)
            missing = sum(name not in scores for name in acknowledged.scores["stored"])
            return WriteLosses(lost, doubled, missing, sum(count > 1 for count in scores.values()))
    finally:
        engine.dispose()


def _count(connection: Any, select: str, column: str, prefix: str) -> dict[str, int]:
    rows = connection.execute(
        text(f'{select} WHERE "{column}" LIKE :prefix GROUP BY "{column}"'), {"prefix": f"{prefix}-%"}
    )
    return {name: int(count) for name, count in rows}
