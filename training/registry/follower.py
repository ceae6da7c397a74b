"""The follower: the only process of the service that asks MLflow which model is champion.

It writes the champion as a bundle that the workers load. Workers never call MLflow: while MLflow is down,
the last bundle stays in service.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Hashable
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from features.clock import iso, now_ms, to_ms
from features.errors import HotleadError
from features.messages import Message, ReportStep
from scoring.model.bundle import Origin, origin_of, write_bundle
from scoring.review_requests import ReviewResult
from training.registry.change_detection import read_state
from training.registry.mlflow_store import CHAMPION, check_store, find_model, find_versions, store_file
from training.registry.sqlite_versions import ModelVersion

POLL_SECONDS = 1.0
SERVER_POLL_SECONDS = 2.0
MAX_RETRY_SECONDS, MAX_DOUBLINGS = 3.0, 10
RECHECK_SECONDS = 60.0
"""MLflow is asked this often even when nothing seems to have changed."""


OnResult: TypeAlias = Callable[[ReviewResult], None]


def _ignore(result: ReviewResult) -> None: ...


class Follower:
    """Keeps the bundle equal to the champion and processes reviewers' requests, one `poll` at a time.

    `out` is the output folder, `crm` the crm.toml whose reviewers' requests are processed (None: none are).
    `on_result` is called with the result of each request.
    """

    def __init__(
        self,
        out: Path,
        bundles: Path,
        crm: Path | None,
        recheck_seconds: float = RECHECK_SECONDS,
        on_result: OnResult = _ignore,
    ) -> None:
        self._on_result = on_result
        self._out, self._bundles, self._crm = out, bundles, crm
        self._recheck_seconds, self._recheck_at = recheck_seconds, 0.0
        self._state: Hashable | None = None

    def poll(self) -> str | None:
        """Do what is due, and return what was done in a sentence ("" for nothing).

        Returns None when nothing has changed, so that MLflow was not asked. Raises HotleadError; then the
        next poll asks MLflow again.
        """
        state = read_state(self._out, self._bundles, self._crm)
        if state is not None and state == self._state and time.monotonic() < self._recheck_at:
            return None
        self._state = None
        synced = sync_once(self._out, self._bundles)
        messages = [str(synced or "")]
        if self._crm is not None:
            messages.append(process_requests(self._out, self._bundles, self._crm, self._on_result))
        self._state, self._recheck_at = state, time.monotonic() + self._recheck_seconds
        return "; ".join(filter(None, messages))


def follow(
    out: Path,
    bundles: Path,
    stop: threading.Event,
    report_step: ReportStep,
    crm: Path | None = None,
    poll_seconds: float = POLL_SECONDS,
    recheck_seconds: float = RECHECK_SECONDS,
    on_result: OnResult = _ignore,
) -> None:
    """Run a Follower until `stop` is set.

    An error (MLflow does not answer, no champion yet, the disk is full) is reported once and tried again.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    follower, failures, last_message = Follower(out, bundles, crm, recheck_seconds, on_result), 0, ""
    while not stop.is_set():
        try:
            message, failures = follower.poll(), 0
        except Exception as problem:  # the last bundle stays in service, whatever the error is
            failed = f"following failed ({type(problem).__name__}); it is tried again"
            message = str(problem) if isinstance(problem, HotleadError) else failed
            failures = min(failures + 1, MAX_DOUBLINGS)
        if message and message != last_message:
            report_step(message)
        last_message = last_message if message is None else message
        interval = poll_seconds if store_file(out) else max(poll_seconds, SERVER_POLL_SECONDS)
        stop.wait(min(interval * 2**failures, max(interval, MAX_RETRY_SECONDS)))


def process_requests(out: Path, bundles: Path, crm: Path, on_result: OnResult = _ignore) -> str:
    """Process the reviewers' requests and update the snapshot of the models that the pages show.

    Returns what was done, in a sentence. Raises HotleadError.
    """
    # Start-up time: a first deployment of the champion needs none of these.
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training.registry.models_snapshot import write_models_snapshot
    from training.registry.review_requests import process_pending

    settings = load_settings(crm)
    card = find_card(settings.folder, settings.table)
    count = process_pending(out, bundles, card, on_result)
    write_models_snapshot(out, bundles, card)
    return f"{count} requests of reviewers were answered" if count else ""


def follow_until_stopped(
    out: Path, bundles: Path, crm: Path, note_result: Callable[[ReviewResult], Message | None]
) -> None:
    """Follow until SIGINT or SIGTERM; `note_result` notes a result elsewhere, and says what hindered it."""

    def on_result(result: ReviewResult) -> None:
        warning = note_result(result)
        if warning is not None:
            _log(warning)

    stop = threading.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda *_: stop.set())
    follow(out, bundles, stop, _log, crm=crm, on_result=on_result)


def _log(message: Message | str) -> None:
    """A line of JSON to stderr in English, as the service writes them."""
    line = {"time": iso(now_ms()), "level": "info", "logger": "follower", "message": str(message)}
    print(json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)


def deploy_champion(out: Path, bundles: Path, report_step: ReportStep) -> None:
    """Write the champion's bundle once and report what was done; an error is reported, not raised."""
    try:
        message = sync_once(out, bundles)
    except HotleadError as problem:
        message = problem.message
    if message is not None:
        report_step(message)


def sync_once(out: Path, bundles: Path) -> Message | None:
    """Ask MLflow for the champion, and write its bundle if the current one is another or is damaged.

    Returns what was done, in a sentence; None when the bundle is up to date. Raises HotleadError.
    """
    check_store(out)
    version = find_versions(out, (CHAMPION,))[CHAMPION]
    if version is None:
        return Message("there is no champion yet: the rules decide (`hotlead promote` makes one)")
    current = origin_of(bundles)
    if current is not None and (current.registered, current.run_id) == (version.version, version.run_id):
        return None
    champion = find_model(out, (CHAMPION,))
    since = _champion_since_ms(version)
    origin = Origin(champion.model.version, champion.version, champion.run_id, since)
    write_bundle(bundles, champion.folder, origin)
    return Message(
        "model {version} (version {registered}) is laid out to be served",
        version=origin.version,
        registered=origin.registered,
    )


def _champion_since_ms(version: ModelVersion) -> int:
    """When the model became champion (ms UTC), from the tags of its promotion or its restoration."""
    timestamps = [version.tags.get(f"hotlead.{event}.at") for event in ("promoted", "restored")]
    times_ms = [to_ms(datetime.fromisoformat(text)) for text in timestamps if text]
    return max(times_ms, default=now_ms())
