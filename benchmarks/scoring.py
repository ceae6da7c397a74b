"""Measures `hotlead score` on a million and on 100,000 leads, from Parquet to Parquet, and the scoring of
one lead and of a thousand as in a request.

`python -m benchmarks.scoring` (trains the model on the demo CRM first if it does not exist yet)
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq

from benchmarks.support.data import FOLDER, crm_toml
from benchmarks.support.measuring import Run, end, measure_microseconds, run, show
from features.clock import MS_PER_DAY
from features.columns import Column, take
from features.one_lead import Event, OneLead
from features.settings import load_settings
from scoring.decision.scorer import CalibratedModel, Scorer
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE, Model
from scoring.scorecard.load import find_card

ACTIVITIES_PER_LEAD = 20.0
_NOW = 1_790_000_000_000


def main() -> None:
    trained = crm_toml("model", 24_000, 17.0)
    out = FOLDER / "model" / "hotlead-out"
    if not (out / "model").exists():
        run([sys.executable, "-m", "cli", "train", str(trained)])
    small, _ = score_crm("100k", 100_000, out)
    large, rows = score_crm("1m", 1_000_000, out)
    print(f"{rows:,} leads scored in {large.seconds:.1f} s, a tenth of them in {small.seconds:.1f} s")
    passed = [
        show("score a million leads", large.seconds, 60, "s"),
        show("peak memory", large.gib, 6, "GiB"),
        show("a million over a hundred thousand", large.seconds / small.seconds, 11, "times"),
        show("one row with all reasons", measure_one_row(out / "model"), 1000, "µs"),
        *measure_answers(trained, out / "model"),
    ]
    end(passed)


def measure_answers(crm: Path, folder: Path) -> list[bool]:
    """Time one lead from its activities to the JSON of its Score, and a thousand from features to Scores.

    Both also as multiples of the prediction and the contributions by LightGBM alone.
    """
    model, evidence = Model.load(folder), Evidence.load(folder / EVIDENCE_FILE)
    settings = load_settings(crm)
    card = find_card(settings.folder, settings.table)
    scorer = Scorer(card, settings.table, CalibratedModel.from_evidence(model, evidence, card), None)
    rows = np.arange(1_000) % len(evidence.lead)
    columns = {name: take(evidence.features[name], rows) for name in settings.table.names}
    encoded = model.encode(columns).matrix

    def trees(matrix: np.ndarray) -> Callable[[], object]:
        booster = model.trees.booster
        return lambda: [
            booster.predict(matrix, pred_contrib=with_contributions) for with_contributions in (False, True)
        ]

    one, ratio = measure_ratio(lambda: answer_one(scorer), trees(encoded[:1]), 2_000)
    many, ratio_of_many = measure_ratio(lambda: answer_thousand(scorer, columns), trees(encoded), 100)
    return [
        show("one lead to its Score in JSON, median", one, 1_000, "µs"),
        show("the same over its trees by LightGBM", ratio, 7, "times"),
        show("a thousand leads to their Scores, median", many / 1e3, 50, "ms"),
        show("the same over their trees by LightGBM", ratio_of_many, 0.5, "times"),
    ]


def answer_one(scorer: Scorer) -> bytes:
    """Score one lead with 20 activities as in a request."""
    types = sorted(scorer.table.activities)
    events: list[Event] = [
        (types[i % len(types)], _NOW - (i + 1) * 3 * MS_PER_DAY, float("nan")) for i in range(20)
    ]
    attributes = {"channel": "web", "employees": 120, "job_title": "部長"}
    values = scorer.table.compute_one(OneLead(_NOW, _NOW - 90 * MS_PER_DAY, attributes, events))
    answers = scorer.score_one("L1", values, _NOW, {"budget": False})
    return orjson.dumps(answers.scores("en", _NOW, "top")[0])


def answer_thousand(scorer: Scorer, columns: dict[str, Column]) -> int:
    """Score a thousand leads as in a request, without the model's reasons."""
    ids = [f"L{i}" for i in range(1_000)]
    return len(scorer.score_batch(ids, columns, _NOW, {}).scores("en", _NOW))


def measure_ratio(
    call: Callable[[], object], reference: Callable[[], object], times: int
) -> tuple[float, float]:
    """The median microseconds of a call, and its ratio to a reference call just before it.

    On a busy machine both are slow together.
    """
    seconds, ratios = [], []
    for _ in range(times):
        began = time.perf_counter()
        reference()
        between = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - between)
        ratios.append(seconds[-1] / (between - began))
    return statistics.median(seconds) * 1e6, statistics.median(ratios)


def score_crm(name: str, leads: int, out: Path) -> tuple[Run, int]:
    """Score every lead of a CRM; lead ids come from files, so that closed leads are scored too."""
    path = crm_toml(name, leads, ACTIVITIES_PER_LEAD)
    to = path.with_name("scores.parquet")
    source = str(path.with_name("leads.parquet"))
    command = [sys.executable, "-m", "cli", "score", str(path), "--leads", source]
    result = run([*command, "--to", str(to), "--out", str(out), "--json"])
    return result, pq.read_metadata(to).num_rows


def measure_one_row(folder: Path) -> float:
    """Microseconds for a lead's probability and exact reasons from its feature values."""
    model = Model.load(folder)
    values: list[float | str | None] = [
        None if name in model.table.texts else float(i % 5) for i, name in enumerate(model.table.names)
    ]

    def score() -> None:
        row = model.encode_one(values)
        assert np.isfinite(model.log_odds(row)).all()
        model.explain(row)

    return measure_microseconds(score, times=200)


if __name__ == "__main__":
    main()
