"""Measures the process `hotlead init` on 1 GiB of CSV, and on a database of 200 tables of which three matter.

`python -m benchmarks.init`
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.support.exports import csv_files, database
from benchmarks.support.measuring import end, run, show

MIB, LEADS_IN_DATABASE = 1_024, 100_000
SECONDS, GIB = 60, 2


def main() -> None:
    sources = {
        "init on 1 GiB of CSV": [str(path) for path in csv_files(MIB)],
        "init on 200 tables": [f"sqlite:///{database(LEADS_IN_DATABASE).resolve()}"],
    }
    end([holds for label, places in sources.items() for holds in _measure(label, places)])


def _measure(label: str, places: Sequence[str]) -> list[bool]:
    with tempfile.TemporaryDirectory() as folder:
        to = str(Path(folder) / "crm.toml")
        result = run([sys.executable, "-m", "cli", "init", *places, "--to", to])
    return [
        show(label, result.seconds, SECONDS, "s"),
        show(f"{label}, peak memory", result.gib * 1024, GIB * 1024, "MiB"),
    ]


if __name__ == "__main__":
    main()
