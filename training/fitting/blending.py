"""Weights of the parts and the calibration, from predictions on later deals.

Each number is fitted on all stretches together and on each alone. Where the stretches disagree it
is drawn towards the value that assumes nothing (equal weights, slope 1): by d² / (d² + s²), with d
its distance from there and s the standard error of the stretches' own values. When the world moves,
what the past prefers is not to be trusted too far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.optimize import minimize_scalar

from features.columns import Bools, Floats
from scoring.model.model import Calibration
from scoring.statistics.metrics import log_losses

_PRIOR = 10.0
_MIN_SLOPE, _MAX_SLOPE = 0.2, 3.0
_MIN_LEARNT_SHARE = 0.01
_FOLD_GROWTH = 2.0
"""The learnt parts grow with the deals that they learn from, the scorecard does not: what a later
stretch says of the two is nearer to what will hold."""


@dataclass(frozen=True)
class ValidationFold:
    """One later stretch of examples: what happened, and the log-odds that the parts gave.

    `points` is None where there is no scorecard.
    """

    won: Bools
    linear: Floats
    trees: Floats
    points: Floats | None = None


Scores: TypeAlias = tuple[Bools, Floats]


def log_loss(won: Bools, log_odds: Floats) -> float:
    """Mean log loss of log-odds."""
    return float(log_losses(won, log_odds).mean())


def blend(folds: Sequence[ValidationFold]) -> dict[str, float]:
    """The weight of each part; they add up to 1.

    The learnt parts share equally where later deals do not say otherwise; against the scorecard they
    get as much weight as later deals confirm, and none where these do not.
    """

    def trees_loss(fold: ValidationFold, trees: float) -> float:
        return log_loss(fold.won, (1 - trees) * fold.linear + trees * fold.trees)

    rare = _count_rarer_outcome([at.won for at in folds])
    trees = _fit_shrunk(folds, trees_loss, (0.0, 1.0), 0.5, rare)
    learnt = {"linear": 1 - trees, "trees": trees}

    def learnt_loss(fold: ValidationFold, share: float) -> float:
        return log_loss(fold.won, blend_log_odds(fold, _with_points(learnt, share)))

    if any(at.points is None for at in folds):
        return _with_points(learnt, 1.0)
    share = _fit_shrunk(folds, learnt_loss, (0.0, 1.0), 0.0, rare, growing=_FOLD_GROWTH)
    return _with_points(learnt, share if share > _MIN_LEARNT_SHARE else 0.0)


def _with_points(learnt: Mapping[str, float], share: float) -> dict[str, float]:
    return {"points": 1 - share} | {name: share * weight for name, weight in learnt.items()}


def blend_log_odds(fold: ValidationFold, weights: Mapping[str, float]) -> Floats:
    """The weighted log-odds of one stretch."""
    learnt = weights["linear"] * fold.linear + weights["trees"] * fold.trees
    return learnt if fold.points is None else weights["points"] * fold.points + learnt


def calibrate(fold_scores: Sequence[Scores], learnt: float = 1.0) -> Calibration:
    """A sigmoid on out-of-fold scores (Platt 1999) that turns about the mean log-odds.

    The slope is drawn to 1 and never 0 or below; the intercept only keeps the mean in its place:
    the newest level of the win rate is in the parts themselves. The scorecard is calibrated by itself,
    so only the `learnt` share of the sum is moved.
    """
    mean = float(np.mean(np.concatenate([log_odds for _, log_odds in fold_scores])))

    def loss(scores: Scores, slope: float) -> float:
        return log_loss(scores[0], mean + slope * (scores[1] - mean))

    rare = _count_rarer_outcome([won for won, _ in fold_scores])
    slope = 1 + learnt * (_fit_shrunk(fold_scores, loss, (_MIN_SLOPE, _MAX_SLOPE), 1.0, rare) - 1)
    return Calibration(intercept=mean * (1 - slope), slope=slope)


_FoldData = ValidationFold | Scores


def _fit_shrunk(
    folds: Sequence[_FoldData],
    loss: Callable[..., float],
    bounds: tuple[float, float],
    centre: float,
    rare: int,
    growing: float = 1.0,
) -> float:
    """The value with the least loss, drawn to `centre` as far as the stretches disagree.

    Each stretch counts `growing` times the one before it.
    """
    if len(folds) < 2:
        return centre

    def best(parts: Sequence[_FoldData], pull: float) -> float:
        weights = growing ** np.arange(len(parts))

        def total(value: float) -> float:
            mean_loss = float(np.average([loss(part, value) for part in parts], weights=weights))
            return mean_loss + pull * (value - centre) ** 2

        return float(minimize_scalar(total, bounds=bounds, method="bounded").x)

    pooled = best(folds, _PRIOR / max(rare, 1))
    squared_error = np.var([best([part], 0.0) for part in folds], ddof=1) / len(folds)
    distance = (pooled - centre) ** 2
    reliability = distance / (distance + squared_error) if distance + squared_error > 0 else 0.0
    return float(centre + (pooled - centre) * reliability)


def _count_rarer_outcome(outcomes: Sequence[Bools]) -> int:
    """How many of the rarer outcome there are."""
    if not outcomes:
        return 0
    won = np.concatenate(outcomes)
    return int(min(won.sum(), (~won).sum()))
