"""The points part: the scorecard, calibrated to log-odds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from features.columns import Bools, Floats
from scoring.model.points import PointsPart
from scoring.scorecard.rating import Rating

_PRIOR_MEAN, _PRIOR_SD = np.array([1.0, 1.0, 1.0]), 1.0
"""Prior mean and standard deviation of the weights (log-odds) of points (from 0 to hot), triggers and
exclusions."""


def fit_points(rating: Rating, features: tuple[str, ...], won: Bools) -> PointsPart:
    """Calibrate the scorecard: the log-odds of a point, a trigger and an exclusion.

    Maximum likelihood with a normal prior (`_PRIOR_MEAN`, `_PRIOR_SD`), which dominates for few deals;
    weights are not negative.
    """
    parts = np.column_stack([rating.points / rating.card.bands.hot, rating.triggered, -1.0 * rating.excluded])

    def loss(weights: Floats) -> tuple[float, Floats]:
        line, off = weights[0] + parts @ weights[1:], weights[1:] - _PRIOR_MEAN
        objective = np.logaddexp(0.0, line).sum() - line[won].sum() + (off @ off) / (2 * _PRIOR_SD**2)
        error = expit(line) - won
        return objective, np.concatenate([[error.sum()], error @ parts + off / _PRIOR_SD**2])

    rate = np.clip(won.mean(), 1e-3, 1 - 1e-3)
    start = np.array([np.log(rate / (1 - rate)), *_PRIOR_MEAN])
    bounds = [(None, None)] + [(0, None)] * len(_PRIOR_MEAN)
    solution = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    per_point = float(solution[1]) / rating.card.bands.hot
    part = PointsPart(
        card=rating.card,
        features=features,
        intercept=float(solution[0]),
        per_point=per_point,
        trigger=float(solution[2]),
        exclusion=float(solution[3]),
        mean=np.zeros(len(features)),
    )
    return replace(part, mean=part.by_feature(rating).mean(axis=0))
