"""The follower: CPU while idle, and the seconds from a promotion to its bundle.

`python -m benchmarks.follower [CRM_TOML]`, where the CRM has a champion and a challenger.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.soak import two_models
from features.settings import load_settings
from scoring.model.bundle import origin_of
from scoring.scorecard.load import find_card
from training.registry.promotion import promote, rollback

SETTLE_SECONDS, IDLE_SECONDS, MAX_CPU_SHARE, MAX_SECONDS = 10.0, 60.0, 0.005, 5.0


def measure(crm_toml: Path) -> tuple[float, float]:
    """The share of a core while idle, and the seconds from a promotion to its bundle."""
    out = crm_toml.parent / "hotlead-out"
    bundles = out / "bundles"
    follower = subprocess.Popen([sys.executable, "-m", "cli", "follow", str(crm_toml)])
    try:
        _wait_for_change(bundles, None, 120)
        time.sleep(SETTLE_SECONDS)
        share = _cpu_share(follower.pid)
        before = _registered(bundles)
        settings = load_settings(crm_toml)
        promote(out, find_card(settings.folder, settings.table), "benchmark", "benchmarks")
        seconds = _wait_for_change(bundles, before, 60)
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
    used = after.user + after.system - before.user - before.system
    return float(used / (time.monotonic() - start))


def _registered(bundles: Path) -> str | None:
    origin = origin_of(bundles)
    return origin.registered if origin else None


def _wait_for_change(bundles: Path, before: str | None, seconds: float) -> float:
    start = time.monotonic()
    while _registered(bundles) in (before, None):
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"no new bundle after {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - start


if __name__ == "__main__":
    share, seconds = measure(Path(sys.argv[1]) if len(sys.argv) > 1 else two_models())
    print(f"idle: {share:.2%} of a core (at most {MAX_CPU_SHARE:.1%}) over {IDLE_SECONDS:.0f} s")
    print(f"promotion to bundle: {seconds:.2f} s (at most {MAX_SECONDS:.0f} s)")
    sys.exit(share > MAX_CPU_SHARE or seconds > MAX_SECONDS)
