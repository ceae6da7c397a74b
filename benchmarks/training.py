"""Measures the process `hotlead train` on 100,000 closed deals with 2 million activities.

`python -m benchmarks.training`
"""

from __future__ import annotations

import sys

from benchmarks.support.data import crm_toml
from benchmarks.support.measuring import end, run, show

LEADS, ACTIVITIES_PER_LEAD = 262_000, 7.7


def main() -> None:
    path = crm_toml("training", LEADS, ACTIVITIES_PER_LEAD)
    result = run([sys.executable, "-m", "cli", "train", str(path)])
    print(f"{result.cpu_seconds:.0f} s of CPU, {result.cpu_seconds / result.seconds:.1f} cores on average")
    end([show("train", result.seconds, 75, "s"), show("peak memory", result.gib, 3, "GiB")])


if __name__ == "__main__":
    main()
