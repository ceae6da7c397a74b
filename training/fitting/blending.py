"""Weights of the parts and the calibration, from predictions on later deals.

Each number is fitted on all stretches together and on each alone. Where the stretches disagree it
is drawn towards the value that assumes nothing (equal weights, slope 1): by d² / (d² + s²), with d
its distance from there and s the standard error of the stretches' own values. When the world moves,
what the past prefers is not to be trusted too far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.optimize import minimize_scalar

from features.columns import Bools, Floats
from scoring.model.model import Calibration
from scoring.statistics.metrics import log_losses

_PRIOR = 10.0
_LEAST_SLOPE, _MOST_SLOPE = 0.2, 3.0
_NEXT_TO_NOTHING = 0.01
_GROWING = 2.0
"""The learnt parts grow with the deals that they learn from, the scorecard does not: what a later
stretch says of the two is nearer to what will hold."""


@dataclass(frozen=True)
class Stretch:
    """One later stretch of examples: what happened, and the log-odds that the parts gave.

    `points` is None where there is no scorecard.
    """

    won: Bools
    linear: Floats
    trees: Floats
    points: Floats | None = None


Scores: TypeAlias = tuple[Bools, Floats]


def log_loss(won: Bools, log_odds: Floats) -> float:
    """Mean log loss of log-odds."""
    return float(log_losses(won, log_odds).mean())


def blend(stretches: Sequence[Stretch]) -> dict[str, float]:
    """The weight of each part; they add up to 1.

    The learnt parts share equally where later deals do not say otherwise; against the scorecard they
    get as much weight as later deals confirm, and none where these do not.
    """

    def trees_loss(at: Stretch, trees: float) -> float:
        return log_loss(at.won, (1 - trees) * at.linear + trees * at.trees)

    rare = _rarer([at.won for at in stretches])
    trees = _shrunk(stretches, trees_loss, (0.0, 1.0), 0.5, rare)
    learnt = {"linear": 1 - trees, "trees": trees}

    def learnt_loss(at: Stretch, share: float) -> float:
        return log_loss(at.won, blended(at, _beside_points(learnt, share)))

    if any(at.points is None for at in stretches):
        return _beside_points(learnt, 1.0)
    share = _shrunk(stretches, learnt_loss, (0.0, 1.0), 0.0, rare, growing=_GROWING)
    return _beside_points(learnt, share if share > _NEXT_TO_NOTHING else 0.0)


def _beside_points(learnt: Mapping[str, float], share: float) -> dict[str, float]:
    return {"points": 1 - share} | {name: share * weight for name, weight in learnt.items()}


def blended(at: Stretch, weights: Mapping[str, float]) -> Floats:
    """The weighted log-odds of one stretch."""
    learnt = weights["linear"] * at.linear + weights["trees"] * at.trees
    return learnt if at.points is None else weights["points"] * at.points + learnt


def calibrate(stretches: Sequence[Scores], learnt: float = 1.0) -> Calibration:
    """A sigmoid on out-of-fold scores (Platt 1999) that turns about the mean log-odds.

    The slope is drawn to 1 and never 0 or below; the intercept only keeps the mean in its place:
    the newest level of the win rate is in the parts themselves. The scorecard is calibrated by itself,
    so only the `learnt` share of the sum is moved.
    """
    mean = float(np.mean(np.concatenate([log_odds for _, log_odds in stretches])))

    def loss(at: Scores, slope: float) -> float:
        return log_loss(at[0], mean + slope * (at[1] - mean))

    rare = _rarer([won for won, _ in stretches])
    slope = 1 + learnt * (_shrunk(stretches, loss, (_LEAST_SLOPE, _MOST_SLOPE), 1.0, rare) - 1)
    return Calibration(intercept=mean * (1 - slope), slope=slope)


_At = Stretch | Scores


def _shrunk(
    stretches: Sequence[_At],
    loss: Callable[..., float],
    bounds: tuple[float, float],
    centre: float,
    rare: int,
    growing: float = 1.0,
) -> float:
    """The value with the least loss, drawn to `centre` as far as the stretches disagree.

    Each stretch counts `growing` times the one before it.
    """
    if len(stretches) < 2:
        return centre

    def best(parts: Sequence[_At], pull: float) -> float:
        weights = growing ** np.arange(len(parts))

        def total(value: float) -> float:
            told = float(np.average([loss(part, value) for part in parts], weights=weights))
            return told + pull * (value - centre) ** 2

        return float(minimize_scalar(total, bounds=bounds, method="bounded").x)

    pooled = best(stretches, _PRIOR / max(rare, 1))
    squared_error = np.var([best([part], 0.0) for part in stretches], ddof=1) / len(stretches)
    distance = (pooled - centre) ** 2
    kept = distance / (distance + squared_error) if distance + squared_error > 0 else 0.0
    return float(centre + (pooled - centre) * kept)


def _rarer(outcomes: Sequence[Bools]) -> int:
    """How many of the rarer outcome there are."""
    if not outcomes:
        return 0
    won = np.concatenate(outcomes)
    return int(min(won.sum(), (~won).sum()))
