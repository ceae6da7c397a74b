"""`hotlead score` on a million leads with 20 million activities, Parquet to Parquet, against 100,000;
and one row scored with all its reasons.

`python -m benchmarks.scoring` (the model is trained on the demo CRM first, where it is not there yet)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.data import FOLDER, crm_toml
from benchmarks.measuring import Run, end, microseconds, run, show
from scoring.model import Model

ACTIVITIES_PER_LEAD = 20.0


def main() -> None:
    """Measure and show."""
    trained = crm_toml("model", 24_000, 17.0)
    out = FOLDER / "model" / "hotlead-out"
    if not (out / "model").exists():
        run([sys.executable, "-m", "cli", "train", str(trained)])
    small, _ = scored("100k", 100_000, out)
    large, rows = scored("1m", 1_000_000, out)
    print(
        f"{rows:,} leads scored in {large.seconds:.1f} s, a tenth of them in {small.seconds:.1f} s"
    )
    held = [
        show("score a million leads", large.seconds, 60, "s"),
        show("peak memory", large.gib, 6, "GiB"),
        show("a million over a hundred thousand", large.seconds / small.seconds, 11, "times"),
        show("one row with all reasons", one_row(out / "model"), 1000, "µs"),
    ]
    end(held)


def scored(name: str, leads: int, out: Path) -> tuple[Run, int]:
    """Score every lead of a CRM (given as files of leads, so that closed ones count too)."""
    path = crm_toml(name, leads, ACTIVITIES_PER_LEAD)
    to = path.with_name("scores.parquet")
    source = str(path.with_name("leads.parquet"))
    command = [sys.executable, "-m", "cli", "score", str(path), "--leads", source]
    done = run([*command, "--to", str(to), "--out", str(out), "--json"])
    return done, pq.read_metadata(to).num_rows


def one_row(folder: Path) -> float:
    """Microseconds for a lead's probability and exact reasons from its feature values."""
    model = Model.load(folder)
    values: list[float | str | None] = [
        None if name in model.table.texts else float(i % 5)
        for i, name in enumerate(model.table.names)
    ]

    def score() -> None:
        row = model.encode_one(values)
        assert np.isfinite(model.log_odds(row)).all()
        model.explain(row)

    return microseconds(score, times=200)


if __name__ == "__main__":
    main()
