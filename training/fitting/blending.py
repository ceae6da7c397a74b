"""Weights of the parts and the calibration, from predictions on later deals.

Each number is fitted on all folds together and on each fold alone. The pooled value is shrunk towards
a neutral one (equal weights, slope 1) by d² / (d² + s²), where d is its distance from the neutral value
and s the standard error of the values of the folds: the more the folds disagree, the less the past
is trusted.
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
"""Weight of each fold relative to the one before: the learnt parts improve with more deals, the scorecard
does not, so later folds are closer to the final model."""


@dataclass(frozen=True)
class ValidationFold:
    """The outcomes of a validation fold and the log-odds of each part; `points` None without scorecard."""

    won: Bools
    linear: Floats
    trees: Floats
    points: Floats | None = None


Scores: TypeAlias = tuple[Bools, Floats]


def log_loss(won: Bools, log_odds: Floats) -> float:
    """Mean log loss of log-odds."""
    return float(log_losses(won, log_odds).mean())


def blend(folds: Sequence[ValidationFold]) -> dict[str, float]:
    """The weights of the parts, which add up to 1.

    The learnt parts share equally unless the folds show a difference; against the scorecard they get
    as much weight as the folds support.
    """

    def trees_loss(fold: ValidationFold, trees: float) -> float:
        return log_loss(fold.won, (1 - trees) * fold.linear + trees * fold.trees)

    rare = _count_rarer_outcome([fold.won for fold in folds])
    trees = _fit_shrunk(folds, trees_loss, (0.0, 1.0), 0.5, rare)
    learnt = {"linear": 1 - trees, "trees": trees}

    def learnt_loss(fold: ValidationFold, share: float) -> float:
        return log_loss(fold.won, blend_log_odds(fold, _with_points(learnt, share)))

    if any(fold.points is None for fold in folds):
        return _with_points(learnt, 1.0)
    share = _fit_shrunk(folds, learnt_loss, (0.0, 1.0), 0.0, rare, growing=_FOLD_GROWTH)
    return _with_points(learnt, share if share > _MIN_LEARNT_SHARE else 0.0)


def _with_points(learnt: Mapping[str, float], share: float) -> dict[str, float]:
    return {"points": 1 - share} | {name: share * weight for name, weight in learnt.items()}


def blend_log_odds(fold: ValidationFold, weights: Mapping[str, float]) -> Floats:
    """The weighted log-odds of one fold."""
    learnt = weights["linear"] * fold.linear + weights["trees"] * fold.trees
    return learnt if fold.points is None else weights["points"] * fold.points + learnt


def calibrate(fold_scores: Sequence[Scores], learnt: float = 1.0) -> Calibration:
    """Platt scaling (1999) on out-of-fold scores, with the mean log-odds as fixed point.

    The slope is shrunk towards 1 and stays positive; the intercept keeps the mean, because the
    parts already contain the current level of the win rate. The scorecard is calibrated itself, so
    only the `learnt` share of the sum is scaled.
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
    """The value with the least loss, shrunk towards `centre` as far as the folds disagree.

    Each fold has `growing` times the weight of the one before it.
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
    """The number of examples with the rarer outcome."""
    if not outcomes:
        return 0
    won = np.concatenate(outcomes)
    return int(min(won.sum(), (~won).sum()))
