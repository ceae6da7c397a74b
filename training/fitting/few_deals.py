"""Few deals: the learnt parts are drawn to the base rate as far as their gain over it is in doubt.

With hundreds of deals of the rarer outcome the folds alone decide; with 20 the learnt parts may fit chance,
and an unproven sum is worth less than the win rate. The sum stays exact: only the weights and the intercept
change.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scoring.model.model import Calibration
from scoring.statistics.metrics import log_losses
from training.fitting.blending import count_rarer_outcome, standard_error
from training.fitting.dataset import Dataset
from training.fitting.fit import fit
from training.fitting.recipe import POINTS, Recipe
from training.fitting.splits import random_folds

_FEW = 200
"""From this number of deals of the rarer outcome on, nothing is drawn to the base rate."""

_FOLDS, _PRIOR_DEALS = 10, 10.0


def shrink(recipe: Recipe, data: Dataset, seed: int) -> Recipe:
    """The recipe with its learnt parts drawn to the base rate as far as their gain over it is in doubt.

    Where the scorecard has a weight, what they lose goes to it: it is knowledge from before the deals.
    """
    rarer = count_rarer_outcome(data.won, data.examples.group)
    if rarer >= _FEW or not data.won.any() or data.won.all():
        return recipe
    doubt = 1 - rarer / _FEW
    proof = _prove(replace(recipe, weights={POINTS: 0.0, **recipe.learnt}), data, seed)
    trust = proof / (proof + doubt) * rarer / (rarer + _PRIOR_DEALS * doubt)
    return scale_learnt(recipe, trust, _log_odds(float(data.won.mean())))


def _prove(recipe: Recipe, data: Dataset, seed: int) -> float:
    """The squared number of standard errors by which a recipe gains over the base rate, 0 without a gain.

    It is fitted on nine tenths of the deals and judged on the others.
    """
    uncalibrated = replace(recipe, calibration=Calibration())
    gains, groups = [], []
    for split in random_folds(data.examples, _FOLDS, seed):
        train, test = data.take(split.train), data.take(split.test)
        if train.won.all() or not train.won.any():
            continue
        model = fit(train, uncalibrated, seed)
        base = np.full(len(test), _log_odds(float(train.won.mean())))
        log_odds = model.log_odds(model.encode(test.columns))
        gains.append(log_losses(test.won, base) - log_losses(test.won, log_odds))
        groups.append(test.examples.group)
    if not gains:
        return 0.0
    gain = np.concatenate(gains)
    error = standard_error(gain, np.concatenate(groups))
    return max(0.0, float(gain.mean()) / error) ** 2 if error > 0 else 0.0


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
