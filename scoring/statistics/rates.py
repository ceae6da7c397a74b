"""Win rates of many sets of leads at once, each with its bootstrap interval and its counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats
from scoring.statistics.metrics import group_draws, with_interval

DRAWS = 200


@dataclass(frozen=True, slots=True)
class Rate:
    """Of `count` leads at their moments `won` were won; `low` and `high` are the 95 % interval.

    `lift` is the win rate over that of all, with its own interval. The shares are nan where there is
    no lead, the lift also where none of all was won.
    """

    count: int
    won: int
    value: float
    low: float
    high: float
    lift: float
    lift_low: float
    lift_high: float


_NOTHING = Rate(0, 0, *(float("nan"),) * 6)


class Rates:
    """Judged leads, made ready for win rates of any set of them.

    Whole groups (leads, or accounts) are drawn, as their moments hang together; only the sums of each
    group are needed, so a set costs one product of matrices.
    """

    def __init__(self, won: Bools, group: NDArray[np.integer], draws: int = DRAWS, seed: int = 0) -> None:
        self.won = won
        first = np.unique(group, return_index=True)[1]
        self._of_group = np.unique(group, return_inverse=True)[1]
        self._times = np.array([weight[first] for weight in group_draws(group, draws, seed)])
        everyone = np.ones(len(won), dtype=np.bool_)
        self._overall = self._draw_counts(won) / np.maximum(self._draw_counts(everyone), 1e-12)

    def rate(self, mask: Bools) -> Rate:
        """The win rate of a set of leads."""
        count, won = int(mask.sum()), int((mask & self.won).sum())
        if not count:
            return _NOTHING
        drawn = self._draw_counts(mask)
        share = (self._draw_counts(mask & self.won) / np.maximum(drawn, 1e-12))[drawn > 0]
        rate = with_interval(won / count, share)
        overall, of_draw = float(self.won.mean()), self._overall[drawn > 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            lifts = np.where(of_draw > 0, share / of_draw, np.nan)
        lift = with_interval(rate.value / overall if overall else float("nan"), lifts)
        return Rate(count, won, rate.value, rate.low, rate.high, lift.value, lift.low, lift.high)

    def _draw_counts(self, mask: Bools) -> Floats:
        by_group = np.bincount(self._of_group, mask, minlength=self._times.shape[1])
        return np.asarray(self._times @ by_group)
