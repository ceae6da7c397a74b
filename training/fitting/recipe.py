"""The recipe of a model: its choice on validation folds, and the fit of all parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats
from scoring.model.encoding import Encoding
from scoring.model.linear import LinearPart
from scoring.model.model import Calibration, Model
from scoring.scorecard.rating import rate
from training.fitting.blending import ValidationFold, blend, blend_log_odds, calibrate, log_loss
from training.fitting.dataset import Dataset
from training.fitting.parts import (
    Boosting,
    Curve,
    Design,
    PartScores,
    fit_linear,
    fit_trees,
    hide,
    train_curve,
)
from training.fitting.splits import Split, random_folds, split_rolling

FOLDS = 4
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
SIZES = (Boosting(num_leaves=7), Boosting(num_leaves=31, max_bin=1023))
"""The sizes of trees to choose from: small trees for few deals; large trees, which also separate close
numbers (amounts, prices), for many deals."""

MAX_ROUNDS = 300
FOLD_ROWS, FIT_ROWS = 40_000, 150_000
"""Maximum number of examples for choosing and for the final fit; more are sampled."""

RULES_ONLY = {"points": 1.0, "linear": 0.0, "trees": 0.0}

_MIN_GAIN_OF_LARGER_TREES = 1e-3


@dataclass(frozen=True)
class Recipe:
    """All choices made on the validation folds."""

    strength: float = 0.1
    boosting: Boosting = field(default_factory=Boosting)
    rounds: int = 50
    weights: Mapping[str, float] = field(default_factory=lambda: {"points": 0.0, "linear": 0.5, "trees": 0.5})
    calibration: Calibration = field(default_factory=Calibration)

    @property
    def part_weights(self) -> dict[str, float]:
        """The weights in the sum of log-odds. The trees start from a share of the linear part, so that
        share of their weight is added to the linear part."""
        trees = self.weights["trees"]
        linear = self.weights["linear"] + trees * self.boosting.lean
        return {"points": self.weights["points"], "linear": linear, "trees": trees}

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Fold:
    """One encoded split: older examples for training, later ones for validation.

    `points` are the log-odds of the later examples by the scorecard, calibrated on the older ones; `hidden`
    are the columns that only the linear part looks at.
    """

    train: Floats
    train_won: Bools
    test: Floats
    test_won: Bools
    points: Floats | None
    hidden: NDArray[np.intp]

    @cached_property
    def design(self) -> Design:
        return Design.from_matrix(self.train)

    def score_linear(self, linear: LinearPart) -> tuple[PartScores, PartScores]:
        """Both sides with the log-odds of a linear part that was fitted on the older side."""
        train = PartScores(hide(self.train, self.hidden), self.train_won, linear.log_odds(self.train))
        test = PartScores(hide(self.test, self.hidden), self.test_won, linear.log_odds(self.test))
        return train, test


FoldPartScores: TypeAlias = list[tuple[PartScores, PartScores]]


def folds_of(data: Dataset, seed: int) -> list[Fold]:
    """The encoded rolling-origin folds that contain both outcomes.

    A history too short for two origins is split into random folds by group; the final evaluation is
    still in time.
    """
    for split_up in (split_rolling, random_folds):
        splits = split_up(data.examples, FOLDS, seed)
        folds = [f for split in splits if (f := _encode_fold(data, split, seed)) is not None]
        if len(folds) > 1:
            return folds
    return []


def choose(data: Dataset, seed: int, boosting: Sequence[Boosting] | None = None) -> Recipe:
    """Choose strength, size of the trees, weights and calibration on the validation folds."""
    folds = folds_of(data, seed)
    if not folds:
        return Recipe(weights=RULES_ONLY) if data.card.rows else Recipe()
    strength, folded = best_linear(folds, seed)
    candidates = [(tree_size, train_curves(folded, tree_size, seed)) for tree_size in boosting or SIZES]
    tree_size, rounds, trees = _choose_trees(candidates)
    fold_results = zip(folds, folded, trees, strict=True)
    validation_folds = [ValidationFold(t.won, t.line, z, fold.points) for fold, (_, t), z in fold_results]
    weights = blend(validation_folds)
    scores = [(fold.won, blend_log_odds(fold, weights)) for fold in validation_folds]
    calibration = calibrate(scores, learnt=1 - weights["points"])
    return Recipe(strength, tree_size, rounds, weights, calibration)


def fit(data: Dataset, recipe: Recipe, seed: int) -> Model:
    """Fit the parts of the recipe on all examples of `data`."""
    sample = data.sampled(FIT_ROWS, seed)
    encoding = Encoding.learn(sample.columns, won=sample.won)
    matrix = encoding.matrix(sample.columns)
    linear = fit_linear(Design.from_matrix(matrix), sample.won, recipe.strength, seed)
    line = linear.log_odds(matrix)
    for_trees = hide(matrix, encoding.columns_of(data.table.free_texts))
    return Model(
        table=data.table,
        encoding=encoding,
        card=data.card,
        points=sample.fit_points_part(),
        linear=linear,
        trees=fit_trees(for_trees, sample.won, line, recipe.boosting, recipe.rounds, seed),
        weights=recipe.part_weights,
        calibration=recipe.calibration,
    )


def best_rounds(curves: Sequence[Curve]) -> tuple[int, float]:
    """The number of trees with the smallest mean log loss over the folds, and that loss."""
    longest = max(len(curve.loss) for curve in curves)
    # A curve that stopped early is extended with its last value: more trees did not help there.
    padded = [np.pad(curve.loss, (0, longest - len(curve.loss)), mode="edge") for curve in curves]
    mean = np.mean(padded, axis=0)
    return int(mean.argmin()) + 1, float(mean.min())


def _encode_fold(data: Dataset, split: Split, seed: int) -> Fold | None:
    train = data.take(split.train).sampled(FOLD_ROWS, seed)
    test = data.take(split.test).sampled(FOLD_ROWS, seed)
    if not len(test) or train.won.all() or not train.won.any():
        return None
    encoding = Encoding.learn(train.columns, won=train.won)
    part = train.fit_points_part()
    points = None if part is None else part.log_odds(rate(data.card, test.columns))
    hidden = encoding.columns_of(data.table.free_texts)
    matrices = encoding.matrix(train.columns), encoding.matrix(test.columns)
    return Fold(matrices[0], train.won, matrices[1], test.won, points, hidden)


def best_linear(folds: Sequence[Fold], seed: int) -> tuple[float, FoldPartScores]:
    """The strength with the smallest mean log loss, and the scores of its linear parts by fold."""
    judged = []
    for strength in STRENGTHS:
        parts = [fit_linear(fold.design, fold.train_won, strength, seed) for fold in folds]
        pairs = zip(folds, parts, strict=True)
        loss = float(np.mean([log_loss(f.test_won, part.log_odds(f.test)) for f, part in pairs]))
        judged.append((loss, strength, parts))
    _, strength, parts = min(judged, key=lambda j: j[0])
    return strength, [fold.score_linear(part) for fold, part in zip(folds, parts, strict=True)]


def train_curves(folded: FoldPartScores, boosting: Boosting, seed: int) -> list[Curve]:
    """Learning curves of one size of trees on every fold."""
    return [train_curve(train, test, boosting, MAX_ROUNDS, seed) for train, test in folded]


def _choose_trees(candidates: Sequence[tuple[Boosting, list[Curve]]]) -> tuple[Boosting, int, list[Floats]]:
    """The size of trees with the smallest loss, with a minimum gain for larger trees."""
    boosting, curves = candidates[0]
    rounds, lowest_loss = best_rounds(curves)
    for other_boosting, other_curves in candidates[1:]:
        other_rounds, loss = best_rounds(other_curves)
        if loss < lowest_loss - _MIN_GAIN_OF_LARGER_TREES:
            boosting, curves, rounds, lowest_loss = other_boosting, other_curves, other_rounds, loss
    return boosting, rounds, [curve.log_odds(rounds) for curve in curves]
