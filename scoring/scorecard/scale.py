"""The one scale of both sides: 0 to 100, 40 where warm begins, 80 where hot begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats, Ints

WARM_SCORE, HOT_SCORE, TOP_SCORE = 40, 80, 100
BANDS = 10
"""The bands of ten points in which win rates are told."""

_MARKS = np.array([0, WARM_SCORE, HOT_SCORE, TOP_SCORE])
_SPANS = np.diff(_MARKS)


@dataclass(frozen=True)
class Scale:
    """Thresholds in a side's own measure (points, or probability): 0 <= warm <= hot <= top.

    `top` is the most points of a card, or probability 1.
    """

    warm: float
    hot: float
    top: float

    def __post_init__(self) -> None:
        if not 0 <= self.warm <= self.hot <= self.top:
            raise ValueError(f"thresholds must rise: 0 <= {self.warm} <= {self.hot} <= {self.top}")

    def score(self, value: Floats | Ints) -> Ints:
        """Whole scores 0 to 100, piecewise linear between the thresholds and rounded down.

        80 or more exactly where the value has reached `hot`, 40 or more where it has reached `warm`.
        """
        within = np.minimum(value, self.top)
        return np.asarray(self._minimums.searchsorted(within, side="right"))

    @cached_property
    def _minimums(self) -> Floats:
        """The least value of each score from 1 to 100.

        Within a stretch that has a width the scores after the first lie above its beginning.
        """
        knots, minimums = (0.0, self.warm, self.hot, self.top), []
        for (low, high), span in zip(pairwise(knots), _SPANS.tolist(), strict=True):
            inside = low + np.arange(1, span) * (high - low) / span
            minimums += [low, *np.maximum(inside, np.nextafter(low, high))]
        return np.array([*minimums[1:], self.top])

    def stage(self, value: Floats | Ints) -> NDArray[np.int8]:
        """0 cold, 1 warm, 2 hot."""
        values = np.asarray(value)
        return ((values >= self.warm).astype(np.int8) + (values >= self.hot)).astype(np.int8)


def bands_of(score: Ints) -> Ints:
    """The band of ten points of each score: 0 for 0 to 9, … 9 for 90 to 100."""
    return np.minimum(score // (TOP_SCORE // BANDS), BANDS - 1)
