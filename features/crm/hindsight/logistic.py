"""A logistic regression on levels of columns, small and fast: it only shows what can be told from them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit

from features.columns import Bools, Floats, Ints

_MIN_LEVEL, _PENALTY, _MAX_STEPS = 10, 10.0, 50


def one_hot(level: Ints, count: int) -> csr_array:
    """One column of ones for each of the levels 0..count-1 that ten rows or more have."""
    common = np.flatnonzero(np.bincount(level, minlength=count) >= _MIN_LEVEL)
    term = np.full(count, -1)
    term[common] = np.arange(len(common))
    rows = np.flatnonzero(term[level] >= 0)
    ones = np.ones(len(rows))
    return csr_array((ones, (rows, term[level[rows]])), shape=(len(level), len(common)))


def fit_logistic(terms: csr_array, is_first: Bools, offset: Floats) -> Floats:
    """The weights of the terms beside known log-odds (`offset`), with a ridge penalty, by L-BFGS."""
    outcome = is_first.astype(np.float64)

    def loss(weights: Floats) -> tuple[float, Floats]:
        log_odds = terms @ weights + offset
        value = np.logaddexp(0, log_odds).sum() - outcome @ log_odds + _PENALTY / 2 * weights @ weights
        return float(value), terms.T @ (expit(log_odds) - outcome) + _PENALTY * weights

    start = np.zeros(terms.shape[1])
    solution = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _MAX_STEPS})
    return np.asarray(solution.x, dtype=np.float64)
