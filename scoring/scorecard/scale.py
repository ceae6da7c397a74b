"""The one scale of both sides: 0 to 100, 40 where warm begins, 80 where hot begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats, Ints
from features.errors import InvalidValue

WARM_SCORE, HOT_SCORE, TOP_SCORE = 40, 80, 100
BANDS = 10
"""The number of score bands (ten points each) of win rates."""

_MARKS = np.array([0, WARM_SCORE, HOT_SCORE, TOP_SCORE])
_SPANS = np.diff(_MARKS)


@dataclass(frozen=True)
class Scale:
    """Thresholds in the measure of a side (points or probability): 0 <= warm <= hot <= top.

    `top` is the maximum of points of a card, or probability 1.
    """

    warm: float
    hot: float
    top: float

    def __post_init__(self) -> None:
        if not 0 <= self.warm <= self.hot <= self.top:
            raise InvalidValue(
                "thresholds must rise: 0 <= {warm} <= {hot} <= {top}",
                warm=self.warm,
                hot=self.hot,
                top=self.top,
            )

    def score(self, value: Floats | Ints) -> Ints:
        """Whole scores 0 to 100, piecewise linear between the thresholds and rounded down.

        80 or more if and only if the value reaches `hot`, 40 or more if and only if it reaches `warm`.
        """
        within = np.minimum(value, self.top)
        return np.asarray(self._minimums.searchsorted(within, side="right"))

    @cached_property
    def _minimums(self) -> Floats:
        """The smallest value of each score from 1 to 100.

        In an interval of positive width, scores after the first lie above its lower end.
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
