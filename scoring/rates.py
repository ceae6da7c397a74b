"""Win rates of many sets of leads at once, each with its bootstrap interval and its counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats
from scoring.metrics import group_draws

DRAWS = 200


@dataclass(frozen=True, slots=True)
class Rate:
    """Of `count` leads at their moments `won` were won; `low` and `high` are the 95 % interval.

    All three shares are nan where there is no lead.
    """

    count: int
    won: int
    value: float
    low: float
    high: float


class Rates:
    """Judged leads, made ready for win rates of any set of them.

    Whole groups (leads, or accounts) are drawn, as their moments hang together; only the sums of each
    group are needed, so a set costs one product of matrices.
    """

    def __init__(
        self, won: Bools, group: NDArray[np.integer], draws: int = DRAWS, seed: int = 0
    ) -> None:
        self.won = won
        first = np.unique(group, return_index=True)[1]
        self._of_group = np.unique(group, return_inverse=True)[1]
        self._times = np.array([weight[first] for weight in group_draws(group, draws, seed)])

    def rate(self, where: Bools) -> Rate:
        """The win rate of a set of leads."""
        count, won = int(where.sum()), int((where & self.won).sum())
        if not count:
            return Rate(0, 0, float("nan"), float("nan"), float("nan"))
        share = self._drawn(where & self.won) / np.maximum(self._drawn(where), 1e-12)
        low, high = np.quantile(share[self._drawn(where) > 0], [0.025, 0.975])
        return Rate(count, won, won / count, float(low), float(high))

    def _drawn(self, where: Bools) -> Floats:
        by_group = np.bincount(self._of_group, where, minlength=self._times.shape[1])
        return np.asarray(self._times @ by_group)
