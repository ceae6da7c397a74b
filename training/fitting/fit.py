"""Fitting a recipe: all parts on all examples, merged into one exact sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from features.columns import Bools, Floats
from scoring.model.encoding import Encoding
from scoring.model.linear import LinearPart
from scoring.model.model import Model
from scoring.model.trees import TreesPart
from training.fitting.dataset import Dataset
from training.fitting.parts.line import Design, add_lines, fit_linear, mean_line, recency_weights
from training.fitting.parts.segments import add_segments
from training.fitting.parts.target_statistics import encode_in_time_order, learn_statistics
from training.fitting.parts.trees import (
    SIZES,
    PartScores,
    TrainedTrees,
    TreesRecipe,
    add_trees,
    find_shift,
    fit_all_trees,
    fit_trees,
    hide,
)
from training.fitting.recipe import LINEAR, POINTS, STATISTICS, Recipe
from training.side_by_side import compute_side_by_side

FIT_ROWS = 100_000
"""Maximum number of examples for the final fit; more are sampled."""

TREES = "trees"


@dataclass(frozen=True)
class FittedParts:
    """The learnt parts of a recipe: both logistic regressions, and the trees by name.

    `train` are the examples as the trees see them.
    """

    encoding: Encoding
    train: PartScores
    plain: LinearPart
    recent: LinearPart | None
    trees: Mapping[str, TrainedTrees]

    def log_odds(self, data: Dataset) -> dict[str, Floats]:
        """(rows,) the log-odds by part, for the linear one and all trees."""
        matrix = self.encoding.matrix(data.columns)
        line = self.plain.log_odds(matrix)
        trees = {name: t.start.log_odds(line) + t.trees.log_odds(matrix) for name, t in self.trees.items()}
        return {LINEAR: mean_line(self.plain, self.recent).log_odds(matrix), **trees}


def fit(data: Dataset, recipe: Recipe, seed: int) -> Model:
    """Fit the recipe on all examples of `data`."""
    sample = data.with_segments(recipe.segments).sampled(FIT_ROWS, seed)
    parts = fit_parts(sample, recipe, seed)
    linear, merged = _merge(recipe, parts)
    learnt = recipe.learnt_weight
    if recipe.segments:
        linear = add_segments(linear, parts.encoding, recipe.segments, recipe.calibration.slope * learnt)
    model = Model(
        table=sample.table,
        encoding=parts.encoding,
        card=data.card,
        points=sample.fit_points_part(),
        linear=linear,
        trees=merged or fit_trees(parts.train, TreesRecipe(SIZES["small_trees"], 1, 1), seed).trees,
        weights={POINTS: recipe.points, LINEAR: learnt, TREES: learnt if merged else 0.0},
        calibration=recipe.calibration,
    )
    return _at_win_rate(model, recipe, sample)


def fit_parts(sample: Dataset, recipe: Recipe, seed: int) -> FittedParts:
    """Fit each learnt part of the recipe that has a weight, and the linear one."""
    encoding = Encoding.learn(sample.columns, won=sample.won)
    if recipe.has_statistics:
        encoding = learn_statistics(sample, encoding)
    matrix = encoding.matrix(sample.columns)
    matrix[:, encoding.statistic_columns] = 0.0  # only the trees with statistics look at them
    plain, recent = _fit_lines(matrix, sample, encoding, recipe, seed)
    hidden = encoding.columns_of(sample.hidden)
    train = PartScores(hide(matrix, hidden), sample.won, plain.log_odds(matrix))
    trees = _fit_all_trees(train, sample, encoding, recipe, seed)
    return FittedParts(encoding, train, plain, recent, trees)


def _at_win_rate(model: Model, recipe: Recipe, sample: Dataset) -> Model:
    """The model with the intercept that gives its training examples the mean probability of their win rate.

    Averages of log-odds, a slope or a weight of 0 would move the mean.
    """
    if model.is_scorecard:  # its calibration holds the win rate already
        return model
    log_odds = model.log_odds(model.encode(sample.columns))
    shift = find_shift(log_odds, win_rate_to_hold(recipe, sample.won))
    calibration = replace(model.calibration, intercept=model.calibration.intercept + shift)
    return replace(model, calibration=calibration)


def win_rate_to_hold(recipe: Recipe, won: Bools) -> float:
    """The win rate of the training examples, oldest first; where newer deals weigh more, so does theirs."""
    rate = float(won.mean())
    if recipe.recent_strength is None:
        return rate
    recent = float(np.average(won, weights=recency_weights(len(won))))
    return rate + recipe.weights[LINEAR] / 2 * (recent - rate)


def _fit_lines(
    matrix: Floats, sample: Dataset, encoding: Encoding, recipe: Recipe, seed: int
) -> tuple[LinearPart, LinearPart | None]:
    """The logistic regression on all deals alike, and the one on which newer deals weigh more."""
    design = Design.from_matrix(matrix)
    design.columns[:, encoding.columns_of(sample.only_segments)] = 0.0
    choices: list[tuple[float, Floats | None]] = [(recipe.strength, None)]
    if recipe.recent_strength is not None:
        choices.append((recipe.recent_strength, recency_weights(len(sample))))
    plain, *recent = compute_side_by_side(
        lambda choice: fit_linear(design, sample.won, choice[0], seed, choice[1]), choices
    )
    return plain, recent[0] if recent else None


def _fit_all_trees(
    train: PartScores, sample: Dataset, encoding: Encoding, recipe: Recipe, seed: int
) -> dict[str, TrainedTrees]:
    """The trees of every part with a weight."""
    parts = {name: (train, part) for name, part in recipe.trees.items() if recipe.weights[name]}
    if recipe.statistics and recipe.has_statistics:
        hidden = encoding.columns_of(sample.hidden)
        ordered = replace(train, matrix=hide(encode_in_time_order(sample, encoding), hidden))
        parts[STATISTICS] = (ordered, recipe.statistics)
    return dict(zip(parts, fit_all_trees([*parts.values()], seed), strict=True))


def _merge(recipe: Recipe, parts: FittedParts) -> tuple[LinearPart, TreesPart | None]:
    """The learnt parts as one linear part and one set of trees, whose sum is theirs.

    Trees start from a share of the linear part and a constant, which join the linear part.
    """
    weights, trees = recipe.learnt, parts.trees
    lines = [(weights[LINEAR], mean_line(parts.plain, parts.recent))]
    lines += [(weights[name] * part.start.lean, parts.plain) for name, part in trees.items()]
    constant = sum(weights[name] * part.start.shift for name, part in trees.items())
    merged = add_trees([(weights[name], part.trees) for name, part in trees.items()]) if trees else None
    return add_lines(lines, constant), merged
