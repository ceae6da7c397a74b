"""Ten promotions and rollbacks in a row, by their commands, under a load of scores."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.service import leads
from benchmarks.soak.figures import Figure
from benchmarks.support.data import crm_with_models
from benchmarks.support.load import run_load, wait_for
from benchmarks.support.served import RunningService, start_service
from features.settings import load_settings
from training.registry.promotion import rollback

LEADS, CONNECTIONS, SWAPS = 2_000, 8, 10
SERVED_SECONDS = 15.0


@dataclass(frozen=True)
class Swap:
    """A change of the champion: seconds of computing of the command, seconds until it served."""

    command: str
    cpu_seconds: float
    served_seconds: float


def two_models() -> Path:
    """The crm.toml of a demo CRM with two models, the first of which is the champion."""
    return crm_with_models("soak", LEADS, models=2)


def measure_swaps(crm_toml: Path, swaps: int = SWAPS) -> list[Figure]:
    """Move the champion under a load of eight connections."""
    lead_bodies = itertools.cycle(leads(load_settings(crm_toml), 500))
    with suppress(Exception):  # an earlier run ended in the middle
        rollback(crm_toml.parent / "hotlead-out", "as it was", None)
    with start_service(crm_toml, "--workers", "2", environ={"HOTLEAD_RATE_LIMIT": "0"}) as service:
        wait_for(lambda: read_version(service) is not None, 60)
        with run_load(service.url, lambda _: ("/v1/score", next(lead_bodies)), CONNECTIONS) as result:
            measured = [_swap(crm_toml, service, turn) for turn in range(swaps)]
    print(f"  {sum(result.statuses.values()):,} answers, by version {dict(result.versions)}")
    nameless = sum(n for name, n in result.versions.items() if name.startswith("rules"))
    return [
        Figure(f"failed requests in {swaps} changes of the champion", result.failed, 0, "requests"),
        Figure("answers that name no model", nameless, 0, "answers"),
        Figure("promote, computing", _maximum(measured, "promote", "cpu_seconds"), None, "s"),
        Figure("rollback, computing", _maximum(measured, "rollback", "cpu_seconds"), None, "s"),
        Figure(
            "promote, from command to served",
            _maximum(measured, "promote", "served_seconds"),
            SERVED_SECONDS,
            "s",
        ),
        Figure(
            "rollback, from command to served",
            _maximum(measured, "rollback", "served_seconds"),
            SERVED_SECONDS,
            "s",
        ),
    ]


def _swap(crm_toml: Path, service: RunningService, turn: int) -> Swap:
    before, command = read_version(service), "rollback" if turn % 2 else "promote"
    options = [] if turn % 2 else ["--override", "soak"]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", command, str(crm_toml), *options], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"hotlead {command} ended with {process.returncode}")
    wait_for(lambda: read_version(service) != before, 120)
    swap = Swap(command, usage.ru_utime + usage.ru_stime, time.monotonic() - began)
    print(f"  {swap}", flush=True)
    return swap


def _maximum(swaps: Sequence[Swap], command: str, name: str) -> float:
    return max((getattr(swap, name) for swap in swaps if swap.command == command), default=0.0)


def read_version(service: RunningService) -> str | None:
    """The registered version in service; None while the rules decide alone."""
    model: dict[str, Any] | None = httpx.get(f"{service.url}/v1/model", timeout=60).json()["model"]
    return None if model is None else str(model["registered_version"])
