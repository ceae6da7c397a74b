"""The trees of the model: boosted trees that correct a share of the linear part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import lightgbm
import numpy as np
from lightgbm.basic import _LIB, _safe_call  # the only way to LightGBM's own merging of two models
from numpy.typing import NDArray

from features.columns import Bools, Floats
from scoring.model.model import sigmoid
from scoring.model.trees import TreesPart
from training.side_by_side import compute_side_by_side

_PATIENCE = 40
"""Early stopping: number of trees without improvement."""

_USUAL_ROUNDS = 20

_OUTPUTS = re.compile(r"^(leaf_value|internal_value)=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Boosting:
    """Hyperparameters of the trees (LightGBM's names). `max_trees` is the budget of rounds times seeds."""

    num_leaves: int = 7
    learning_rate: float = 0.1
    min_data_in_leaf: int = 20
    lambda_l2: float = 5.0
    feature_fraction: float = 0.5
    max_bin: int = 255
    max_depth: int = -1
    lean: float = 0.5
    """The share of the linear part's log-odds that the trees start from and correct."""

    @property
    def max_rounds(self) -> int:
        return 300 if self.num_leaves < 16 else 250

    @property
    def max_trees(self) -> int:
        """The most trees of all seeds together, for the time of an explanation (`benchmarks.reasons`)."""
        return 300 if self.num_leaves < 16 else 250


SIZES: Mapping[str, Boosting] = {
    "small_trees": Boosting(num_leaves=7),
    "large_trees": Boosting(num_leaves=31, max_bin=1023, max_depth=7),
}
"""The sizes of trees: small ones, and large ones that also separate close numbers (amounts, prices)."""


@dataclass(frozen=True)
class TreesRecipe:
    """Boosted trees: their size, the rounds of each seed, and the number of seeds that are averaged."""

    boosting: Boosting
    rounds: int
    seeds: int

    @staticmethod
    def within_budget(boosting: Boosting, rounds: int, most_seeds: int = 4) -> TreesRecipe:
        """As many seeds as the budget of trees allows, at most `most_seeds`."""
        return TreesRecipe(boosting, rounds, max(1, min(most_seeds, boosting.max_trees // rounds)))


@dataclass(frozen=True)
class PartScores:
    """Encoded examples with their outcomes and the log-odds of the linear part."""

    matrix: Floats
    won: Bools
    line: Floats


def hide(matrix: Floats, columns: NDArray[np.intp]) -> Floats:
    """The matrix with constant `columns`, which trees then never look at."""
    if not len(columns):
        return matrix
    hidden = matrix.copy()
    hidden[:, columns] = 0.0
    return hidden


def find_shift(log_odds: Floats, rate: float) -> float:
    """The constant that gives log-odds plus it a mean probability of `rate`; 0 for a rate of 0 or 1.

    The mean grows with the constant, so a bisection finds it.
    """
    if not 0 < rate < 1:
        return 0.0
    middle = float(np.log(rate / (1 - rate)))
    low, high = middle - float(log_odds.max()), middle - float(log_odds.min())
    for _ in range(60):
        shift = (low + high) / 2
        low, high = (shift, high) if sigmoid(log_odds + shift).mean() < rate else (low, shift)
    return (low + high) / 2


@dataclass(frozen=True)
class TreesStart:
    """Where trees start: `lean` times the linear part plus `shift`, at the win rate of the training."""

    lean: float
    shift: float

    @staticmethod
    def at_win_rate(train: PartScores, lean: float) -> TreesStart:
        return TreesStart(lean, find_shift(lean * train.line, float(train.won.mean())))

    def log_odds(self, line: Floats) -> Floats:
        return np.asarray(self.lean * line + self.shift)


@dataclass(frozen=True)
class Curve:
    """A learning curve: the validation log loss after each number of trees, on binned older examples."""

    binned: lightgbm.Dataset
    booster: Any
    loss: Floats
    start: TreesStart


@dataclass(frozen=True)
class TrainedTrees:
    """Trees with their start: log-odds = lean * line + shift + trees."""

    start: TreesStart
    trees: TreesPart


def fit_trees(train: PartScores, recipe: TreesRecipe, seed: int) -> TrainedTrees:
    """The average of boosted trees of several seeds that start from a share of the linear part."""
    return fit_all_trees([(train, recipe)], seed)[0]


def fit_all_trees(parts: Sequence[tuple[PartScores, TreesRecipe]], seed: int) -> list[TrainedTrees]:
    """The trees of each recipe on its examples, as `fit_trees`; all of them side by side."""
    starts = [TreesStart.at_win_rate(train, recipe.boosting.lean) for train, recipe in parts]
    binned = compute_side_by_side(
        lambda part: _bin(part[0][0], part[1], part[0][1].boosting, seed), zip(parts, starts, strict=True)
    )
    jobs = [
        (b, recipe, seed, bag)
        for b, (_, recipe) in zip(binned, parts, strict=True)
        for bag in range(recipe.seeds)
    ]
    texts = iter(compute_side_by_side(lambda job: _to_text(_train(*job)), jobs))
    return [
        TrainedTrees(start, add_trees([(1 / r.seeds, TreesPart(t)) for t in islice(texts, r.seeds)]))
        for (_, r), start in zip(parts, starts, strict=True)
    ]


def train_curve(train: PartScores, test: PartScores, boosting: Boosting, seed: int) -> Curve:
    """Train trees on older examples and record their log loss on later ones."""
    evals_result: dict[str, Any] = {}
    start = TreesStart.at_win_rate(train, boosting.lean)
    binned = _bin(train, start, boosting, seed)
    judge = lightgbm.Dataset(
        test.matrix, test.won.astype(np.int8), reference=binned, init_score=start.log_odds(test.line)
    )
    parameters = _lightgbm_parameters(boosting, seed) | {"metric": "binary_logloss"}
    stopping = lightgbm.early_stopping(_PATIENCE, verbose=False)
    callbacks = [lightgbm.record_evaluation(evals_result), stopping]
    booster = lightgbm.train(parameters, binned, boosting.max_rounds, valid_sets=[judge], callbacks=callbacks)
    return Curve(binned, booster, np.array(evals_result["valid_0"]["binary_logloss"]), start)


def predict_later(test: PartScores, curve: Curve, recipe: TreesRecipe, seed: int) -> Floats:
    """The log-odds of later examples by the trees of a recipe; the first seed's are those of the curve."""
    first = curve.booster.predict(test.matrix, raw_score=True, num_iteration=recipe.rounds)
    others = [_train(curve.binned, recipe, seed, bag) for bag in range(1, recipe.seeds)]
    raw = np.mean([first, *(b.predict(test.matrix, raw_score=True) for b in others)], axis=0)
    return np.asarray(curve.start.log_odds(test.line) + raw)


def best_rounds(
    curves: Sequence[Curve], weights: Floats | None = None, pull: float = 0.0
) -> tuple[int, float]:
    """The number of trees with the smallest (weighted) mean log loss over the folds, and that loss.

    `pull` is what a number of ten times the usual one or a tenth of it has to gain in log loss.
    """
    longest = max(len(curve.loss) for curve in curves)
    # A curve that stopped early is extended with its last value: more trees did not help there.
    padded = [np.pad(curve.loss, (0, longest - len(curve.loss)), mode="edge") for curve in curves]
    mean = np.average(padded, axis=0, weights=weights)
    mean += pull * np.log10(np.arange(1, longest + 1) / _USUAL_ROUNDS) ** 2
    return int(mean.argmin()) + 1, float(mean.min())


def add_trees(parts: Sequence[tuple[float, TreesPart]]) -> TreesPart:
    """The weighted sum of trees as one model of all of them: predictions and contributions add up."""
    boosters = [lightgbm.Booster(model_str=_scale_text(part.text, weight)) for weight, part in parts]
    for booster in boosters[1:]:
        _safe_call(_LIB.LGBM_BoosterMerge(boosters[0]._handle, booster._handle))
    return TreesPart(boosters[0].model_to_string())


def _scale_text(text: str, weight: float) -> str:
    """LightGBM's text with all outputs multiplied. Without the sizes of the trees it is read in sequence."""

    def scale(match: re.Match[str]) -> str:
        values = " ".join(repr(weight * float(value)) for value in match[2].split())
        return f"{match[1]}={values}"

    return re.sub(r"^tree_sizes=.*\n", "", _OUTPUTS.sub(scale, text), flags=re.MULTILINE)


def _train(binned: lightgbm.Dataset, recipe: TreesRecipe, seed: int, bag: int) -> Any:
    return lightgbm.train(_lightgbm_parameters(recipe.boosting, seed, bag), binned, recipe.rounds)


def _to_text(booster: Any) -> str:
    return str(booster.model_to_string())


def _bin(train: PartScores, start: TreesStart, boosting: Boosting, seed: int) -> lightgbm.Dataset:
    """The examples in bins, which all trees of a size share."""
    params = _lightgbm_parameters(boosting, seed)
    won = train.won.astype(np.int8)
    data = lightgbm.Dataset(train.matrix, won, init_score=start.log_odds(train.line), params=params)
    return data.construct()


def _lightgbm_parameters(boosting: Boosting, seed: int, bag: int = 0) -> dict[str, Any]:
    sizes = asdict(boosting)
    del sizes["lean"]  # a choice of ours
    return {
        **sizes,
        "objective": "binary",
        "seed": seed + bag,
        "data_random_seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbose": -1,
    }
