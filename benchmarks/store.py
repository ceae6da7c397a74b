"""Measures the store: writing predictions and records, and reading at 100,000 leads and a million
predictions.

`python -m benchmarks.store [URL]` (by default SQLite in a temporary folder, for which the limits hold)
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.support.measuring import end, measure_seconds, show
from serving.store.records import Prediction, Record
from serving.store.store import Store

FEW_LEADS, LEADS, PREDICTIONS = 5_000, 100_000, 1_000_000
HOT_SHARE = 0.1
PAGES_OF_100 = 40
"""A hundred activities of as many leads: 150 kB of SQLite's log, as measured."""
_DETAIL = '{"reasons":"' + "x" * 500 + '"}'
_rng = np.random.default_rng(0)


def main() -> None:
    """Measure writes to a small store, fill it, and measure reads and writes again."""
    with tempfile.TemporaryDirectory(prefix="hotlead-store-") as name:
        folder = Path(name)
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder / 'store.db'}"
        store = Store.open(url, folder / "spool")
        passed = [
            *_measure_predictions(store, FEW_LEADS, (150, 1_000, 20, 100)),
            *_measure_records(store, folder),
        ]
        _fill(store)
        # In a large database each prediction writes two pages: most of the time is the disk's.
        passed += [*_measure_reads(store), *_measure_predictions(store, LEADS, (300, 5_000, 100, 1_000))]
        store.close()
    end(passed)


def _measure_predictions(store: Store, leads: int, bars: tuple[float, ...]) -> list[bool]:
    ones = [[prediction(leads)] for _ in range(3_000)]
    many = [[prediction(leads) for _ in range(1_000)] for _ in range(50)]
    one = measure_seconds(lambda: store.add_predictions(ones.pop()).result(), len(ones))
    batch = measure_seconds(lambda: store.add_predictions(many.pop()).result(), len(many))
    cases = (("a prediction", one, 1e6, "µs", bars[:2]), ("1,000 predictions", batch, 1e3, "ms", bars[2:]))
    return [
        show(f"remember {label} of {leads:,} leads, p{p}", _percentile(durations, p) * scale, bar, unit)
        for label, durations, scale, unit, of_percent in cases
        for p, bar in zip((50, 99), of_percent, strict=True)
    ]


def _measure_records(store: Store, folder: Path) -> list[bool]:
    """Measure writes of records relative to a bare fsync of as many pages, the part of the disk."""
    bare = _bare_fsync(folder / "one", 1_000, pages=1)
    one = measure_seconds(lambda: store.add_records(activities(1)).result(), 1_000)
    bare_many = _bare_fsync(folder / "many", 200, PAGES_OF_100)
    hundred = measure_seconds(lambda: store.add_records(activities(100)).result(), 200)
    for label, durations in (("a page", bare), (f"{PAGES_OF_100} pages", bare_many)):
        median, tail = (_percentile(durations, share) * 1e6 for share in (50, 99))
        print(f"bare fsync of {label}: p50 {median:.0f}, p99 {tail:.0f} µs")
    cases = (("a record, p{}, to its", one, bare), ("100, p{}, to their", hundred, bare_many))
    return [
        show(f"accept {label.format(p)} bare fsync", _percentile(ours, p) / _percentile(disk, p), 3, "times")
        for label, ours, disk in cases
        for p in (50, 99)
    ]


def _measure_reads(store: Store) -> list[bool]:
    ids = iter([_lead(LEADS) for _ in range(2_000)])
    thousand = [_lead(LEADS) for _ in range(1_000)]
    cases: list[tuple[str, Callable[[], object], int, float]] = [
        ("the call list, 100 leads", lambda: store.call_list(None, 100, 0), 50, 50),
        ("the call list of one owner", lambda: store.call_list("sales", 100, 0), 50, 50),
        ("the history of one lead's scores", lambda: store.scores(next(ids)), 500, 50),
        ("one lead with its account", lambda: store.lead(next(ids)), 500, 5),
        ("1,000 leads with their accounts", lambda: store.leads(thousand), 10, 1_000),
    ]
    return [
        show(f"read {label}, p50", _percentile(measure_seconds(call, times), 50) * 1e3, bar, "ms")
        for label, call, times, bar in cases
    ]


def prediction(leads: int) -> Prediction:
    """A prediction at the present moment for a random lead."""
    now, hot = time.time_ns() // 10**6, _rng.random() < HOT_SHARE
    return Prediction(
        lead_id=_lead(leads),
        as_of=now,
        scored_at=now,
        replay=False,
        score=85 if hot else 30,
        stage="hot" if hot else "cold",
        decided_by="model",
        fallback=None,
        model_version="7",
        probability=0.31,
        model_score=55,
        model_stage="warm",
        card_version="c0ffee",
        points=40,
        fit=20,
        intent=20,
        rules_score=60,
        rules_stage="warm",
        action="call",
        owner="sales" if now % 2 else "inside_sales",
        deadline=now + 3_600_000 if hot else None,
        request_id="0123456789abcdef",
        detail=_DETAIL,
    )


def activities(count: int) -> list[Record]:
    """New activities of random leads."""
    now = time.time_ns() // 10**6
    body = {"type": "page", "value": 1.0}
    return [Record("activities", _key(), 1, _lead(LEADS), now, body) for _ in range(count)]


def _fill(store: Store) -> None:
    """Store leads in accounts of three with two activities each, a tenth of them closed, and predictions."""
    began = time.monotonic()
    for start in range(0, LEADS, 2_000):
        numbers = range(start, start + 2_000)
        store.add_records([_known_lead(number) for number in numbers]).result()
        store.add_records(activities(4_000)).result()
        store.add_records([_closed_deal(number) for number in numbers if not number % 10]).result()
    for _ in range(PREDICTIONS // 2_000):
        store.add_predictions([prediction(LEADS) for _ in range(2_000)]).result()
    print(f"{LEADS:,} leads and {PREDICTIONS:,} predictions in {time.monotonic() - began:.0f} s")


def _known_lead(number: int) -> Record:
    body = {"attributes": {"industry": "IT", "employees": number}, "account": f"a{number // 3}"}
    return Record("leads", _key(), 1, f"lead-{number}", number, {**body, "created_at": number})


def _closed_deal(number: int) -> Record:
    return Record("outcomes", _key(), 1, f"lead-{number}", number, {"outcome": "won"})


def _lead(leads: int) -> str:
    return f"lead-{_rng.integers(leads)}"


def _key() -> str:
    return _rng.bytes(16).hex()


def _bare_fsync(path: Path, times: int, pages: int) -> list[float]:
    with path.open("wb", buffering=0) as file:

        def write() -> None:
            for _ in range(pages):
                file.write(bytes(4096))
            os.fsync(file.fileno())

        return measure_seconds(write, times)


def _percentile(seconds: list[float], percent: float) -> float:
    return float(np.percentile(seconds, percent))


if __name__ == "__main__":
    main()
