"""Measuring a recipe once, on the newest examples, which nothing that is measured has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats, Texts, take
from features.crm import Crm
from features.errors import DataError
from scoring.evidence import Evidence, hashed
from scoring.metrics import Figure, measure
from scoring.model import Model, sigmoid
from training.baselines import baseline_scores
from training.folds import Split, newest, random_folds
from training.recipe import Data, Recipe, fit

RANDOM_FOLDS = 5
_DRAWS, _DRAWS_MANY, _MANY = 200, 60, 100_000


@dataclass(frozen=True)
class Measured:
    """What a recipe is worth: the judged rows, the figures by who gave the scores, the recipes."""

    rows: NDArray[np.intp]
    scores: dict[str, Floats]
    figures: dict[str, dict[str, Figure]]
    recipes: list[Recipe]
    train_rows: int

    @property
    def model(self) -> dict[str, Figure]:
        return self.figures["model"]


def measurement_splits(data: Data, seed: int) -> list[Split]:
    """The newest fifth against the rest; random folds where time is unknown."""
    if data.examples.ordered:
        return [newest(data.examples, seed)]
    return random_folds(data.examples, RANDOM_FOLDS, seed)


def measured(data: Data, choose: Callable[[Data], Recipe], seed: int) -> Measured:
    """Choose and fit on the older examples of each split, judge on the newer ones."""
    splits = measurement_splits(data, seed)
    recipes, told = [], []
    for split in splits:
        train, test = data.take(split.train), data.take(split.test)
        _check_both_outcomes(train)
        recipe = choose(train)
        recipes.append(recipe)
        told.append(
            {**_scores(fit(train, recipe, seed), test), **baseline_scores(train, test, seed)}
        )
    rows = np.concatenate([split.test for split in splits])
    scores = {name: np.concatenate([t[name] for t in told]) for name in told[0]}
    return Measured(
        rows, scores, _figures(data.take(rows), scores, seed), recipes, len(splits[0].train)
    )


def evidence(data: Data, at: Measured, crm: Crm, segments: dict[str, str]) -> Evidence:
    """The evidence table of a measurement."""
    judged = data.take(at.rows)
    examples = judged.examples
    columns = {name: take(crm.attributes[c], examples.lead) for name, c in segments.items()}
    return Evidence(
        lead=np.array([hashed(i) for i in crm.lead_ids[examples.lead]], dtype=object),
        group=examples.group, moment=examples.moment, landmark=examples.landmark,
        won=examples.won, amount=examples.amount, scores=at.scores, features=judged.columns,
        segments={n: c for n, c in columns.items() if isinstance(c, Texts)},
    )  # fmt: skip


def _check_both_outcomes(train: Data) -> None:
    """Raise DataError where the older side of a split has nothing to tell apart."""
    if train.won.all() or not train.won.any():
        lacking = "lost" if train.won.any() else "won"
        raise DataError(
            f"The {len(train):,} examples that are older than the newest fifth, with outcomes known "
            f"by then, hold no {lacking} lead: nothing can be measured in time. Look at `won`, "
            "`lost` and `since` in crm.toml, shorten [target] horizon_days, or come back later."
        )


def _scores(model: Model, test: Data) -> dict[str, Floats]:
    matrix = model.encoding.matrix(test.columns)
    return {
        "model": model.log_odds(matrix),
        "linear": model.linear.log_odds(matrix),
        "trees": model.trees.log_odds(matrix),
    }


def _figures(
    judged: Data, scores: dict[str, Floats], seed: int, parts: Sequence[str] = ("linear", "trees")
) -> dict[str, dict[str, Figure]]:
    """Figures of the model and the baselines with intervals (the parts alone are in the evidence)."""
    draws = _DRAWS if len(judged) < _MANY else _DRAWS_MANY
    examples = judged.examples
    return {
        name: measure(examples.won, sigmoid(score), examples.amount, examples.group, draws, seed)
        for name, score in scores.items()
        if name not in parts
    }
