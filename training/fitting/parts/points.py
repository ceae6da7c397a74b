"""The points part: the scorecard, calibrated to log-odds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from features.columns import Bools, Floats
from scoring.model.points import PointsPart
from scoring.scorecard.rating import Rating
from scoring.statistics.metrics import log_losses
from training.fitting.parts.trees import find_shift

_PRIOR_MEAN, _PRIOR_SD = np.array([1.0, 1.0, 1.0]), 1.0
"""Prior mean and standard deviation of the weights (log-odds) of points (from 0 to hot), triggers and
exclusions."""

_ODDS = 4.0
"""How much likelier it is, before any deals, that a scorecard says something than that it says nothing."""


def fit_points(rating: Rating, features: tuple[str, ...], won: Bools, leads: int | None = None) -> PointsPart:
    """Calibrate the scorecard: the log-odds of a point, a trigger and an exclusion.

    Maximum likelihood with a normal prior (`_PRIOR_MEAN`, `_PRIOR_SD`), which dominates for few deals;
    weights are not negative. They are multiplied by the probability that the scorecard says anything at
    all, which a hundred deals settle. `leads` is the number of leads where some have several examples.
    """
    parts = np.column_stack([rating.points / rating.card.bands.hot, rating.triggered, -1.0 * rating.excluded])
    rate = float(np.clip(won.mean(), 1e-3, 1 - 1e-3))
    start = np.array([np.log(rate / (1 - rate)), *_PRIOR_MEAN])
    bounds = [(None, None)] + [(0, None)] * len(_PRIOR_MEAN)
    solution = minimize(_loss, start, (parts, won), jac=True, bounds=bounds, method="L-BFGS-B").x
    trust = _posterior_of_card(solution, parts, won, 1.0 if leads is None else leads / len(won))
    weights = trust * solution[1:]
    part = PointsPart(
        card=rating.card,
        features=features,
        intercept=find_shift(parts @ weights, rate),
        per_point=float(weights[0]) / rating.card.bands.hot,
        trigger=float(weights[1]),
        exclusion=float(weights[2]),
        mean=np.zeros(len(features)),
    )
    return replace(part, mean=part.by_feature(rating).mean(axis=0))


def _loss(weights: Floats, parts: Floats, won: Bools) -> tuple[float, Floats]:
    """Minus the log likelihood and the log prior, and its slope."""
    line, off = weights[0] + parts @ weights[1:], weights[1:] - _PRIOR_MEAN
    objective = np.logaddexp(0.0, line).sum() - line[won].sum() + (off @ off) / (2 * _PRIOR_SD**2)
    error = expit(line) - won
    return objective, np.concatenate([[error.sum()], error @ parts + off / _PRIOR_SD**2])


def _posterior_of_card(weights: Floats, parts: Floats, won: Bools, share: float) -> float:
    """The probability that the outcomes come from the scorecard rather than from one win rate for all.

    The evidence of either is Laplace's approximation (Kass, Raftery, "Bayes
    factors", 1995), where an example counts `share`.
    """
    if not 0 < won.mean() < 1:
        return 1.0
    spread = share * expit(line := weights[0] + parts @ weights[1:]) * expit(-line)
    columns = np.column_stack([np.ones(len(won)), parts])
    curvature = columns.T @ (spread[:, None] * columns) + np.diag([0.0, *_PRIOR_SD**-2 * np.ones(3)])
    off, rate = weights[1:] - _PRIOR_MEAN, won.mean()
    prior = (off @ off) / (2 * _PRIOR_SD**2) + 3 * np.log(_PRIOR_SD)
    card = -share * log_losses(won, line).sum() - prior - np.linalg.slogdet(curvature)[1] / 2
    constant = np.full(len(won), np.log(rate / (1 - rate)))
    base = -share * log_losses(won, constant).sum() - np.log(share * len(won) * rate * (1 - rate)) / 2
    return float(expit(card - base + np.log(_ODDS)))
