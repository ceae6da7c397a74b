"""Measures how good the model is on the example sets, and writes docs/model-quality.md.

`python -m benchmarks.model_quality [NAME ...] [--leave-one-set-out] [--resume]`, with the folder of the sets
in HOTLEAD_DATA. With names only these are measured and printed; the page stays as it is. Each set is stored
in .benchmarks/model_quality/ once it is measured; `--resume` takes what is stored there. Progress goes to
stderr. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.quality.constants import GRID, SetLeftOut, leave_one_set_out, measure_constants
from benchmarks.quality.figures import SetFigures, build_figures
from benchmarks.quality.measuring import SetScores, measure_set
from benchmarks.quality.page import CHOICE, FIGURES, constants_part, figures_part, insert
from benchmarks.support.data import FOLDER
from features.columns import Floats
from features.messages import Message

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "model-quality.md"
DATA = Path(os.environ.get("HOTLEAD_DATA", ROOT.parent / "shared" / "data"))
STORE = FOLDER.resolve() / "model_quality"
EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/crm.toml"))
SEEDS: Mapping[str, Sequence[int]] = {"salvirt_b2b": range(5)}
"""More than one seed where the folds are random."""


@dataclass(frozen=True)
class SetResult:
    """The scores of a set, and the losses of all constants where those are measured."""

    scores: SetScores
    constant_losses: Floats | None


def measure_example(name: str, has_constants: bool) -> SetResult:
    """Measure one example set; runs in a process of its own, whose peak memory is that of the training."""
    began = time.monotonic()

    def report_step(step: Message | str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {name}: {step}", file=sys.stderr, flush=True)

    seeds = SEEDS.get(name, [0])
    data, scores = measure_set(ROOT / "examples" / name / "crm.toml", seeds, report_step)
    if not has_constants:
        return SetResult(scores, None)
    report_step("varying the constants")
    return SetResult(scores, measure_constants(data, seeds, GRID))


def measure_examples(names: Sequence[str], has_constants: bool, is_resumed: bool) -> dict[str, SetResult]:
    """Measure the sets one after the other, each in a new process, and store each result."""
    STORE.mkdir(parents=True, exist_ok=True)
    results = {}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name in names:
            stored = STORE / f"{name}{'-constants' if has_constants else ''}.pickle"
            if not (is_resumed and stored.exists()):
                result = pool.submit(measure_example, name, has_constants).result()
                stored.write_bytes(pickle.dumps(result))
            results[name] = pickle.loads(stored.read_bytes())
    return results


def main() -> None:
    """Measure, print or write the page, and exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="How good the model is on the example sets.")
    parser.add_argument("names", nargs="*", help="measure and print only these sets")
    parser.add_argument("--leave-one-set-out", action="store_true", help="choose the constants anew")
    parser.add_argument("--resume", action="store_true", help="take the sets that are stored already")
    arguments = parser.parse_args()
    names, began = arguments.names or EXAMPLES, time.monotonic()
    if arguments.leave_one_set_out and len(names) < 2:
        parser.error("--leave-one-set-out needs two sets or more")
    check_sets(names)
    results = measure_examples(names, arguments.leave_one_set_out, arguments.resume)
    sets = [build_figures(name, result.scores) for name, result in results.items()]
    parts = {FIGURES: figures_part(sets)}
    if arguments.leave_one_set_out:
        parts[CHOICE] = constants_part(choose_constants(results))
    if arguments.names:
        print("\n\n".join(parts.values()))
    else:
        write_page(PAGE, parts)
    print(f"{time.monotonic() - began:,.0f} s in all", file=sys.stderr)
    sys.exit(report_misses(sets))


def check_sets(names: Sequence[str]) -> None:
    """Exit with 2 if a set is unknown or its data are not there."""
    os.environ["HOTLEAD_DATA"] = str(DATA.resolve())
    missing = [name for name in names if name not in EXAMPLES or not (DATA / name).is_dir()]
    if missing:
        print(f"no data of {', '.join(missing)} in {DATA} (set HOTLEAD_DATA)", file=sys.stderr)
        sys.exit(2)


def choose_constants(results: Mapping[str, SetResult]) -> list[SetLeftOut]:
    """For each set the constants that the others choose."""
    losses = {n: r.constant_losses for n, r in results.items() if r.constant_losses is not None}
    return leave_one_set_out(losses, {n: r.scores for n, r in results.items()}, GRID)


def write_page(page: Path, parts: Mapping[str, str]) -> None:
    """Replace the generated parts of the page."""
    text = page.read_text(encoding="utf-8")
    for name, content in parts.items():
        text = insert(text, name, content)
    page.write_text(text, encoding="utf-8")
    print(f"Wrote {page}.")


def report_misses(sets: Sequence[SetFigures]) -> int:
    """Print each missed bar; the exit code."""
    for figures in sets:
        for miss in figures.misses:
            print(f"MISS {figures.name}: {miss}", flush=True)
    return int(any(figures.misses for figures in sets))


if __name__ == "__main__":
    main()
