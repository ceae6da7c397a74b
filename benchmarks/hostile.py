"""Measures bodies that are made to cost much, beside accepted bodies of the same kind: CPU and memory a byte,
and how long others wait meanwhile.

`python -m benchmarks.hostile`
"""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Event, Thread

import httpx

from benchmarks.support.data import crm_with_models
from benchmarks.support.measuring import end, show
from benchmarks.support.served import RunningService, start_service
from features.clock import now_ms
from features.settings import load_settings
from serving.api.routes import ERRORS, to_problem
from serving.leads.batch import parse_batch
from serving.leads.field_types import AttributeSchema
from serving.leads.lead_facts import parse_lead
from serving.leads.to_records import parse_records
from serving.store.records import KINDS
from serving.web.problems import problem_body

KIB, MIB = 2**10, 2**20
BAR_TIMES, BAR_WAIT_SECONDS, FREE_MS, FREE_MIB = 3.0, 1.0, 5.0, 4.0
"""The bars, and what may be spent whatever the size: 50 errors are described."""
AT_ONCE, WAITS_SECONDS = 8, 240.0
TIME = "2026-01-05T09:30:00Z"
_PATHS = {"lead": "/v1/score", "batch": "/v1/score/batch"}


@dataclass(frozen=True)
class Shape:
    """A body: `head`, then `item` as often as the size allows (with {i} its number), then `tail`."""

    name: str
    kind: str
    size: int
    head: str = ""
    item: str = ""
    tail: str = ""

    def build(self) -> bytes:
        room = self.size - len(self.head) - len(self.tail)
        if "{i}" not in self.item:
            return (self.head + self.item * (room // len(self.item)) + self.tail).encode()
        count = room // (len(self.item) + len(str(room // len(self.item))) - 3)
        return (
            self.head + "".join(self.item.replace("{i}", str(i)) for i in range(count)) + self.tail
        ).encode()


def _list(kind: str, name: str, size: int, item: str, last: str) -> Shape:
    return Shape(name, kind, size, "[", item, last + "]")


def _activities(name: str, size: int, item: str, last: str) -> Shape:
    return Shape(name, "lead", size, '{"lead_id":"a","activities":[', item, last + "]}")


def _batch(name: str, size: int, item: str, last: str) -> Shape:
    return Shape(name, "batch", size, '{"leads":[', item, last + "]}")


_RIGHT = f'{{"type":"visit","at":"{TIME}","value":1}}'
_RIGHT_STEP = f'{{"id":"h{{i}}","lead_id":"a","step":"accepted","at":"{TIME}"}}'
_RIGHT_LEAD = '{"lead_id":"a","activities":[' + ",".join([_RIGHT] * 150) + "]}"
HONEST: Mapping[str, Callable[[int], Shape]] = {
    "handovers": lambda size: _list(
        "handovers", "right", min(size, 700 * KIB), _RIGHT_STEP + ",", _RIGHT_STEP
    ),
    "lead": lambda size: _activities("right", min(size, 500 * KIB), _RIGHT + ",", _RIGHT),
    "batch": lambda size: _batch("right", max(size, 16 * KIB), _RIGHT_LEAD + ",", _RIGHT_LEAD),
}
SHAPES: Sequence[Shape] = (
    _list("handovers", "[0,0,...", KIB, "0,", "0"),
    _list("handovers", "[0,0,...", 64 * KIB, "0,", "0"),
    _list("handovers", "[0,0,...", 32 * MIB, "0,", "0"),
    _list("handovers", "[{},{},...", 4 * KIB, "{},", "{}"),
    _list("handovers", "[{},{},...", 64 * KIB, "{},", "{}"),
    _list("handovers", "[{},{},...", 32 * MIB, "{},", "{}"),
    _list("handovers", "[[],[],...", 32 * MIB, "[],", "[]"),
    _list("handovers", '[{"a":0},...', 80 * KIB, '{"a":0},', "{}"),
    _list("handovers", '[{"a":0},...', 32 * MIB, '{"a":0},', "{}"),
    _list("handovers", "all wrong steps", MIB, _RIGHT_STEP.replace("accepted", "x") + ",", _RIGHT_STEP),
    Shape("deep [[[...", "handovers", 32 * MIB, "", "[", ""),
    Shape("[[...]] of depth 1,000", "handovers", MIB, "[", "[" * 500 + "]" * 500 + ",", "0]"),
    Shape('deep {"a":{...', "lead", 32 * MIB, "", '{"a":', ""),
    Shape("one long text", "handovers", 32 * MIB, '{"lead_id":"', "x", '"}'),
    Shape("a text of commas", "handovers", 32 * MIB, '{"lead_id":"', ",", '"}'),
    Shape("a text without end", "handovers", 32 * MIB, '{"lead_id":"', "\\\\", ""),
    Shape("one long number", "lead", 32 * MIB, '{"lead_id":', "1", "}"),
    Shape("blanks", "lead", 32 * MIB, "", " ", ""),
    _activities("[0,0,...", 64 * KIB, "0,", "0"),
    _activities("[{},{},...", MIB, "{},", "{}"),
    _activities('[{"a":0},...', 80 * KIB, '{"a":0},', "{}"),
    _activities("60 right, then wrong", 80 * KIB, (_RIGHT + ",") * 60 + '{"a":0},' * 9000, "{}"),
    Shape("unknown keys", "lead", 4 * KIB, '{"lead_id":"a"', ',"k{i}":0', "}"),
    Shape("unknown keys", "lead", 64 * KIB, '{"lead_id":"a"', ',"k{i}":0', "}"),
    Shape("unknown keys", "lead", 32 * MIB, '{"lead_id":"a"', ',"k{i}":0', "}"),
    Shape("attributes", "lead", 32 * MIB, '{"lead_id":"a","attributes":{"k":0', ',"k{i}":0', "}}"),
    Shape("wrong attributes", "lead", 9 * KIB, '{"lead_id":"a","attributes":{"k":0', ',"k{i}":{}', "}}"),
    _batch("{}", 15 * KIB, "{},", "{}"),
    _batch('{"a":0}', 39 * KIB, '{"a":0},', "{}"),
    _batch("0", 32 * MIB, "0,", "0"),
    _batch(
        "unknown keys", 4 * MIB, '{"lead_id":"a",' + ",".join(f'"k{i}":0' for i in range(90)) + "},", "{}"
    ),
    _batch("wrong activities", 16 * MIB, _RIGHT_LEAD.replace('"at"', '"ta"') + ",", "{}"),
)


@dataclass(frozen=True)
class BodyCost:
    """What reading a body costs."""

    size: int
    cpu_ms: float
    peak_mib: float


def measure(shape: Shape, crm_toml: Path) -> BodyCost:
    """The cost of a body, in a process of its own: memory that was used once is not used anew."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_measure_here, (shape, crm_toml))


def _measure_here(shape: Shape, crm_toml: Path) -> BodyCost:
    schema, body = AttributeSchema.from_settings(load_settings(crm_toml)), shape.build()
    read(HONEST[shape.kind](64 * KIB).build(), shape.kind, schema)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before = _read_peak_mib()
    began = time.process_time()
    read(body, shape.kind, schema)
    first, peak = time.process_time() - began, _read_peak_mib() - before
    times = [first] if first > 0.3 else [first, *(_time(body, shape.kind, schema) for _ in range(4))]
    return BodyCost(len(body), statistics.median(times) * 1e3, peak)


def _time(body: bytes, kind: str, schema: AttributeSchema) -> float:
    began = time.process_time()
    read(body, kind, schema)
    return time.process_time() - began


def _read_peak_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / KIB


def read(body: bytes, kind: str, schema: AttributeSchema) -> None:
    """Parse a body, and build the answers to its errors."""
    now = now_ms()
    try:
        if kind == "lead":
            parse_lead(body, schema, now)
        elif kind in KINDS:
            parse_records(kind, body, schema, now)
        else:
            leads = parse_batch(body, schema, now)
            for lead in leads if isinstance(leads, list) else ():
                if isinstance(lead, Exception):
                    problem_body(to_problem(lead), None)
    except ERRORS as error:
        problem_body(to_problem(error), None)


@cache
def measure_honest(kind: str, size: int, crm_toml: Path) -> BodyCost:
    return measure(HONEST[kind](size), crm_toml)


def compare(shape: Shape, crm_toml: Path) -> bool:
    """Print a body's cost beside that of an accepted one of its kind; whether it is within the bars."""
    cost, honest = measure(shape, crm_toml), measure_honest(shape.kind, shape.size, crm_toml)
    share = cost.size / honest.size
    cpu = cost.cpu_ms / (honest.cpu_ms * share)
    memory = cost.peak_mib / max(honest.peak_mib * share, 0.01)
    holds = (cpu <= BAR_TIMES or cost.cpu_ms <= FREE_MS) and (
        memory <= BAR_TIMES or cost.peak_mib <= FREE_MIB
    )
    print(
        f"{'ok  ' if holds else 'MISS'} {shape.kind:9} {shape.name:24} {cost.size / KIB:9,.0f} KiB "
        f"{cost.cpu_ms:9,.1f} ms {cpu:6.2f} x  {cost.peak_mib:7,.1f} MiB {memory:6.2f} x",
        flush=True,
    )
    return holds


def measure_waits(service: RunningService) -> list[bool]:
    """For each shape, the longest wait of another request while it arrives, eight bodies at a time.

    Ends after `WAITS_SECONDS`, whatever is left then.
    """
    until, passed = time.monotonic() + WAITS_SECONDS, list[bool]()
    for shape in sorted(SHAPES, key=lambda shape: shape.size, reverse=True):
        if time.monotonic() > until:
            print(f"  not measured for want of time: {shape.kind} {shape.name}", flush=True)
            continue
        with other_requests(service) as waits:
            _send(service, shape)
        passed.append(
            show(
                f"the longest wait beside {AT_ONCE} x {shape.kind} {shape.name}, {shape.size / KIB:,.0f} KiB",
                max(waits),
                BAR_WAIT_SECONDS,
                "s",
            )
        )
    return passed


@contextmanager
def other_requests(service: RunningService) -> Iterator[list[float]]:
    """The waits (seconds) of requests that are sent one after the other while the block runs."""
    stop, waits = Event(), list[float]()
    asking = Thread(target=_ask, args=(service, stop, waits))
    asking.start()
    try:
        yield waits
    finally:
        stop.set()
        asking.join()


def _send(service: RunningService, shape: Shape) -> None:
    path, body = _PATHS.get(shape.kind, f"/v1/{shape.kind}"), shape.build()
    send = partial(httpx.post, service.url + path, content=body, timeout=120, trust_env=False)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: send(headers={"Content-Type": "application/json"}), range(AT_ONCE)))
    assert {answer.status_code for answer in answers} <= {207, 400, 413, 422, 503}


def _ask(service: RunningService, stop: Event, waits: list[float]) -> None:
    with httpx.Client(base_url=service.url, timeout=120, trust_env=False) as client:
        while not (waits and stop.wait(0.02)):
            began = time.perf_counter()
            client.get("/livez")
            client.post("/v1/score", json={"lead_id": "a", "attributes": {}})
            waits.append(time.perf_counter() - began)


def main() -> None:
    crm_toml = crm_with_models("hostile", 300, models=0)
    passed = [compare(shape, crm_toml) for shape in SHAPES]
    environ: Mapping[str, str] = {"HOTLEAD_RATE_LIMIT": "0", "OMP_NUM_THREADS": "1"}
    with start_service(crm_toml, "--workers", "1", environ=environ) as service:
        passed += measure_waits(service)
    end(passed)


if __name__ == "__main__":
    main()
