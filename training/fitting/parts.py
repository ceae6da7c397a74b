"""Fitting the parts of the model: a logistic regression and boosted trees, on encoded leads."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from features.columns import Bools, Floats
from scoring.model.linear import WIDEN, LinearPart, Scaling
from scoring.model.points import PointsPart
from scoring.model.trees import TreesPart
from scoring.scorecard.rating import Rating

_PATIENCE = 40
"""Early stopping: number of trees without improvement."""

_PRIOR_MEAN, _PRIOR_SD = np.array([1.0, 1.0, 1.0]), 1.0
"""Prior mean and standard deviation of the weights (log-odds) of points (from 0 to hot), triggers and
exclusions."""


@dataclass(frozen=True)
class Boosting:
    """Hyperparameters of the trees (LightGBM's names)."""

    num_leaves: int = 7
    learning_rate: float = 0.1
    min_data_in_leaf: int = 20
    lambda_l2: float = 5.0
    feature_fraction: float = 0.5
    max_bin: int = 255
    lean: float = 0.5
    """The share of the linear part's log-odds that the trees start from and correct."""


def learn_scaling(matrix: Floats) -> Scaling:
    """The scaling of each column. One-hot columns (only 0 and 1) are centred but not stretched."""
    gaps = np.isnan(matrix)
    empty = gaps.all(axis=0)
    filled = np.where(empty, 0.0, matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
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


def fit_linear(design: Design, won: Bools, strength: float, seed: int) -> LinearPart:
    """A logistic regression; `strength` is scikit-learn's C (smaller values regularize more)."""
    model = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=200, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(design.columns, won)
    weights, width = model.coef_[0], len(design.scaling.mean)
    intercept = float(model.intercept_[0])
    return LinearPart(design.scaling, intercept, weights[:width], weights[width:])


def hide(matrix: Floats, columns: NDArray[np.intp]) -> Floats:
    """The matrix with constant `columns`, which trees then never look at."""
    if not len(columns):
        return matrix
    hidden = matrix.copy()
    hidden[:, columns] = 0.0
    return hidden


def fit_trees(
    matrix: Floats, won: Bools, line: Floats, boosting: Boosting, rounds: int, seed: int
) -> TreesPart:
    """`rounds` boosted trees that correct `boosting.lean` times `line`, the log-odds of the linear part."""
    data = _lightgbm_dataset(matrix, won, boosting.lean * line, boosting, seed)
    booster = lightgbm.train(_lightgbm_parameters(boosting, seed), data, rounds)
    return TreesPart(booster.model_to_string(num_iteration=rounds))


@dataclass(frozen=True)
class PartScores:
    """Encoded examples with their outcomes and the log-odds of the linear part."""

    matrix: Floats
    won: Bools
    line: Floats


@dataclass(frozen=True)
class Curve:
    """A learning curve: the validation log loss after each number of trees."""

    booster: Any
    loss: Floats
    test: PartScores
    lean: float

    def log_odds(self, rounds: int) -> Floats:
        """The validation log-odds with `rounds` trees, including their start values."""
        trees = self.booster.predict(self.test.matrix, raw_score=True, num_iteration=rounds)
        return np.asarray(self.lean * self.test.line + trees)


def train_curve(train: PartScores, test: PartScores, boosting: Boosting, rounds: int, seed: int) -> Curve:
    """Train trees on older examples and record their log loss on later ones."""
    evals_result: dict[str, Any] = {}
    data = _lightgbm_dataset(train.matrix, train.won, boosting.lean * train.line, boosting, seed)
    judge = lightgbm.Dataset(
        test.matrix, test.won.astype(np.int8), reference=data, init_score=boosting.lean * test.line
    )
    parameters = _lightgbm_parameters(boosting, seed) | {"metric": "binary_logloss"}
    stopping = lightgbm.early_stopping(_PATIENCE, verbose=False)
    callbacks = [lightgbm.record_evaluation(evals_result), stopping]
    booster = lightgbm.train(parameters, data, rounds, valid_sets=[judge], callbacks=callbacks)
    return Curve(booster, np.array(evals_result["valid_0"]["binary_logloss"]), test, boosting.lean)


def _lightgbm_dataset(
    matrix: Floats, won: Bools, start: Floats, boosting: Boosting, seed: int
) -> lightgbm.Dataset:
    params = _lightgbm_parameters(boosting, seed)
    return lightgbm.Dataset(matrix, won.astype(np.int8), init_score=start, params=params)


def _lightgbm_parameters(boosting: Boosting, seed: int) -> dict[str, Any]:
    sizes = asdict(boosting)
    del sizes["lean"]  # a choice of ours
    return {
        **sizes,
        "objective": "binary",
        "seed": seed,
        "data_random_seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbose": -1,
    }
