"""The learning curve of a model: its log loss on held-out leads after each number of trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from features.columns import Bools, Floats
from scoring.model.model import Encoded, Model
from scoring.statistics.metrics import log_losses

TREES_PER_STEP = 10
_MAX_LEADS = 40_000
"""Of more leads every k-th is looked at."""


def sum_losses(model: Model, leads: Encoded, won: Bools) -> Floats:
    """The summed log loss of `model` without trees, with 10, 20, ... and with all of its trees.

    One value, that of all parts, where the trees have no weight. Of very many leads the sums are estimated.
    """
    step = -(-len(won) // _MAX_LEADS)
    if step > 1:
        rows = np.arange(0, len(won), step)
        return sum_losses(model, leads.take(rows), won[rows]) * len(won) / len(rows)
    without = replace(model, weights={**model.weights, "trees": 0.0})
    log_odds, weight = without.log_odds(leads), model.calibration.slope * model.weights["trees"]
    booster, losses = model.trees.booster, [log_losses(won, log_odds).sum()]
    for first in range(0, count_trees(model), TREES_PER_STEP):
        trees = booster.predict(
            leads.matrix, raw_score=True, start_iteration=first, num_iteration=TREES_PER_STEP
        )
        log_odds = log_odds + weight * trees
        losses.append(log_losses(won, log_odds).sum())
    return np.array(losses)


def count_trees(model: Model) -> int:
    """The number of trees in the sum; 0 where they have no weight."""
    return int(model.trees.booster.num_trees()) if model.weights["trees"] else 0


def mean_curve(fold_losses: Sequence[Floats], trees: int, rows: int) -> dict[int, float]:
    """The mean log loss by number of trees over all folds; `trees` is the largest number, `rows` all leads.

    A fold with fewer trees keeps its last value.
    """
    longest = max(len(losses) for losses in fold_losses)
    padded = [np.pad(losses, (0, longest - len(losses)), mode="edge") for losses in fold_losses]
    steps = [min(step * TREES_PER_STEP, trees) for step in range(longest)]
    return dict(zip(steps, (np.sum(padded, axis=0) / rows).tolist(), strict=True))
