"""Choosing a recipe on validation folds: strengths, trees, statistics, weights and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

import numpy as np

from features.columns import Floats
from scoring.model.linear import LinearPart
from training.fitting.blending import (
    LEAST_WEIGHT,
    ValidationFold,
    calibrate,
    count_rarer_outcome,
    log_loss,
    weigh_parts,
    weigh_points,
    weigh_statistics,
)
from training.fitting.dataset import Dataset
from training.fitting.few_deals import shrink
from training.fitting.folds import Fold, folds_of
from training.fitting.parts.line import fit_linear, mean_line, recency_weights
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
_MOST_SEEDS, _MOST_TREES = 2, 250
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


FoldPartScores: TypeAlias = list[tuple[PartScores, PartScores]]


def choose(data: Dataset, seed: int, sizes: Mapping[str, Boosting] | None = None) -> Recipe:
    """Choose strengths, trees, weights and calibration on the validation folds."""
    folds, ordered = folds_of(data, seed), data.examples.ordered
    if not folds:
        return Recipe(weights=RULES_ONLY) if data.card.rows else Recipe()
    strength, plain = best_linear(folds, seed)
    recent_strength, recent = (
        best_linear(folds, seed, recent=True) if ordered else (None, [None] * len(folds))
    )
    lines = [_FoldLines(*three) for three in zip(folds, plain, recent, strict=True)]
    recipe = Recipe(strength=strength, recent_strength=recent_strength)
    recipe, later = _choose_trees(recipe, lines, sizes or SIZES, seed)
    learnt = weigh_parts(later, ordered)
    recipe, learnt, later = _choose_statistics(recipe, lines, later, learnt, seed)
    judged = [fold for fold in later if fold.points is not None]
    share = weigh_points(judged, learnt, ordered, data.card.learnt_through is not None)
    later = judged if share else later
    weights = {POINTS: share} | {name: (1 - share) * weight for name, weight in learnt.items()}
    calibration = calibrate(later, [_blend(f, weights) for f in later], ordered, learnt=1 - share)
    recipe = shrink(replace(recipe, weights=weights, calibration=calibration), data, seed)
    if recipe.learnt_weight < LEAST_WEIGHT:
        return recipe
    return replace(recipe, segments=learn_segments(later, [_score(f, recipe) for f in later], ordered))


def _choose_trees(
    recipe: Recipe, lines: Sequence[_FoldLines], sizes: Mapping[str, Boosting], seed: int
) -> tuple[Recipe, list[ValidationFold]]:
    """The rounds and seeds of each size of trees, and the scores of all parts on the later sides."""
    sides = [line.sides for line in lines]
    parts: list[dict[str, Floats]] = [{LINEAR: line.log_odds} for line in lines]
    trees = {}
    jobs = [(name, side) for name in sizes for side in range(len(sides))]
    trained = compute_side_by_side(lambda job: train_curve(*sides[job[1]], sizes[job[0]], seed), jobs)
    curves = dict(zip(jobs, trained, strict=True))
    for name, boosting in sizes.items():
        rounds, _ = best_rounds([curves[name, side] for side in range(len(sides))])
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


def _choose_statistics(
    recipe: Recipe,
    lines: Sequence[_FoldLines],
    later: list[ValidationFold],
    learnt: dict[str, float],
    seed: int,
) -> tuple[Recipe, dict[str, float], list[ValidationFold]]:
    """Trees with target statistics enter the sum where later deals show a gain beyond doubt."""
    small = SIZES["small_trees"]
    count = _JUDGED_FOLDS if max(len(line.fold.train) for line in lines) >= _MANY_ROWS else len(lines)
    judged = lines[-count:]
    sides = [side for line in judged if (side := _encode_statistics(line)) is not None]
    if len(sides) < len(judged):
        return recipe, learnt, later
    curves = compute_side_by_side(lambda side: train_curve(*side, small, seed), sides)
    rounds = best_rounds(curves, np.power(2.0, np.arange(len(curves))))[0]
    statistics = TreesRecipe(small, rounds, max(1, min(_MOST_SEEDS, _MOST_TREES // rounds)))
    pairs = [(test, curve) for (_, test), curve in zip(sides, curves, strict=True)]
    scores = compute_side_by_side(lambda pair: predict_later(*pair, statistics, seed), pairs)
    share, shift = weigh_statistics(later[-count:], learnt, scores)
    if not share:
        return recipe, learnt, later
    learnt = {name: (1 - share) * weight for name, weight in learnt.items()} | {STATISTICS: share}
    later = [
        replace(fold, parts={**fold.parts, STATISTICS: score + shift})
        for fold, score in zip(later[-count:], scores, strict=True)
    ]
    return replace(recipe, statistics=statistics), learnt, later


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
    rarer = min(count_rarer_outcome(fold.test_won, fold.groups) for fold in folds) * len(folds)
    judged, jobs = [], [(fold, strength) for strength in STRENGTHS for fold in folds]
    fitted = iter(compute_side_by_side(lambda job: _fit_fold(*job, seed, recent), jobs))
    for strength in STRENGTHS:
        parts = list(islice(fitted, len(folds)))
        losses = [log_loss(f.test_won, part.log_odds(f.test)) for f, part in zip(folds, parts, strict=True)]
        pull = float(np.log10(strength / USUAL_STRENGTH)) ** 2 / rarer
        judged.append((float(np.mean(losses)) + pull, strength, parts))
    _, strength, parts = min(judged, key=lambda j: j[0])
    return strength, parts


def _fit_fold(fold: Fold, strength: float, seed: int, recent: bool) -> LinearPart:
    weights = recency_weights(len(fold.train)) if recent else None
    return fit_linear(fold.design, fold.train_won, strength, seed, weights)
