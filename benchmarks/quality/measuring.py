"""Measures one example set: trained as `hotlead train` does it, and each part of the model alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.explaining import explain_one
from benchmarks.support.measuring import peak_memory_gib
from features.columns import Bools, Floats
from scoring.model.evidence import MODEL
from scoring.model.evidence import POINTS as CARD
from scoring.model.model import Calibration, Model
from training.fitting.baselines import BASELINES
from training.fitting.blending import standard_error
from training.fitting.choosing import choose
from training.fitting.dataset import Dataset
from training.fitting.fit import fit
from training.fitting.folds import FOLDS
from training.fitting.holdout import Evaluation, evaluate, split_for_evaluation
from training.fitting.recipe import LINEAR, POINTS, STATISTICS, Recipe
from training.fitting.splits import split_rolling
from training.progress import StepReporter
from training.train import train_and_register

PART = "part:"
"""Before the name of a part that is scored alone."""


@dataclass(frozen=True)
class SideCounts:
    """One side of the split: its examples, the won leads, and the win rate with its standard error."""

    examples: int
    won_leads: int
    rate: float
    error: float

    @staticmethod
    def measured(data: Dataset) -> SideCounts:
        rate = float(data.won.mean())
        error = standard_error(data.won.astype(np.float64), data.examples.group)
        return SideCounts(len(data), data.examples.won_leads, rate, error)


@dataclass(frozen=True, kw_only=True)
class SetScores:
    """The judged examples of a set with the log-odds of every predictor, one mapping a seed.

    Predictors are the model, its parts alone, the scorecard and the baselines. `newest_fold` is the newest
    part of the older examples (None: no order in time). `seconds` and `gib` are those of the training,
    `explained` the seconds that the reasons of one lead take.
    """

    won: Bools
    group: NDArray[np.int32]
    lead: NDArray[np.int32]
    runs: Sequence[Mapping[str, Floats]]
    older: SideCounts
    judged: SideCounts
    newest_fold: SideCounts | None
    seconds: float
    gib: float
    explained: float


def measure_set(crm_toml: Path, seeds: Sequence[int], report_step: StepReporter) -> tuple[Dataset, SetScores]:
    """Train on a crm.toml with the first seed, evaluate it with the others too, and score the parts alone."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        trained = train_and_register(crm_toml, Path(out), report_step, "en", seeds[0]).record.trained
    seconds, gib, data = time.monotonic() - began, peak_memory_gib(), trained.data
    others = [evaluate(data, partial(choose, seed=seed), seed) for seed in seeds[1:]]
    evaluations = [trained.evaluation, *others]
    older = data.take(trained.evaluation.train)
    judged = data.take(np.sort(trained.evaluation.rows))
    folds = split_rolling(older.examples, FOLDS, seeds[0]) if data.examples.ordered else []
    return data, SetScores(
        won=judged.won,
        group=judged.examples.group,
        lead=judged.examples.lead,
        runs=[score_predictors(data, e, seed) for e, seed in zip(evaluations, seeds, strict=True)],
        older=SideCounts.measured(older),
        judged=SideCounts.measured(judged),
        newest_fold=SideCounts.measured(older.take(folds[-1].test)) if folds else None,
        seconds=seconds,
        gib=gib,
        explained=explain_one(trained.model, data),
    )


def score_predictors(data: Dataset, evaluation: Evaluation, seed: int) -> dict[str, Floats]:
    """The log-odds of the evaluated examples, by rising row, by every predictor."""
    order = np.argsort(evaluation.rows)
    usual = {name: s for name, s in evaluation.scores.items() if name in (MODEL, CARD, *BASELINES)}
    splits, by_split = split_for_evaluation(data, seed), []
    for split, recipe in zip(splits, evaluation.recipes, strict=True):
        models, judged = fit_parts(data.take(split.train), recipe, seed), data.take(split.test)
        by_split.append({PART + n: m.log_odds(m.encode(judged.columns)) for n, m in models.items()})
    parts = {name: np.concatenate([scores[name] for scores in by_split]) for name in by_split[0]}
    return {name: scores[order] for name, scores in (usual | parts).items()}


def fit_parts(train: Dataset, recipe: Recipe, seed: int) -> dict[str, Model]:
    """Each learnt part of a recipe as a model of its own, at the win rate of its training."""
    names = (LINEAR, *recipe.trees, *([STATISTICS] if recipe.statistics else []))
    weights = dict.fromkeys((POINTS, *names), 0.0)
    plain = replace(recipe, calibration=Calibration(), segments={})
    return {name: fit(train, replace(plain, weights={**weights, name: 1.0}), seed) for name in names}
