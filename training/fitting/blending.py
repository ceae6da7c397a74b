"""Weights of the parts and the calibration, from predictions on later deals.

Later folds count more: they learnt from more deals and lie closer to the deals that the model will score.
The fewer deals of the rarer outcome there are, the more the weights are pulled to equal ones and the slope
to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, minimize, minimize_scalar
from scipy.special import expit

from features.columns import Bools, Floats, Texts
from scoring.model.model import Calibration
from scoring.statistics.metrics import log_losses
from training.fitting.parts.trees import find_shift

_MIN_SLOPE, _MAX_SLOPE = 0.2, 3.0
_SHARE_PULL = 10.0
_CARD_DEALS = 50.0
"""The number of deals of the rarer outcome from which on the learnt parts lead the scorecard."""

LEAST_WEIGHT = 0.05
_MIN_GAIN = 0.0005
"""What a part must gain in log loss on later deals to enter the sum."""


@dataclass(frozen=True)
class BlendingConstants:
    """The constants of weights and calibration that the benchmark of the model's quality varies.

    `fold_growth` is the weight of each fold relative to the one before it, where the examples have an order
    in time; `equal_prior` the number of examples of the rarer outcome below which weights stay near equal
    ones; `min_errors` the standard errors that a part must gain to enter the sum; `slope_pull` the strength
    of the pull of the slope to 1.
    """

    fold_growth: float = 3.0
    equal_prior: float = 30.0
    min_errors: float = 2.0
    slope_pull: float = 100.0


CONSTANTS = BlendingConstants()


@dataclass(frozen=True)
class ValidationFold:
    """The outcomes of a validation fold and the log-odds of each learnt part by name.

    `points` are those of the scorecard, None without one or where it was learnt from these very deals;
    `groups` (rows,) are the leads or accounts, `segments` their values of each segment.
    """

    won: Bools
    parts: Mapping[str, Floats]
    groups: NDArray[np.int32]
    points: Floats | None = None
    segments: Mapping[str, Texts] = field(default_factory=dict)

    def blend(self, weights: Mapping[str, float]) -> Floats:
        """(rows,) the weighted sum of the learnt parts."""
        return np.asarray(sum(weights[name] * scores for name, scores in self.parts.items()))


def log_loss(won: Bools, log_odds: Floats) -> float:
    """Mean log loss of log-odds."""
    return float(log_losses(won, log_odds).mean())


def fold_weights(count: int, ordered: bool, constants: BlendingConstants = CONSTANTS) -> Floats:
    """The weights of `count` folds, oldest first, which add up to 1."""
    growth = np.power(constants.fold_growth if ordered else 1.0, np.arange(count))
    return np.asarray(growth / growth.sum())


def count_rarer_outcome(won: Bools, groups: NDArray[np.int32]) -> int:
    """The number of leads (or accounts) with the rarer outcome, at least 1.

    Examples of one lead at several ages tell little more than one of them.
    """
    return max(min(len(np.unique(groups[won])), len(np.unique(groups[~won]))), 1)


def count_rarer_examples(folds: Sequence[ValidationFold]) -> int:
    """The number of later examples with the rarer outcome, at least 1."""
    won = np.concatenate([fold.won for fold in folds])
    return max(int(min(won.sum(), (~won).sum())), 1)


def _count_rarer_leads(folds: Sequence[ValidationFold]) -> int:
    """`count_rarer_outcome` over all later sides."""
    won, groups = np.concatenate([f.won for f in folds]), np.concatenate([f.groups for f in folds])
    return count_rarer_outcome(won, groups)


def weigh_parts(
    folds: Sequence[ValidationFold], ordered: bool, constants: BlendingConstants = CONSTANTS
) -> dict[str, float]:
    """The weights of the learnt parts, not negative, which add up to 1.

    They minimise the log loss on later deals plus a pull to equal weights. The loss is convex in them.
    """
    names = list(folds[0].parts)
    share = fold_weights(len(folds), ordered, constants)
    scores = [np.column_stack([fold.parts[name] for name in names]) for fold in folds]
    pull = (constants.equal_prior / count_rarer_examples(folds)) ** 2
    equal = np.full(len(names), 1 / len(names))

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, slope = pull * float(((weights - equal) ** 2).sum()), 2 * pull * (weights - equal)
        for fold, matrix, part in zip(folds, scores, share, strict=True):
            log_odds = matrix @ weights
            value += part * log_loss(fold.won, log_odds)
            slope = slope + part * (matrix.T @ (expit(log_odds) - fold.won)) / len(fold.won)
        return value, slope

    bounds, unit_sum = [(0.0, 1.0)] * len(names), LinearConstraint(np.ones(len(names)), 1, 1)
    solution = minimize(loss, equal, jac=True, bounds=bounds, constraints=unit_sum, method="SLSQP")
    weights_kept = np.where(solution.x < LEAST_WEIGHT, 0.0, solution.x)
    return dict(zip(names, map(float, weights_kept / weights_kept.sum()), strict=True))


def weigh_points(
    judged: Sequence[ValidationFold],
    learnt: Mapping[str, float],
    ordered: bool,
    is_learnt: bool,
    constants: BlendingConstants = CONSTANTS,
) -> float:
    """The weight of the scorecard against the sum of the learnt parts, on folds with points.

    A card that people wrote leads while deals are few. Beyond that, and where it was learnt from deals, it
    enters where later deals show a gain beyond doubt.
    """
    if not judged:
        return 0.0
    rarer, deals = count_rarer_examples(judged), _count_rarer_leads(judged)
    prior = 0.0 if is_learnt else _CARD_DEALS / (_CARD_DEALS + deals)
    sums = [(fold.blend(learnt), np.asarray(fold.points)) for fold in judged]
    weights = fold_weights(len(judged), ordered, constants)
    fitted = _fit_share([f.won for f in judged], sums, weights, prior, rarer)
    former, proposed = ([(1 - s) * a + s * b for a, b in sums] for s in (prior, fitted))
    if is_gain(judged, former, proposed, ordered, constants=constants):
        return fitted
    return prior if prior >= LEAST_WEIGHT else 0.0


def weigh_statistics(
    folds: Sequence[ValidationFold],
    learnt: Mapping[str, float],
    statistics: Sequence[Floats],
    constants: BlendingConstants = CONSTANTS,
) -> tuple[float, float]:
    """The share of the trees with target statistics in the learnt sum, and their shift in log-odds.

    They are judged at the level of the sum: a change of the level is no merit of theirs. The share is 0
    without a gain beyond doubt.
    """
    sums = [fold.blend(learnt) for fold in folds]
    shifts = [find_shift(t, float(expit(s).mean())) for s, t in zip(sums, statistics, strict=True)]
    levelled = [t + shift for t, shift in zip(statistics, shifts, strict=True)]
    outcomes = [fold.won for fold in folds]
    pairs = list(zip(sums, levelled, strict=True))
    weights = fold_weights(len(folds), True, constants)
    share = _fit_share(outcomes, pairs, weights, 0.0, count_rarer_examples(folds))
    blended = [(1 - share) * s + share * t for s, t in pairs]
    if share < LEAST_WEIGHT or not is_gain(folds, sums, blended, True, 2 * _MIN_GAIN, constants):
        return 0.0, 0.0
    return share, float(np.average(shifts, weights=weights))


def is_gain(
    folds: Sequence[ValidationFold],
    before: Sequence[Floats],
    after: Sequence[Floats],
    ordered: bool,
    min_gain: float = _MIN_GAIN,
    constants: BlendingConstants = CONSTANTS,
) -> bool:
    """Whether the mean log loss of the folds falls by more than `min_gain` and chance (`min_errors`)."""
    weights = fold_weights(len(folds), ordered, constants)
    gains = [
        log_losses(f.won, b) - log_losses(f.won, a) for f, b, a in zip(folds, before, after, strict=True)
    ]
    gain = float(weights @ [g.mean() for g in gains])
    errors = [standard_error(g, fold.groups) for g, fold in zip(gains, folds, strict=True)]
    return gain > max(min_gain, constants.min_errors * float(np.sqrt(weights**2 @ np.square(errors))))


def standard_error(gain: Floats, groups: NDArray[np.int32]) -> float:
    """The standard error of a mean of examples that depend on each other within a group."""
    group = np.unique(groups, return_inverse=True)[1]
    return float(np.sqrt(np.square(np.bincount(group, weights=gain - gain.mean())).sum()) / len(gain))


def calibrate(
    folds: Sequence[ValidationFold],
    scores: Sequence[Floats],
    ordered: bool,
    learnt: float,
    constants: BlendingConstants = CONSTANTS,
) -> Calibration:
    """Platt scaling (1999) on out-of-fold scores, with the mean log-odds as fixed point.

    The slope is pulled to 1 and stays positive; the intercept keeps the mean, because the parts already
    contain the level of the win rate. The scorecard is calibrated itself, so only the `learnt` share of
    the sum is scaled.
    """
    weights = fold_weights(len(folds), ordered, constants)
    mean = float(np.average([log_odds.mean() for log_odds in scores], weights=weights))
    pull = constants.slope_pull / count_rarer_examples(folds)

    def loss(slope: float) -> float:
        pairs = zip(folds, scores, strict=True)
        losses = [log_loss(fold.won, mean + slope * (log_odds - mean)) for fold, log_odds in pairs]
        return float(np.average(losses, weights=weights)) + pull * (slope - 1) ** 2

    fitted = minimize_scalar(loss, bounds=(_MIN_SLOPE, _MAX_SLOPE), method="bounded").x
    slope = 1 + learnt * (float(fitted) - 1)
    return Calibration(intercept=mean * (1 - slope), slope=slope)


def _fit_share(
    outcomes: Sequence[Bools],
    pairs: Sequence[tuple[Floats, Floats]],
    weights: Floats,
    centre: float,
    rarer: int,
) -> float:
    """The share of the second of two sums with the least loss on later deals, pulled to `centre`."""

    def loss(share: float) -> float:
        losses = [
            log_loss(won, (1 - share) * a + share * b) for won, (a, b) in zip(outcomes, pairs, strict=True)
        ]
        return float(np.average(losses, weights=weights)) + _SHARE_PULL / rarer * (share - centre) ** 2

    return float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded").x)
