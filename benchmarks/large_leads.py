"""Measures leads with very many activities: their score by id, their page, the score of a colleague of their
account, and how long small requests on the same worker wait meanwhile.

`python -m benchmarks.large_leads [sqlite|postgresql]` (sqlite by default)
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx

from benchmarks.pages import AHEAD_SECONDS, database
from benchmarks.support.data import crm_with_models
from benchmarks.support.measuring import end, measure_seconds, show
from benchmarks.support.served import RunningService, start_service
from features.clock import days_to_ms, iso, now_ms
from features.settings import load_settings
from serving.store.records import Record
from serving.store.store import Store
from serving.store.tables import activity_blocks

SIZES = {1_000: 0.05, 10_000: 0.05, 100_000: 1.0, 1_000_000: 1.0}
"""By number of activities the seconds that a score may take."""
BAR_PAGE_SECONDS, BAR_WAIT_SECONDS, TIMES, AT_ONCE = 1.0, 0.1, 5, 8
DAYS, LEADS, RECORDS = 400, 500, 10_000
PACK_SECONDS = 120.0


def main() -> None:
    crm_toml = crm_with_models("large-leads", LEADS)
    (name,) = sys.argv[1:] or ["sqlite"]
    with database(name) as url:
        fill(url, crm_toml)
        environ = {"HOTLEAD_STORE_URL": url, "HOTLEAD_RATE_LIMIT": "0", "OMP_NUM_THREADS": "1"}
        with start_service(crm_toml, "--workers", "1", environ=environ) as service:
            print(name, flush=True)
            time.sleep(AHEAD_SECONDS)  # the service renders its pages once after the start
            passed = [is_ok for count, bar in SIZES.items() for is_ok in measure(service, count, bar)]
            passed.append(measure_many_at_once(service))
    end(passed)


def fill(url: str, crm_toml: Path) -> None:
    """Store a lead of each size, by parts as a CRM sends them, and a colleague without activities."""
    types = sorted(load_settings(crm_toml).table.activities - {"*"})
    store = Store.open(url, crm_toml.parent / "spool")
    try:
        for count in SIZES:
            began = time.monotonic()
            for lead_id in (f"big-{count}", f"colleague-{count}"):
                body = {"account": f"account-{count}", "created_at": now_ms() - days_to_ms(DAYS)}
                _add(store, [Record("leads", lead_id, 1, lead_id, now_ms() - days_to_ms(DAYS), body)])
            records = _build_activities(f"big-{count}", count, types)
            while part := [record for record, _ in zip(records, range(RECORDS), strict=False)]:
                _add(store, part)
            _wait_for_blocks(store, f"big-{count}")
            print(f"  {count:,} activities stored in {time.monotonic() - began:.1f} s", flush=True)
    finally:
        store.close()


def _build_activities(lead_id: str, count: int, types: list[str]) -> Iterator[Record]:
    draw, now = random.Random(count), now_ms()
    for i in range(count):
        time_ms = now - draw.randrange(days_to_ms(DAYS))
        body = {"type": draw.choice(types), "value": draw.choice((None, 1, 2.5))}
        yield Record("activities", f"{lead_id}-{i}", 1, lead_id, time_ms, body)


def _add(store: Store, records: list[Record]) -> None:
    assert {*store.add_records(records).result()} == {"stored"}


def _wait_for_blocks(store: Store, lead_id: str) -> None:
    """Wait until the store packs no more activities of a lead."""
    statement = activity_blocks.select().with_only_columns(activity_blocks.c.last_seq)
    count, until = -1, time.monotonic() + PACK_SECONDS
    while time.monotonic() < until:
        before = count
        count = len(store.read(lambda c: c.execute(statement.filter_by(lead_id=lead_id)).all()))
        if count == before:
            return
        time.sleep(1.0)


def measure(service: RunningService, count: int, bar: float) -> Iterator[bool]:
    """The score by id, the page and the score of a colleague, and the waits of others meanwhile."""
    with httpx.Client(base_url=service.url, timeout=120, trust_env=False) as client:

        def post(lead_id: str) -> None:
            answer = client.post("/v1/score", json={"lead_id": lead_id})
            assert answer.status_code == 200, answer.text

        def get_page() -> None:
            answer = client.get(f"/review/leads/big-{count}")
            assert answer.status_code == 200, answer.text

        calls: dict[str, Callable[[], object]] = {
            "score by id": lambda: post(f"big-{count}"),
            "page": get_page,
            "score of a colleague": lambda: post(f"colleague-{count}"),
        }
        for label, call in calls.items():
            with measured_waits(service) as waits:
                times = measure_seconds(call, TIMES)
            print(f"  first {times[0]:.3f} s; others waited {_format_waits(waits)}", flush=True)
            limit = BAR_PAGE_SECONDS if label == "page" else bar
            yield show(f"{count:,} activities, {label}, p50", statistics.median(times), limit, "s")
            yield show(f"{count:,} activities, {label}, the longest wait", max(waits), BAR_WAIT_SECONDS, "s")


def measure_many_at_once(service: RunningService) -> bool:
    """The waits of others while the largest lead is scored by several clients at once."""

    def post() -> None:
        answer = httpx.post(
            f"{service.url}/v1/score", json={"lead_id": f"big-{max(SIZES)}"}, timeout=120, trust_env=False
        )
        assert answer.status_code == 200, answer.text

    clients = [Thread(target=post) for _ in range(AT_ONCE)]
    with measured_waits(service) as waits:
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    print(f"  {AT_ONCE} at once; others waited {_format_waits(waits)}", flush=True)
    return show(f"{AT_ONCE} large leads at once, the longest wait", max(waits), BAR_WAIT_SECONDS, "s")


@contextmanager
def measured_waits(service: RunningService) -> Iterator[list[float]]:
    """How long small requests take until the block ends, in seconds."""
    stop, waits = Event(), list[float]()

    def send() -> None:
        body = {"lead_id": "small", "activities": [{"type": "visit", "at": iso(now_ms() - 60_000)}]}
        with httpx.Client(base_url=service.url, timeout=120, trust_env=False) as client:
            client.post("/v1/score", json=body)
            while not stop.wait(0.01):
                began = time.perf_counter()
                client.post("/v1/score", json=body).raise_for_status()
                waits.append(time.perf_counter() - began)

    asking = Thread(target=send)
    asking.start()
    time.sleep(0.3)
    waits.clear()
    try:
        yield waits
        time.sleep(0.1)
    finally:
        stop.set()
        asking.join()


def _format_waits(waits: list[float]) -> str:
    return (
        f"{statistics.median(waits) * 1e3:.0f} ms, at most {max(waits) * 1e3:.0f} ms ({len(waits):,} answers)"
    )


if __name__ == "__main__":
    main()
