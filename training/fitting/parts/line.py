"""The linear part: logistic regressions on scaled columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from features.columns import Bools, Floats
from scoring.model.linear import WIDEN, LinearPart, Scaling

_HALF_LIFE = 0.5
"""The share of the examples after which the weight of an older one is half as large."""


def learn_scaling(matrix: Floats) -> Scaling:
    """The scaling of each column. One-hot columns (only 0 and 1) are centred but not stretched."""
    gaps = np.isnan(matrix)
    empty = gaps.all(axis=0)
    filled = np.where(empty, 0.0, matrix)
    low, high = np.nanmin(filled, axis=0), np.nanmax(filled, axis=0)
    width = WIDEN * (high - low)
    low, high = low - width, high + width
    mean, spread = np.nanmean(filled, axis=0), np.nanstd(filled, axis=0)
    one_hot = np.isin(filled, (0.0, 1.0)).all(axis=0)
    spread = np.where(one_hot | (spread < 1e-12), 1.0, spread)
    return Scaling(low, high, mean, spread, np.where(empty, 0.0, gaps.mean(axis=0)))


@dataclass(frozen=True)
class Design:
    """Encoded examples scaled for the linear part; shared by all strengths."""

    scaling: Scaling
    columns: Floats

    @staticmethod
    def from_matrix(matrix: Floats) -> Design:
        scaling = learn_scaling(matrix)
        return Design(scaling, np.hstack([scaling.scaled(matrix), scaling.gaps(matrix)]))


def recency_weights(count: int) -> Floats:
    """The weights of `count` examples, oldest first: an example half the history older weighs half.

    Their mean is 1, so that the same strength regularizes alike with and without them.
    """
    weights = 0.5 ** ((1 - np.arange(1, count + 1) / count) / _HALF_LIFE)
    return np.asarray(weights / weights.mean())


def fit_linear(
    design: Design, won: Bools, strength: float, seed: int, weights: Floats | None = None
) -> LinearPart:
    """A logistic regression; `strength` is scikit-learn's C (smaller values regularize more)."""
    return fit_strengths(design, won, (strength,), seed, weights)[0]


def fit_strengths(
    design: Design, won: Bools, strengths: Sequence[float], seed: int, weights: Floats | None = None
) -> list[LinearPart]:
    """A logistic regression of each strength; each starts where the one before ended, which saves steps."""
    model = LogisticRegression(solver="newton-cholesky", max_iter=200, random_state=seed, warm_start=True)
    return [_fit_one(model.set_params(C=c), design, won, weights) for c in strengths]


def _fit_one(model: LogisticRegression, design: Design, won: Bools, weights: Floats | None) -> LinearPart:
    model.fit(design.columns, won, sample_weight=weights)
    coefficients, width = model.coef_[0].copy(), len(design.scaling.mean)
    intercept = float(model.intercept_[0])
    return LinearPart(design.scaling, intercept, coefficients[:width], coefficients[width:])


def add_lines(lines: Sequence[tuple[float, LinearPart]], intercept: float = 0.0) -> LinearPart:
    """The weighted sum of linear parts of one scaling, plus `intercept`, as one linear part."""
    total = intercept + sum(weight * line.intercept for weight, line in lines)
    weights = np.sum([weight * line.weights for weight, line in lines], axis=0)
    gap_weights = np.sum([weight * line.gap_weights for weight, line in lines], axis=0)
    return LinearPart(lines[0][1].scaling, float(total), weights, gap_weights)


def mean_line(plain: LinearPart, recent: LinearPart | None) -> LinearPart:
    """The linear part: the mean of both logistic regressions, or the only one."""
    return plain if recent is None else add_lines([(0.5, plain), (0.5, recent)])
