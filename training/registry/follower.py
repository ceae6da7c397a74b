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
    mlflow_store,
    version_of,
)

EVERY_SECONDS = 1.0


def follow(
    out: Path,
    bundles: Path,
    stop: threading.Event,
    say: Callable[[str], None],
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
            told = step(out, bundles) or (look_after(out, bundles, crm) if crm else "")
        except HotleadError as problem:
            told = str(problem)
        except Exception as problem:  # whatever it is, the last bundle serves, and we try again
            told = f"following failed ({type(problem).__name__}); it is tried again"
        if told and told != last:
            say(told)
        last = told
        stop.wait(every)


def look_after(out: Path, bundles: Path, crm: Path) -> str:
    """Carry out what reviewers ask of the models, and write down what the pages show of them.

    Returns what was done, in a sentence. Raises HotleadError.
    """
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training.registry.models_snapshot import tell_models
    from training.registry.review_requests import carry_out

    settings = load_settings(crm)
    card = find_card(settings.folder, settings.table)
    count = carry_out(out, bundles, card)
    tell_models(out, bundles, card)
    return f"{count} requests of reviewers were answered" if count else ""


def follow_until_stopped(out: Path, bundles: Path, crm: Path) -> None:
    """Follow until SIGINT or SIGTERM."""
    stop = threading.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda *_: stop.set())
    follow(out, bundles, stop, _log, crm=crm)


def _log(told: str) -> None:
    """A line of JSON to stderr, as the service writes them."""
    line = {"time": iso(now_ms()), "level": "info", "logger": "follower", "message": told}
    print(json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)


def lay_out(out: Path, bundles: Path, say: Callable[[str], None]) -> None:
    """Look once, and say what was done; what goes wrong is said too: the last bundle serves, or the rules."""
    try:
        told = step(out, bundles)
    except HotleadError as problem:
        told = str(problem)
    if told:
        say(told)


def step(out: Path, bundles: Path) -> str:
    """Look once, and lay out the champion where it is another than the one in use, or that is damaged.

    Returns what was done, in a sentence; empty where all is as it was. Raises HotleadError.
    """
    check_store(out)
    with mlflow_store(out) as (mlflow, _):
        version = version_of(mlflow, CHAMPION)
    if version is None:
        return "there is no champion yet: the rules decide (`hotlead promote` makes one)"
    used = origin_of(bundles)
    if used is not None and used.registered == str(version.version) and used.run_id == version.run_id:
        return ""
    found = find_model(out, (CHAMPION,))
    origin = Origin(found.model.version, found.version, found.run_id, _since(version))
    write_bundle(bundles, found.folder, origin)
    return f"model {origin.version} (version {origin.registered}) is laid out to be served"


def _since(version: Any) -> int:
    """When the model became champion, as the tags of its promotion and its return say."""
    told = [version.tags.get(f"hotlead.{what}.at") for what in ("promoted", "restored")]
    at = [to_ms(datetime.fromisoformat(text)) for text in told if text]
    return max(at, default=now_ms())
