"""Choosing a recipe on validation folds: strengths, trees, statistics, weights and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.columns import Floats
from scoring.model.linear import LinearPart
from training.fitting.blending import (
    CONSTANTS,
    LEAST_WEIGHT,
    BlendingConstants,
    ValidationFold,
    calibrate,
    count_rarer_outcome,
    log_loss,
    weigh_parts,
    weigh_points,
    weigh_statistics,
)
from training.fitting.dataset import Dataset
from training.fitting.few_deals import settle
from training.fitting.folds import Fold, folds_of
from training.fitting.parts.line import fit_strengths, mean_line, recency_weights
from training.fitting.parts.segments import learn_segments
from training.fitting.parts.target_statistics import encode_in_time_order, learn_statistics
from training.fitting.parts.trees import (
    SIZES,
    Boosting,
    PartScores,
    TreesRecipe,
    best_rounds,
    hide,
    predict_later,
    train_curve,
)
from training.fitting.recipe import LINEAR, POINTS, RULES_ONLY, STATISTICS, USUAL_STRENGTH, Recipe
from training.side_by_side import compute_side_by_side

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
_MOST_SEEDS, MOST_STATISTICS_TREES = 2, 150
_MANY_ROWS, _JUDGED_FOLDS = 40_000, 2
"""Bounds of the trees with statistics; from this number of examples on they are judged on the newest folds
only, for time."""


@dataclass(frozen=True)
class _FoldLines:
    """Both logistic regressions of a fold, fitted on its older side."""

    fold: Fold
    plain: LinearPart
    recent: LinearPart | None

    @property
    def sides(self) -> tuple[PartScores, PartScores]:
        """The older and the later side with the log-odds that the trees start from."""
        return self.fold.score_linear(self.plain)

    @property
    def log_odds(self) -> Floats:
        """The later examples by the linear part."""
        return mean_line(self.plain, self.recent).log_odds(self.fold.test)


@dataclass(frozen=True)
class FoldScores:
    """The later sides of the folds scored by every part: all that weights and calibration depend on.

    `recipe` has the strengths, trees and statistics; `statistics` are the log-odds of the trees with
    target statistics on the newest folds, without any where the examples have no statistics.
    """

    recipe: Recipe
    later: list[ValidationFold]
    statistics: list[Floats]
    is_ordered: bool
    is_card_learnt: bool


def choose(data: Dataset, seed: int, sizes: Mapping[str, Boosting] | None = None) -> Recipe:
    """Choose strengths, trees, weights and calibration on the validation folds."""
    scores = score_folds(data, seed, sizes)
    if scores is None:
        return Recipe(weights=RULES_ONLY) if data.card.rows else Recipe()
    recipe, later = weigh(scores)
    recipe = settle(recipe, data, seed)
    if recipe.learnt_weight < LEAST_WEIGHT:
        return recipe
    sums = [_score(fold, recipe) for fold in later]
    return replace(recipe, segments=learn_segments(later, sums, scores.is_ordered))


def score_folds(data: Dataset, seed: int, sizes: Mapping[str, Boosting] | None = None) -> FoldScores | None:
    """The parts, chosen and scored on the validation folds; None without folds that hold both outcomes."""
    folds, ordered = folds_of(data, seed), data.examples.ordered
    if not folds:
        return None
    strength, plain = best_linear(folds, seed)
    recent_strength, recent = (
        best_linear(folds, seed, recent=True) if ordered else (None, [None] * len(folds))
    )
    lines = [_FoldLines(*three) for three in zip(folds, plain, recent, strict=True)]
    recipe = Recipe(strength=strength, recent_strength=recent_strength)
    recipe, later = _choose_trees(recipe, lines, sizes or SIZES, seed)
    recipe, statistics = _choose_statistics(recipe, lines, seed)
    return FoldScores(recipe, later, statistics, ordered, data.card.learnt_through is not None)


def weigh(
    scores: FoldScores, constants: BlendingConstants = CONSTANTS
) -> tuple[Recipe, list[ValidationFold]]:
    """The recipe with the weights and the calibration of its parts, and the folds that chose the latter."""
    ordered = scores.is_ordered
    learnt, later = _weigh_learnt(scores, constants)
    judged = [fold for fold in later if fold.points is not None]
    share = weigh_points(judged, learnt, ordered, scores.is_card_learnt, constants)
    later = judged if share else later
    weights = {POINTS: share} | {name: (1 - share) * weight for name, weight in learnt.items()}
    sums = [_blend(fold, weights) for fold in later]
    calibration = calibrate(later, sums, ordered, 1 - share, constants)
    return replace(scores.recipe, weights=weights, calibration=calibration), later


def _weigh_learnt(
    scores: FoldScores, constants: BlendingConstants
) -> tuple[dict[str, float], list[ValidationFold]]:
    """The weights of the learnt parts, and the folds on which all of them have scores.

    Trees with target statistics enter the sum where later deals show a gain beyond doubt.
    """
    learnt = weigh_parts(scores.later, scores.is_ordered, constants)
    newest = scores.later[len(scores.later) - len(scores.statistics) :]
    if not newest:
        return learnt, scores.later
    share, shift = weigh_statistics(newest, learnt, scores.statistics, constants)
    if not share:
        return {**learnt, STATISTICS: 0.0}, scores.later
    learnt = {name: (1 - share) * weight for name, weight in learnt.items()} | {STATISTICS: share}
    return learnt, [
        replace(fold, parts={**fold.parts, STATISTICS: log_odds + shift})
        for fold, log_odds in zip(newest, scores.statistics, strict=True)
    ]


def _choose_trees(
    recipe: Recipe, lines: Sequence[_FoldLines], sizes: Mapping[str, Boosting], seed: int
) -> tuple[Recipe, list[ValidationFold]]:
    """The rounds and seeds of each size of trees, and the scores of all parts on the later sides."""
    sides = [line.sides for line in lines]
    parts: list[dict[str, Floats]] = [{LINEAR: line.log_odds} for line in lines]
    trees = {}
    pull = _few_deals_pull([line.fold for line in lines])
    jobs = [(name, side) for name in sizes for side in range(len(sides))]
    trained = compute_side_by_side(lambda job: train_curve(*sides[job[1]], sizes[job[0]], seed), jobs)
    curves = dict(zip(jobs, trained, strict=True))
    for name, boosting in sizes.items():
        rounds, _ = best_rounds([curves[name, side] for side in range(len(sides))], pull=pull)
        trees[name] = TreesRecipe.within_budget(boosting, rounds)
    later = compute_side_by_side(
        lambda job: predict_later(sides[job[1]][1], curves[job], trees[job[0]], seed), jobs
    )
    for (name, side), scores in zip(jobs, later, strict=True):
        parts[side][name] = scores
    folds = [
        ValidationFold(
            won=line.fold.test_won,
            parts=scores,
            groups=line.fold.groups,
            points=line.fold.points,
            segments={name: segment.values for name, segment in line.fold.later.segments.items()},
        )
        for line, scores in zip(lines, parts, strict=True)
    ]
    return replace(recipe, trees=trees), folds


def _choose_statistics(recipe: Recipe, lines: Sequence[_FoldLines], seed: int) -> tuple[Recipe, list[Floats]]:
    """The trees with target statistics, and their log-odds on the later sides of the newest folds."""
    small = SIZES["small_trees"]
    count = _JUDGED_FOLDS if max(len(line.fold.train) for line in lines) >= _MANY_ROWS else len(lines)
    judged = lines[-count:]
    sides = [side for line in judged if (side := _encode_statistics(line)) is not None]
    if len(sides) < len(judged):
        return recipe, []
    curves = compute_side_by_side(lambda side: train_curve(*side, small, seed), sides)
    rounds = min(best_rounds(curves, np.power(2.0, np.arange(len(curves))))[0], MOST_STATISTICS_TREES)
    statistics = TreesRecipe(small, rounds, max(1, min(_MOST_SEEDS, MOST_STATISTICS_TREES // rounds)))
    pairs = [(test, curve) for (_, test), curve in zip(sides, curves, strict=True)]
    scores = compute_side_by_side(lambda pair: predict_later(*pair, statistics, seed), pairs)
    return replace(recipe, statistics=statistics), scores


def _encode_statistics(line: _FoldLines) -> tuple[PartScores, PartScores] | None:
    """Both sides of a fold with target statistics; None without text features or order in time."""
    fold = line.fold
    if not fold.older.examples.ordered:
        return None
    encoding = learn_statistics(fold.older, fold.encoding)
    if not len(encoding.statistic_columns):
        return None
    train, test = line.sides
    hidden = encoding.columns_of(fold.older.table.free_texts)
    return (
        replace(train, matrix=hide(encode_in_time_order(fold.older, encoding), hidden)),
        replace(test, matrix=hide(encoding.matrix(fold.later.columns), hidden)),
    )


def _score(fold: ValidationFold, recipe: Recipe) -> Floats:
    """(rows,) the calibrated log-odds of the later examples; no segment has a term yet."""
    calibration = recipe.calibration
    return np.asarray(calibration.intercept + calibration.slope * _blend(fold, recipe.weights))


def _blend(fold: ValidationFold, weights: Mapping[str, float]) -> Floats:
    points = 0.0 if fold.points is None else weights[POINTS] * fold.points
    return np.asarray(points + fold.blend(weights))


def best_linear(folds: Sequence[Fold], seed: int, recent: bool = False) -> tuple[float, list[LinearPart]]:
    """The strength with the smallest mean log loss over the folds, and its linear parts by fold.

    With few deals the usual strength is preferred. With `recent` newer deals weigh more.
    """
    pull, judged = _few_deals_pull(folds), []
    fitted = compute_side_by_side(lambda fold: _fit_fold(fold, seed, recent), folds)
    for strength, *judged_parts in zip(STRENGTHS, *fitted, strict=True):
        losses, parts = zip(*judged_parts, strict=True)
        distance = float(np.log10(strength / USUAL_STRENGTH))
        judged.append((float(np.mean(losses)) + pull * distance**2, strength, parts))
    _, strength, parts = min(judged, key=lambda j: j[0])
    return strength, list(parts)


def _few_deals_pull(folds: Sequence[Fold]) -> float:
    """What a strength or a number of trees of ten times the usual has to gain in log loss."""
    return 1 / (min(count_rarer_outcome(fold.test_won, fold.groups) for fold in folds) * len(folds))


def _fit_fold(fold: Fold, seed: int, recent: bool) -> list[tuple[float, LinearPart]]:
    """The linear part of each strength on the older side of a fold, with its log loss on the later side."""
    weights = recency_weights(len(fold.train)) if recent else None
    parts = fit_strengths(fold.design, fold.train_won, STRENGTHS, seed, weights)
    return [(log_loss(fold.test_won, part.log_odds(fold.test)), part) for part in parts]
