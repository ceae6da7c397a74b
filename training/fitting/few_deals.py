"""Few deals: tenths of them weigh the parts, and their sum counts as far as its gain is beyond doubt.

With hundreds of deals of the rarer outcome the later deals decide. With 20 those are a handful, the learnt
parts may fit chance, and an unproven sum is worth less than the win rate. The sum stays exact: only the
weights and the intercept change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from scoring.scorecard.rating import rate
from scoring.statistics.metrics import log_losses
from training.fitting.blending import ValidationFold, count_rarer_outcome, standard_error, weigh_parts
from training.fitting.dataset import Dataset
from training.fitting.fit import fit_parts
from training.fitting.recipe import POINTS, Recipe
from training.fitting.splits import random_folds

_FEW = 200
"""From this number of deals of the rarer outcome on, the later deals alone decide."""

_FOLDS, _HALF_PROVEN = 10, 3.3
"""The number of random folds, and the standard errors that a gain needs for half of the weight, before any
deals."""


def settle(recipe: Recipe, data: Dataset, seed: int) -> Recipe:
    """The recipe with the weights that deals of all times confirm, as far as they do.

    Where the scorecard has a weight, what the learnt parts lose goes to it: it is knowledge from before the
    deals.
    """
    rarer = count_rarer_outcome(data.won, data.examples.group)
    if rarer >= _FEW or not data.won.any() or data.won.all():
        return recipe
    base = _log_odds(float(data.won.mean()))
    judged = _predict_folds(recipe, data, seed)
    if judged is None:
        return scale_learnt(recipe, 0.0, base)
    recipe = _mix_weights(recipe, weigh_parts([judged], ordered=False), rarer / _FEW)
    half_proven = _HALF_PROVEN * (1 - rarer / _FEW) ** 2
    return scale_learnt(recipe, trust_gain(count_errors(judged, recipe), half_proven), base)


def count_errors(judged: ValidationFold, recipe: Recipe) -> float:
    """The number of standard errors by which the sum of the recipe gains over `points`, 0 without a gain."""
    before = np.asarray(judged.points)
    after = recipe.points * before + (1 - recipe.points) * judged.blend(recipe.learnt)
    gain = log_losses(judged.won, before) - log_losses(judged.won, after)
    error = standard_error(gain, judged.groups)
    return max(0.0, float(gain.mean()) / error) if error > 0 else 0.0


def trust_gain(errors: float, half_proven: float) -> float:
    """The weight, from 0 to 1, of a gain of so many standard errors: a half at `half_proven` of them.

    Its fourth power: chance often gives one standard error, and seldom three.
    """
    return errors**4 / (errors**4 + half_proven**4) if errors else 0.0


def _predict_folds(recipe: Recipe, data: Dataset, seed: int) -> ValidationFold | None:
    """All deals, each tenth as the parts of the recipe see it that were fitted on the others.

    `points` are what is known without the learnt parts: the scorecard where it has a weight, else the base
    rate. None if no tenth leaves both outcomes to learn from.
    """
    predicted = []
    for split in random_folds(data.examples, _FOLDS, seed):
        older, later = data.take(split.train), data.take(split.test)
        if older.won.any() and not older.won.all():
            part = older.fit_points_part() if recipe.points else None
            points = np.full(len(later), _log_odds(float(older.won.mean())))
            points = points if part is None else part.log_odds(rate(data.card, later.columns))
            predicted.append((later, fit_parts(older, recipe, seed).log_odds(later), points))
    if not predicted:
        return None
    deals, parts, points = zip(*predicted, strict=True)
    return ValidationFold(
        np.concatenate([d.won for d in deals]),
        {name: np.concatenate([p[name] for p in parts]) for name in parts[0]},
        np.concatenate([d.examples.group for d in deals]),
        np.concatenate(points),
    )


def _mix_weights(recipe: Recipe, judged: Mapping[str, float], later: float) -> Recipe:
    """The recipe with learnt weights that are to the share `later` those of later deals, else `judged`."""
    learnt = {
        name: later * weight + (1 - later) * judged.get(name, 0.0) for name, weight in recipe.learnt.items()
    }
    weights = {name: (1 - recipe.points) * weight for name, weight in learnt.items()}
    return replace(recipe, weights={POINTS: recipe.points, **weights})


def scale_learnt(recipe: Recipe, trust: float, base: float) -> Recipe:
    """The recipe whose learnt parts have `trust` of their weight.

    The rest is the scorecard's, or without one the log-odds of the base rate.
    """
    weights = {name: trust * weight for name, weight in recipe.weights.items() if name != POINTS}
    remainder = 1 - sum(weights.values())
    if recipe.points:
        return replace(recipe, weights={POINTS: remainder, **weights})
    calibration = recipe.calibration
    intercept = calibration.intercept + calibration.slope * remainder * base
    return replace(
        recipe, weights={POINTS: 0.0, **weights}, calibration=replace(calibration, intercept=intercept)
    )


def _log_odds(rate: float) -> float:
    return float(np.log(rate / (1 - rate)))
