"""The constants of the blend, chosen on all sets but one and told on that one.

The parts of a set are fitted once; the blend of any constants is then cheap. The rule for
few deals and the terms of segments come after it and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from benchmarks.quality.figures import estimate_mean
from benchmarks.quality.measuring import SetScores, fit_parts
from features.columns import Bools, Floats
from scoring.scorecard.rating import rate
from scoring.statistics.metrics import Estimate, log_losses
from training.fitting.blending import CONSTANTS, BlendingConstants
from training.fitting.choosing import FoldScores, score_folds, weigh
from training.fitting.dataset import Dataset
from training.fitting.fit import win_rate_to_hold
from training.fitting.holdout import split_for_evaluation
from training.fitting.parts.trees import find_shift
from training.fitting.recipe import POINTS, Recipe
from training.fitting.splits import Split

_GROWTHS, _PRIORS, _ERRORS, _PULLS = (
    (2.0, 3.0, 4.0),
    (10.0, 30.0, 100.0),
    (1.0, 2.0, 3.0),
    (30.0, 100.0, 300.0),
)
_GRID = [BlendingConstants(*values) for values in product(_GROWTHS, _PRIORS, _ERRORS, _PULLS)]
GRID = [CONSTANTS, *(constants for constants in _GRID if constants != CONSTANTS)]
"""The constants to choose from, the shipped ones first: they win where others are no better."""


@dataclass(frozen=True)
class SplitParts:
    """One split with all that does not depend on the constants.

    `older` and `newer` are the log-odds of its two sides by part, at any level.
    """

    folds: FoldScores
    older_won: Bools
    older: Mapping[str, Floats]
    newer: Mapping[str, Floats]

    def blend(self, constants: BlendingConstants) -> Floats:
        """(rows,) the log-odds of the newer side as a model with these constants gives them."""
        recipe, _ = weigh(self.folds, constants)
        older, newer = (_add_parts(side, recipe) for side in (self.older, self.newer))
        if recipe.points == 1:  # the scorecard holds the win rate itself
            return newer
        return newer + find_shift(older, win_rate_to_hold(recipe, self.older_won))


def _add_parts(side: Mapping[str, Floats], recipe: Recipe) -> Floats:
    total = np.sum([weight * side[name] for name, weight in recipe.weights.items() if weight], axis=0)
    return np.asarray(recipe.calibration.slope * total)


def score_split(data: Dataset, split: Split, seed: int) -> SplitParts:
    """Choose and fit the parts on the older side of a split, and score both sides.

    Raises ValueError if the older side has no folds to choose on.
    """
    older, newer = data.take(split.train), data.take(split.test)
    folds = score_folds(older, seed)
    if folds is None:
        raise ValueError("no fold holds both outcomes")
    models = fit_parts(older, folds.recipe, seed)
    sides = [{n: m.log_odds(m.encode(side.columns)) for n, m in models.items()} for side in (older, newer)]
    if (card := older.fit_points_part()) is not None:
        for side, scores in zip((older, newer), sides, strict=True):
            scores[POINTS] = card.log_odds(rate(data.card, side.columns))
    return SplitParts(folds, older.won, *sides)


def measure_constants(data: Dataset, seeds: Sequence[int], grid: Sequence[BlendingConstants]) -> Floats:
    """(constants, rows) the log loss of each judged example, by rising row, in the mean of all seeds."""
    by_seed = []
    for seed in seeds:
        splits = split_for_evaluation(data, seed)
        parts = [score_split(data, split, seed) for split in splits]
        order = np.argsort(np.concatenate([split.test for split in splits]))
        won = [data.won[split.test] for split in splits]
        by_seed.append(
            [
                np.concatenate([log_losses(w, p.blend(c)) for w, p in zip(won, parts, strict=True)])[order]
                for c in grid
            ]
        )
    return np.asarray(np.mean(by_seed, axis=0))


@dataclass(frozen=True)
class SetLeftOut:
    """The set left out: the constants chosen on the others, and its loss with them and the shipped ones."""

    name: str
    chosen: BlendingConstants
    loss: float
    shipped_loss: float
    difference: Estimate


def leave_one_set_out(
    losses: Mapping[str, Floats], scores: Mapping[str, SetScores], grid: Sequence[BlendingConstants]
) -> list[SetLeftOut]:
    """For each set the constants with the least mean relative loss on all others; `grid` begins as shipped.

    The mean of the logarithms of the losses compares sets of any level.
    """
    relative = np.array([np.log(loss.mean(axis=1)) for loss in losses.values()])
    results = []
    for place, (name, loss) in enumerate(losses.items()):
        best = int(np.delete(relative, place, axis=0).mean(axis=0).argmin())
        difference = estimate_mean(loss[best] - loss[0], scores[name].group)
        results.append(
            SetLeftOut(name, grid[best], float(loss[best].mean()), float(loss[0].mean()), difference)
        )
    return results
