"""The follower: CPU while idle, and the seconds from a promotion to its bundle.

`python -m benchmarks.follower [CRM_TOML]`, where the CRM has a champion and a challenger.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.soak.champions import two_models
from benchmarks.support.load import wait_for
from features.settings import load_settings
from scoring.model.bundle import origin_of
from scoring.review_requests import read_models
from scoring.scorecard.load import find_card
from training.registry.promotion import promote, rollback

START_SECONDS, SETTLE_SECONDS, IDLE_SECONDS = 120.0, 10.0, 60.0
MAX_CPU_SHARE, MAX_SECONDS = 0.005, 5.0


def measure(crm_toml: Path, bundles: Path) -> tuple[float, float]:
    """The share of a core while idle, and the seconds from a promotion to its bundle below `bundles`."""
    out, settings = crm_toml.parent / "hotlead-out", load_settings(crm_toml)
    command = [sys.executable, "-m", "cli", "follow", str(crm_toml)]
    follower = subprocess.Popen(command, env={**os.environ, "HOTLEAD_BUNDLES": str(bundles)})
    try:
        wait_for(lambda: read_models(bundles) is not None, START_SECONDS)
        time.sleep(SETTLE_SECONDS)
        share = _cpu_share(follower.pid)
        before = origin_of(bundles)
        promote(out, find_card(settings.folder, settings.table), "benchmark", "benchmarks")
        seconds = wait_for(lambda: origin_of(bundles) != before, 60)
        rollback(out, "benchmark", "benchmarks")
    finally:
        follower.terminate()
        follower.wait(30)
    return share, seconds


def _cpu_share(pid: int) -> float:
    process = psutil.Process(pid)
    before, start = process.cpu_times(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    cpu_seconds = after.user + after.system - before.user - before.system
    return float(cpu_seconds / (time.monotonic() - start))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temp_folder:
        crm = Path(sys.argv[1]) if len(sys.argv) > 1 else two_models()
        share, seconds = measure(crm, Path(temp_folder))
    print(f"idle: {share:.2%} of a core (at most {MAX_CPU_SHARE:.1%}) over {IDLE_SECONDS:.0f} s")
    print(f"promotion to bundle: {seconds:.2f} s (at most {MAX_SECONDS:.0f} s)")
    sys.exit(share > MAX_CPU_SHARE or seconds > MAX_SECONDS)
