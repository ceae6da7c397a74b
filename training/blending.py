"""Weights of the parts and the calibration, from predictions on later deals.

Each number is fitted on all stretches together and on each alone. Where the stretches disagree it
is drawn towards the value that assumes nothing (equal weights, slope 1): by d² / (d² + s²), with d
its distance from there and s the standard error of the stretches' own values. When the world moves,
what the past prefers is not to be trusted too far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.optimize import minimize_scalar

from features.columns import Bools, Floats
from scoring.model import Calibration

_PRIOR = 10.0
_LEAST_SLOPE, _MOST_SLOPE = 0.2, 3.0


@dataclass(frozen=True)
class Stretch:
    """One later stretch of examples: what happened, and the log-odds that the parts gave."""

    won: Bools
    linear: Floats
    trees: Floats


Scores: TypeAlias = tuple[Bools, Floats]


def log_loss(won: Bools, log_odds: Floats) -> float:
    """Mean log loss of log-odds."""
    return float(np.mean(np.logaddexp(0.0, log_odds) - won * log_odds))


def blend(stretches: Sequence[Stretch]) -> dict[str, float]:
    """The weight of each part; they add up to 1."""

    def loss(at: Stretch, trees: float) -> float:
        return log_loss(at.won, (1 - trees) * at.linear + trees * at.trees)

    rare = _rarer([at.won for at in stretches])
    trees = _shrunk(stretches, loss, (0.0, 1.0), 0.5, rare)
    return {"linear": 1 - trees, "trees": trees}


def blended(at: Stretch, weights: dict[str, float]) -> Floats:
    """The weighted log-odds of one stretch."""
    return weights["linear"] * at.linear + weights["trees"] * at.trees


def calibrate(stretches: Sequence[Scores]) -> Calibration:
    """A sigmoid on out-of-fold scores (Platt 1999) that turns about the mean log-odds.

    The slope is drawn to 1 and never 0 or below; the intercept only keeps the mean in its place:
    the newest level of the win rate is in the parts themselves.
    """
    mean = float(np.mean(np.concatenate([log_odds for _, log_odds in stretches])))

    def loss(at: Scores, slope: float) -> float:
        return log_loss(at[0], mean + slope * (at[1] - mean))

    rare = _rarer([won for won, _ in stretches])
    slope = _shrunk(stretches, loss, (_LEAST_SLOPE, _MOST_SLOPE), 1.0, rare)
    return Calibration(intercept=mean * (1 - slope), slope=slope)


_At = Stretch | Scores


def _shrunk(
    stretches: Sequence[_At], loss: Callable[..., float], bounds: tuple[float, float],
    centre: float, rare: int,
) -> float:  # fmt: skip
    """The value with the least loss, drawn to `centre` as far as the stretches disagree."""
    if len(stretches) < 2:
        return centre

    def best(parts: Sequence[_At], pull: float) -> float:
        def total(value: float) -> float:
            told = float(np.mean([loss(part, value) for part in parts]))
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
