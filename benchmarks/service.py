"""Measures the service over HTTP: latency, throughput and batches, beside an empty BentoML endpoint and
beside `mlflow models serve` on the same model.

`python -m benchmarks.service`
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from benchmarks.support.data import FOLDER, crm_with_models
from benchmarks.support.http_load import Latency, measure_side_by_side, measure_throughput
from benchmarks.support.measuring import end, show
from benchmarks.support.served import RunningService, free_port, start_process, start_service
from features.settings import CrmSettings, load_settings

LEADS, ACTIVITIES, BODIES, BATCH = 8_000, 20, 400, 1_000
CONNECTIONS, SECONDS = 16, 8.0
_CALM = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def champion_crm() -> Path:
    """The crm.toml of a demo CRM with a champion, trained if it does not exist yet."""
    return crm_with_models("service", LEADS)


def leads(crm: CrmSettings, count: int) -> list[dict[str, object]]:
    """Request bodies of leads of the demo CRM: their attributes and 20 activities, moved to end now.

    Leads with fewer activities repeat them.
    """
    with sqlite3.connect(crm.folder / "crm.db") as file:
        file.row_factory = sqlite3.Row
        busiest = "SELECT lead_id FROM activities GROUP BY lead_id ORDER BY count(*) DESC LIMIT ?"
        of_these = f"IN ({busiest})"
        lead_rows = file.execute(f"SELECT * FROM leads WHERE lead_id {of_these}", (count,)).fetchall()
        activities = defaultdict(list)
        for row in file.execute(
            f"SELECT lead_id, type, at FROM activities WHERE lead_id {of_these} ORDER BY at", (count,)
        ):
            activities[row["lead_id"]].append((row["type"], row["at"]))
    file.close()
    return [_to_body(row, activities[row["lead_id"]][-ACTIVITIES:], crm) for row in lead_rows]


def _to_body(row: sqlite3.Row, activities: list[tuple[str, str]], crm: CrmSettings) -> dict[str, object]:
    now = datetime.now(UTC)
    read = {name: row[name] for name in crm.columns if name in row.keys()}  # noqa: SIM118
    last = datetime.fromisoformat(activities[-1][1])
    moved = [(kind, now - (last - datetime.fromisoformat(moment))) for kind, moment in activities]
    padded = [moved[i % len(moved)] for i in range(ACTIVITIES)]
    return {
        "lead_id": row["lead_id"],
        "created_at": (moved[0][1] - timedelta(days=1)).isoformat(),
        "attributes": {name: value for name, value in read.items() if value is not None},
        "activities": [{"type": kind, "at": moment.isoformat()} for kind, moment in padded],
    }


def start_empty_service(stack: ExitStack) -> RunningService:
    """Run the empty service of the same BentoML version with the defaults."""
    port = free_port()
    options = f"benchmarks.support.empty_service:Empty --port {port} --host 127.0.0.1".split()
    command = [sys.executable, "-m", "bentoml", "serve", *options]
    home = {"BENTOML_HOME": str((FOLDER / "empty-bentoml").absolute())}
    return stack.enter_context(start_process(command, FOLDER / "empty.log", port, home))


def start_mlflow(stack: ExitStack, crm_toml: Path) -> RunningService:
    """Run `mlflow models serve` on the champion with one worker."""
    out = crm_toml.parent / "hotlead-out"
    port = free_port()
    options = f"-m models:/hotlead@champion --env-manager local --port {port} --workers 1".split()
    command = [sys.executable, "-m", "mlflow", "models", "serve", *options]
    uri = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{(out / 'mlflow.db').absolute()}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": os.getcwd(),
        **_CALM,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return stack.enter_context(start_process(command, FOLDER / "mlflow.log", port, uri, "/ping"))


def mlflow_bodies(crm: CrmSettings) -> list[bytes]:
    """Request bodies for MLflow's server with the feature values of leads."""
    names, texts = crm.table.names, crm.table.texts
    data = [[None if name in texts else 1.0 for name in names]]
    return [orjson.dumps({"dataframe_split": {"columns": list(names), "data": data}})]


def print_latency(name: str, latency: Latency) -> None:
    shown = " ".join(f"p{share * 100:g} {latency.quantile(share):.2f}" for share in (0.5, 0.9, 0.99, 0.999))
    print(f"  {name}: {shown} ms ({len(latency.milliseconds):,} answers)", flush=True)


def measure_latency(ours: RunningService, theirs: RunningService, bodies: Sequence[bytes]) -> list[bool]:
    """The latency of one lead with all reasons, beside that of the empty endpoint."""
    nothing, one = measure_side_by_side(
        [(theirs.port, "/empty", [b'{"lead_id":"a"}']), (ours.port, "/v1/score", bodies)], 12, 250
    )
    print_latency("empty endpoint", nothing)
    print_latency("one lead", one)
    return [
        show("one lead, p50 of an empty endpoint's", one.quantile(0.5) / nothing.quantile(0.5), 1.5, "times"),
        show("one lead, p99 of an empty endpoint's", one.quantile(0.99) / nothing.quantile(0.99), 3, "times"),
    ]


def main() -> None:
    crm_toml = champion_crm()
    crm = load_settings(crm_toml)
    lead_bodies = leads(crm, BATCH)
    bodies = [orjson.dumps(lead) for lead in lead_bodies[:BODIES]]
    batch = [orjson.dumps({"leads": lead_bodies})]
    quiet = {"HOTLEAD_RATE_LIMIT": "0", **_CALM}
    with ExitStack() as stack:
        ours = stack.enter_context(start_service(crm_toml, environ=quiet))
        passed = measure_latency(ours, start_empty_service(stack), bodies)
        (many,) = measure_side_by_side([(ours.port, "/v1/score/batch?explain=none", batch)], 20, 1)
        print_latency(f"batch of {BATCH:,}", many)
        passed.append(show("a batch of 1,000 leads, p50", many.quantile(0.5), 100, "ms"))
        print(f"  {BATCH / many.quantile(0.5) * 1000:,.0f} leads a second")
        fast = measure_throughput(ours.port, "/v1/score", bodies, CONNECTIONS, SECONDS)
        mlflow = start_mlflow(stack, crm_toml)
        slow = measure_throughput(mlflow.port, "/invocations", mlflow_bodies(crm), CONNECTIONS, SECONDS)
        print(f"  {CONNECTIONS} connections: {fast:,.0f} answers a second; mlflow {slow:,.0f}")
        passed.append(show("mlflow's throughput of ours", slow / fast, 0.2, "times"))
    end(passed)


if __name__ == "__main__":
    main()
