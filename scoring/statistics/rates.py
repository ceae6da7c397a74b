"""Win rates of many sets of leads, each with its bootstrap interval and counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats
from scoring.statistics.metrics import group_draws, with_interval

DRAWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The win rate of `count` rows, `won` of them won; `low` and `high` are the 95 % interval.

    `lift` is the win rate over that of all rows, with its interval. The rates are nan without rows, the
    lift also if no row at all is won.
    """

    count: int
    won: int
    value: float
    low: float
    high: float
    lift: float
    lift_low: float
    lift_high: float


_NAN = float("nan")
_NOTHING = Rate(count=0, won=0, value=_NAN, low=_NAN, high=_NAN, lift=_NAN, lift_low=_NAN, lift_high=_NAN)


class Rates:
    """Leads with outcomes, prepared for win rates of any subset.

    Whole groups (leads or accounts) are drawn, as their rows are correlated. Only the sums of each group
    are needed, so a subset costs one matrix product.
    """

    def __init__(self, won: Bools, group: NDArray[np.integer], draws: int = DRAWS, seed: int = 0) -> None:
        self.won = won
        first = np.unique(group, return_index=True)[1]
        self._of_group = np.unique(group, return_inverse=True)[1]
        self._times = np.array([weight[first] for weight in group_draws(group, draws, seed)])
        everyone = np.ones(len(won), dtype=np.bool_)
        self._overall = self._draw_counts(won) / np.maximum(self._draw_counts(everyone), 1e-12)

    def rate(self, mask: Bools) -> Rate:
        """The win rate of the rows in `mask`."""
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
        return Rate(
            count=count,
            won=won,
            value=rate.value,
            low=rate.low,
            high=rate.high,
            lift=lift.value,
            lift_low=lift.low,
            lift_high=lift.high,
        )

    def _draw_counts(self, mask: Bools) -> Floats:
        by_group = np.bincount(self._of_group, mask, minlength=self._times.shape[1])
        return np.asarray(self._times @ by_group)
