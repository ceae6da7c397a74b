"""The follower: the one process that asks MLflow who is champion, and lays its bundle out to be served.

Those that serve never reach MLflow: while it is away, the last bundle goes on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from features.clock import iso, now_ms, to_ms
from features.errors import HotleadError
from scoring.model.bundle import Origin, origin_of, write_bundle
from training.registry.mlflow_store import (
    CHAMPION,
    check_store,
    find_model,
    find_version,
    mlflow_store,
)

EVERY_SECONDS = 1.0


def follow(
    out: Path,
    bundles: Path,
    stop: threading.Event,
    report_step: Callable[[str], None],
    every: float = EVERY_SECONDS,
    crm: Path | None = None,
) -> None:
    """Keep the bundle in use up to the champion of the MLflow store of `out` until `stop` is set, and do
    what reviewers of the CRM (its crm.toml) ask of the models.

    What goes wrong (MLflow away, no champion yet, a full disk) is said once, and tried again.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    last = ""
    while not stop.is_set():
        try:
            message = sync_once(out, bundles) or (process_requests(out, bundles, crm) if crm else "")
        except HotleadError as problem:
            message = str(problem)
        except Exception as problem:  # whatever it is, the last bundle serves, and we try again
            message = f"following failed ({type(problem).__name__}); it is tried again"
        if message and message != last:
            report_step(message)
        last = message
        stop.wait(every)


def process_requests(out: Path, bundles: Path, crm: Path) -> str:
    """Carry out what reviewers ask of the models, and write down what the pages show of them.

    Returns what was done, in a sentence. Raises HotleadError.
    """
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training.registry.models_snapshot import write_models_snapshot
    from training.registry.review_requests import process_pending

    settings = load_settings(crm)
    card = find_card(settings.folder, settings.table)
    count = process_pending(out, bundles, card)
    write_models_snapshot(out, bundles, card)
    return f"{count} requests of reviewers were answered" if count else ""


def follow_until_stopped(out: Path, bundles: Path, crm: Path) -> None:
    """Follow until SIGINT or SIGTERM."""
    stop = threading.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda *_: stop.set())
    follow(out, bundles, stop, _log, crm=crm)


def _log(message: str) -> None:
    """A line of JSON to stderr, as the service writes them."""
    line = {"time": iso(now_ms()), "level": "info", "logger": "follower", "message": message}
    print(json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)


def deploy_champion(out: Path, bundles: Path, report_step: Callable[[str], None]) -> None:
    """Look once, and say what was done; what goes wrong is said too: the last bundle serves, or the rules."""
    try:
        message = sync_once(out, bundles)
    except HotleadError as problem:
        message = str(problem)
    if message:
        report_step(message)


def sync_once(out: Path, bundles: Path) -> str:
    """Look once, and lay out the champion where it is another than the one in use, or that is damaged.

    Returns what was done, in a sentence; empty where all is as it was. Raises HotleadError.
    """
    check_store(out)
    with mlflow_store(out) as (mlflow, _):
        version = find_version(mlflow, CHAMPION)
    if version is None:
        return "there is no champion yet: the rules decide (`hotlead promote` makes one)"
    current_origin = origin_of(bundles)
    if (
        current_origin is not None
        and current_origin.registered == str(version.version)
        and current_origin.run_id == version.run_id
    ):
        return ""
    registered_model = find_model(out, (CHAMPION,))
    origin = Origin(
        registered_model.model.version,
        registered_model.version,
        registered_model.run_id,
        _champion_since_ms(version),
    )
    write_bundle(bundles, registered_model.folder, origin)
    return f"model {origin.version} (version {origin.registered}) is laid out to be served"


def _champion_since_ms(version: Any) -> int:
    """When the model became champion, as the tags of its promotion and its return say."""
    timestamps = [version.tags.get(f"hotlead.{event}.at") for event in ("promoted", "restored")]
    times_ms = [to_ms(datetime.fromisoformat(text)) for text in timestamps if text]
    return max(times_ms, default=now_ms())
