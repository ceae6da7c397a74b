"""Measuring a recipe once, on the newest examples, which nothing that is measured has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats, Texts, take
from features.crm_data import Crm
from features.errors import DataError
from scoring.model.evidence import POINTS, Evidence, hashed
from scoring.model.model import Encoded, Model, sigmoid
from scoring.statistics.metrics import Figure, measure
from training.fitting.baselines import baseline_scores
from training.fitting.recipe import Data, Recipe, fit
from training.fitting.splits import Split, newest, random_folds

RANDOM_FOLDS = 5
PARTS = ("linear", "trees")
MOST_EXPLAINED = 12_000
_DRAWS, _DRAWS_MANY, _MANY = 200, 60, 100_000


@dataclass(frozen=True)
class Measured:
    """What a recipe is worth: the judged rows, the figures by who gave the scores, the recipes.

    `reasons` (rows, features) are the contributions to the model's scores, nan where not computed.
    """

    rows: NDArray[np.intp]
    scores: dict[str, Floats]
    reasons: NDArray[np.float32]
    figures: dict[str, dict[str, Figure]]
    recipes: list[Recipe]
    train_rows: int

    @property
    def model(self) -> dict[str, Figure]:
        return self.figures["model"]


def measurement_splits(data: Data, seed: int) -> list[Split]:
    """The newest fifth against the rest; random folds where time is unknown."""
    if data.examples.ordered:
        return [newest(data.examples, 0)]  # whatever the seed: the exam is not drawn anew
    return random_folds(data.examples, RANDOM_FOLDS, seed)


def measured(data: Data, choose: Callable[[Data], Recipe], seed: int) -> Measured:
    """Choose and fit on the older examples of each split, judge on the newer ones."""
    splits = measurement_splits(data, seed)
    recipes, told, reasons = [], [], []
    for split in splits:
        train, test = data.take(split.train), data.take(split.test)
        _check_both_outcomes(train)
        recipe = choose(train)
        model = fit(train, recipe, seed)
        leads = model.encode(test.columns)
        recipes.append(recipe)
        told.append({**_scores(model, leads), **baseline_scores(train, test, seed)})
        reasons.append(_reasons(model, leads, MOST_EXPLAINED // len(splits), seed))
    rows = np.concatenate([split.test for split in splits])
    scores = {name: np.concatenate([t[name] for t in told]) for name in told[0]}
    figures = _figures(data.take(rows), scores, seed)
    return Measured(rows, scores, np.concatenate(reasons), figures, recipes, len(splits[0].train))


def evidence(data: Data, at: Measured, crm: Crm, segments: dict[str, str]) -> Evidence:
    """The evidence table of a measurement."""
    names = data.table.names
    reasons = dict(zip(names, at.reasons.T, strict=True))
    return replace(closed_deals(data.take(at.rows), crm, segments), scores=at.scores, reasons=reasons)


def closed_deals(data: Data, crm: Crm, segments: dict[str, str]) -> Evidence:
    """Examples as evidence for rules, without any model's scores."""
    examples = data.examples
    columns = {name: take(crm.attributes[c], examples.lead) for name, c in segments.items()}
    return Evidence(
        lead=np.array([hashed(i) for i in crm.lead_ids[examples.lead]], dtype=object),
        group=examples.group,
        moment=examples.moment,
        landmark=examples.landmark,
        won=examples.won,
        amount=examples.amount,
        scores={},
        features=data.columns,
        segments={n: c for n, c in columns.items() if isinstance(c, Texts)},
        dated=data.dated,
    )


def _check_both_outcomes(train: Data) -> None:
    """Raise DataError where the older side of a split has nothing to tell apart."""
    if train.won.all() or not train.won.any():
        lacking = "lost" if train.won.any() else "won"
        raise DataError(
            f"The {len(train):,} examples that are older than the newest fifth, with outcomes known "
            f"by then, hold no {lacking} lead: nothing can be measured in time. Look at `won`, "
            "`lost` and `since` in crm.toml, shorten [target] horizon_days, or come back later."
        )


def _scores(model: Model, leads: Encoded) -> dict[str, Floats]:
    told = {
        "model": model.log_odds(leads),
        "linear": model.linear.log_odds(leads.matrix),
        "trees": model.trees.log_odds(leads.matrix),
    }
    return told if model.points is None else told | {POINTS: model.points.log_odds(leads.rating)}


def _reasons(model: Model, leads: Encoded, most: int, seed: int) -> NDArray[np.float32]:
    """The contributions to each score; of more than `most` leads half those on which model and rules
    disagree most, and half by lot: exact reasons take their time."""
    rows = np.arange(len(leads))
    if len(leads) > most:
        place = [np.argsort(np.argsort(by)) for by in (model.log_odds(leads), leads.rating.rank)]
        disputed = np.argsort(-np.abs(place[0] - place[1]), kind="stable")[: most // 2]
        drawn = np.random.default_rng(seed).choice(len(leads), most - most // 2, replace=False)
        rows = np.unique(np.concatenate([disputed, drawn]))
    told = np.full((len(leads), len(model.table)), np.nan, dtype=np.float32)
    told[rows] = model.explain(leads.take(rows)).contributions
    return told


def _figures(
    judged: Data, scores: dict[str, Floats], seed: int, parts: Sequence[str] = PARTS
) -> dict[str, dict[str, Figure]]:
    """Figures of the model and the baselines with intervals (the parts alone are in the evidence)."""
    draws = _DRAWS if len(judged) < _MANY else _DRAWS_MANY
    examples = judged.examples
    return {
        name: measure(examples.won, sigmoid(score), examples.amount, examples.group, draws, seed)
        for name, score in scores.items()
        if name not in parts
    }
