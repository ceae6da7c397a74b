"""Partial pooling of intercepts: a segment that is off beyond chance gets a term of its own in the sum.

On later deals the values of a segment deviate from the model by log-odds with the prior N(0, tau^2). tau^2
is that of DerSimonian and Laird ("Meta-analysis in clinical trials", Controlled Clinical Trials 7, 1986) over
the values, each with the deviation and the information of one Newton step; a value with few deals is drawn
to 0. The term enters if the values differ beyond chance, and if the deviations of older deals are right about
newer ones. It is for attributes that are no features: of a feature the other parts learn the level, and what
they leave on later deals is a change over time, which may turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import chi2

from features.columns import Bools, Floats, Texts
from scoring.model.encoding import Encoding
from scoring.model.linear import LinearPart
from training.fitting.blending import ValidationFold, is_gain
from training.fitting.parts.trees import find_shift

_CHANCE = 0.01
"""The share of data without a difference in which one of the segments seems to differ."""

_MIN_INFORMATION = 5.0
"""A value with less information (the sum of p * (1 - p)) tells nothing of its level."""

_STEPS, _MAX_STEP = 20, 1.0
_FIRST_COLUMN = 2
"""The columns of a text's common values come after those of a missing and of a rare one."""


@dataclass(frozen=True)
class Judged:
    """Later deals: outcomes, log-odds at their level, leads or accounts, and codes of a segment's values."""

    won: Bools
    log_odds: Floats
    groups: NDArray[np.int32]
    codes: NDArray[np.int32]

    @staticmethod
    def from_folds(folds: Sequence[ValidationFold], log_odds: Sequence[Floats], name: str) -> Judged:
        """All folds together, each shifted to its win rate: a change of the level is no segment's."""
        levelled = [z + find_shift(z, float(f.won.mean())) for f, z in zip(folds, log_odds, strict=True)]
        return Judged(
            np.concatenate([fold.won for fold in folds]),
            np.concatenate(levelled),
            np.concatenate([fold.groups for fold in folds]),
            np.concatenate([fold.segments[name].codes for fold in folds]),
        )

    def present(self) -> Judged:
        """Those whose value is known."""
        rows = self.codes >= 0
        return Judged(self.won[rows], self.log_odds[rows], self.groups[rows], self.codes[rows])


@dataclass(frozen=True)
class Pooled:
    """By value of a segment the log-odds drawn to 0, and the chance of such differences without a cause."""

    offsets: Floats
    chance: float

    def look_up(self, column: Texts) -> Floats:
        """(rows,) the log-odds of each row, 0 for a missing value."""
        return np.asarray(np.append(self.offsets, 0.0)[column.codes])


def learn_segments(
    folds: Sequence[ValidationFold], log_odds: Sequence[Floats], ordered: bool
) -> dict[str, dict[str, float]]:
    """The terms of the segments that need one: log-odds by value, by the name of the segment's attribute.

    `log_odds` are those of the model without such terms on the later side of each fold.
    """
    terms: dict[str, dict[str, float]] = {}
    names = list(folds[0].segments)
    limit = _CHANCE / max(1, len(names))
    while names and len(folds) > 1:
        pooled = {name: pool(Judged.from_folds(folds, log_odds, name), _count(folds, name)) for name in names}
        name = min(names, key=lambda n: pooled[n].chance)
        if pooled[name].chance > limit:
            break
        names.remove(name)
        if _is_right_later(folds, log_odds, name, ordered):
            values = folds[0].segments[name].categories
            offsets = zip(values, pooled[name].offsets.tolist(), strict=True)
            terms[name] = {value: offset for value, offset in offsets if offset}
            log_odds = [
                z + pooled[name].look_up(f.segments[name]) for f, z in zip(folds, log_odds, strict=True)
            ]
    return terms


def pool(judged: Judged, count: int) -> Pooled:
    """The deviations of `count` values from the model on later deals."""
    judged = judged.present()
    score, information, repeats = _one_step(judged, np.zeros(count))
    enough = information >= _MIN_INFORMATION * repeats
    if enough.sum() < 2:
        return Pooled(np.zeros(count), 1.0)
    weight = information[enough] / repeats
    deviation = score[enough] / information[enough]
    apart = float(weight @ (deviation - np.average(deviation, weights=weight)) ** 2)
    free = int(enough.sum()) - 1
    variance = max(0.0, (apart - free) / float(weight.sum() - weight @ weight / weight.sum()))
    offsets = np.where(enough, _draw_to_zero(judged, count, variance, repeats), 0.0)
    return Pooled(offsets, float(chi2.sf(apart, free)))


def _draw_to_zero(judged: Judged, count: int, variance: float, repeats: float) -> Floats:
    """The most likely deviations under the prior N(0, `variance`)."""
    offsets = np.zeros(count)
    if not variance:
        return offsets
    for _ in range(_STEPS):
        score, information, _ = _one_step(judged, offsets)
        slope = score / repeats - offsets / variance
        offsets += np.clip(slope / (information / repeats + 1 / variance), -_MAX_STEP, _MAX_STEP)
    return offsets


def _one_step(judged: Judged, offsets: Floats) -> tuple[Floats, Floats, float]:
    """By value the sum of residuals and the information, and how often a lead repeats itself, at least 1.

    Examples of one lead at several ages have one outcome: the variance of their sum is larger than if each
    were another lead.
    """
    probability = expit(judged.log_odds + offsets[judged.codes])
    residual, certainty = judged.won - probability, probability * (1 - probability)
    group = np.unique(judged.groups, return_inverse=True)[1]
    by_lead = np.bincount(group, residual)
    repeats = max(1.0, float(by_lead @ by_lead) / max(float(certainty.sum()), 1e-12))
    count = len(offsets)
    score, information = (
        np.bincount(judged.codes, part, count).astype(np.float64) for part in (residual, certainty)
    )
    return score, information, repeats


def _is_right_later(
    folds: Sequence[ValidationFold], log_odds: Sequence[Floats], name: str, ordered: bool
) -> bool:
    """Whether the term learnt on other folds (older ones, where they have an order) lowers the log loss of a
    fold beyond doubt, at the level of the model without it."""
    judged, before, after = [], [], []
    for place, (fold, scores) in enumerate(zip(folds, log_odds, strict=True)):
        others = [k for k in range(len(folds)) if (k < place if ordered else k != place)]
        if not others:
            continue
        learnt = Judged.from_folds([folds[k] for k in others], [log_odds[k] for k in others], name)
        with_term = scores + pool(learnt, _count(folds, name)).look_up(fold.segments[name])
        judged.append(fold)
        before.append(scores)
        after.append(with_term + find_shift(with_term, float(expit(scores).mean())))
    return is_gain(judged, before, after, ordered)


def _count(folds: Sequence[ValidationFold], name: str) -> int:
    return len(folds[0].segments[name].categories)


def add_segments(
    linear: LinearPart, encoding: Encoding, segments: Mapping[str, Mapping[str, float]], weight: float
) -> LinearPart:
    """The linear part with the log-odds of segments, which are `weight` times its own in the sum.

    A value that training had rarely or never has none.
    """
    weights = linear.weights.copy()
    starts = dict(zip(encoding.levels, encoding.starts, strict=True))
    for name, offsets in segments.items():
        levels = encoding.levels[name]
        for value, offset in offsets.items():
            for place in levels.find_places(value) if levels else ():
                if place >= _FIRST_COLUMN:
                    weights[starts[name] + place] += offset / weight
    return replace(linear, weights=weights)
