"""The recipe of a model: what is chosen on later deals, and then fitted on all that is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Column, Floats, take
from features.moments import Examples
from features.table import FeatureTable
from scoring.model.encoding import Encoding
from scoring.model.linear import LinearPart
from scoring.model.model import Calibration, Model
from scoring.model.points import PointsPart
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Scorecard
from training.fitting.blending import Stretch, blend, blended, calibrate, log_loss
from training.fitting.parts import (
    Boosting,
    Curve,
    Design,
    Examined,
    fit_linear,
    fit_points,
    fit_trees,
    grow,
)
from training.fitting.splits import Split, random_folds, rolling

FOLDS = 4
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
SIZES = (Boosting(num_leaves=7), Boosting(num_leaves=31, max_bin=1023))
"""The sizes of trees to choose from: small ones for few deals; large ones, which also tell close
numbers (amounts, prices) apart, where many deals ask for them."""

MOST_ROUNDS = 300
FOLD_ROWS, FIT_ROWS = 40_000, 150_000
"""More examples than these are thinned by lot: for choosing, and for the last fit."""

RULES_ONLY = {"points": 1.0, "linear": 0.0, "trees": 0.0}

_WORTH_MORE_LEAVES = 1e-3


@dataclass(frozen=True)
class Recipe:
    """Everything that was chosen on later deals."""

    strength: float = 0.1
    boosting: Boosting = field(default_factory=Boosting)
    rounds: int = 50
    weights: Mapping[str, float] = field(default_factory=lambda: {"points": 0.0, "linear": 0.5, "trees": 0.5})
    calibration: Calibration = field(default_factory=Calibration)

    @property
    def part_weights(self) -> dict[str, float]:
        """What each part of the sum counts: the trees correct a share of the line, so that share of
        their weight is the line's."""
        trees = self.weights["trees"]
        linear = self.weights["linear"] + trees * self.boosting.lean
        return {"points": self.weights["points"], "linear": linear, "trees": trees}

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True)
class Data:
    """Examples with their feature columns (one value an example), and the scorecard of the day."""

    table: FeatureTable
    columns: Mapping[str, Column]
    examples: Examples
    card: Scorecard
    dated: bool = True

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def won(self) -> Bools:
        return self.examples.won

    def take(self, rows: NDArray[np.integer]) -> Data:
        """Some of the examples."""
        columns = {name: take(column, rows) for name, column in self.columns.items()}
        return Data(self.table, columns, self.examples.take(rows), self.card, self.dated)

    def points(self) -> PointsPart | None:
        """The scorecard, calibrated on these examples; None where it has no rows."""
        if not self.card.rows:
            return None
        return fit_points(rate(self.card, self.columns), self.table.names, self.won)

    def thinned(self, most: int, seed: int) -> Data:
        """At most so many examples, drawn by lot, in their order."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False)))


@dataclass(frozen=True)
class Fold:
    """One encoded split: older examples to learn from, later ones to judge on.

    `points` are the log-odds of the later ones by the scorecard, calibrated on the older ones.
    """

    train: Floats
    train_won: Bools
    test: Floats
    test_won: Bools
    points: Floats | None

    @cached_property
    def design(self) -> Design:
        return Design.of(self.train)

    def examined(self, linear: LinearPart) -> tuple[Examined, Examined]:
        """Both sides with the log-odds of a linear part that was fitted on the older one."""
        train = Examined(self.train, self.train_won, linear.log_odds(self.train))
        return train, Examined(self.test, self.test_won, linear.log_odds(self.test))


Examinations: TypeAlias = list[tuple[Examined, Examined]]


def folds_of(data: Data, seed: int) -> list[Fold]:
    """The encoded rolling-origin folds on which both outcomes can be learnt.

    A history too short for two origins (the horizon eats most of it) is folded at random, by group:
    better than choosing nothing. What is measured later is measured in time all the same.
    """
    for split_up in (rolling, random_folds):
        splits = split_up(data.examples, FOLDS, seed)
        folds = [f for split in splits if (f := _encoded(data, split, seed)) is not None]
        if len(folds) > 1:
            return folds
    return []


def choose(data: Data, seed: int, boosting: Sequence[Boosting] | None = None) -> Recipe:
    """Choose on later deals: the strength, the size of the trees, the weights, the calibration."""
    folds = folds_of(data, seed)
    if not folds:
        return Recipe(weights=RULES_ONLY) if data.card.rows else Recipe()
    strength, folded = best_linear(folds, seed)
    candidates = [(how, grown(folded, how, seed)) for how in boosting or SIZES]
    how, rounds, trees = _best_trees(candidates)
    told = zip(folds, folded, trees, strict=True)
    stretches = [Stretch(t.won, t.line, z, fold.points) for fold, (_, t), z in told]
    weights = blend(stretches)
    scores = [(at.won, blended(at, weights)) for at in stretches]
    calibration = calibrate(scores, learnt=1 - weights["points"])
    return Recipe(strength, how, rounds, weights, calibration)


def fit(data: Data, recipe: Recipe, seed: int) -> Model:
    """Fit the parts of the recipe on all examples given."""
    thinned = data.thinned(FIT_ROWS, seed)
    encoding = Encoding.learn(thinned.columns)
    matrix = encoding.matrix(thinned.columns)
    linear = fit_linear(Design.of(matrix), thinned.won, recipe.strength, seed)
    line = linear.log_odds(matrix)
    return Model(
        table=data.table,
        encoding=encoding,
        card=data.card,
        points=thinned.points(),
        linear=linear,
        trees=fit_trees(matrix, thinned.won, line, recipe.boosting, recipe.rounds, seed),
        weights=recipe.part_weights,
        calibration=recipe.calibration,
    )


def best_rounds(curves: Sequence[Curve]) -> tuple[int, float]:
    """The number of trees with the least mean log loss over the folds, and that loss."""
    longest = max(len(curve.loss) for curve in curves)
    # A curve that stopped early goes on as it ended: more trees no longer helped there.
    told = [np.pad(curve.loss, (0, longest - len(curve.loss)), mode="edge") for curve in curves]
    mean = np.mean(told, axis=0)
    return int(mean.argmin()) + 1, float(mean.min())


def _encoded(data: Data, split: Split, seed: int) -> Fold | None:
    train = data.take(split.train).thinned(FOLD_ROWS, seed)
    test = data.take(split.test).thinned(FOLD_ROWS, seed)
    if not len(test) or train.won.all() or not train.won.any():
        return None
    encoding = Encoding.learn(train.columns)
    part = train.points()
    points = None if part is None else part.log_odds(rate(data.card, test.columns))
    return Fold(encoding.matrix(train.columns), train.won, encoding.matrix(test.columns), test.won, points)


def best_linear(folds: Sequence[Fold], seed: int) -> tuple[float, Examinations]:
    """The strength with the least mean log loss on the later sides, and the folds examined so."""
    judged = []
    for strength in STRENGTHS:
        parts = [fit_linear(fold.design, fold.train_won, strength, seed) for fold in folds]
        told = zip(folds, parts, strict=True)
        loss = float(np.mean([log_loss(f.test_won, part.log_odds(f.test)) for f, part in told]))
        judged.append((loss, strength, parts))
    _, strength, parts = min(judged, key=lambda j: j[0])
    return strength, [fold.examined(part) for fold, part in zip(folds, parts, strict=True)]


def grown(folded: Examinations, how: Boosting, seed: int) -> list[Curve]:
    """Trees of one kind on every fold."""
    return [grow(train, test, how, MOST_ROUNDS, seed) for train, test in folded]


def _best_trees(
    grown: Sequence[tuple[Boosting, list[Curve]]],
) -> tuple[Boosting, int, list[Floats]]:
    """The growing with the least loss; a larger tree must be worth it."""
    how, curves = grown[0]
    rounds, least = best_rounds(curves)
    for other, other_curves in grown[1:]:
        other_rounds, loss = best_rounds(other_curves)
        if loss < least - _WORTH_MORE_LEAVES:
            how, curves, rounds, least = other, other_curves, other_rounds, loss
    return how, rounds, [curve.log_odds(rounds) for curve in curves]
