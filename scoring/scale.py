"""The one scale of both sides: 0 to 100, 40 where warm begins, 80 where hot begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
        knots, widths = self._knots
        value = np.minimum(np.maximum(np.asarray(value, dtype=np.float64), 0.0), self.top)
        segment = np.minimum(np.searchsorted(knots, value, side="right") - 1, 2)
        span, width = _SPANS[segment], widths[segment]
        none = width == 0  # the segment is a point, which is its end
        inside = np.floor(span * ((value - knots[segment] + none) / (width + none)))
        most = np.where(segment < 2, span - 1, span)  # the next mark belongs to the next segment
        return np.asarray(_MARKS[segment] + np.minimum(inside, most).astype(np.int64))

    @cached_property
    def _knots(self) -> tuple[Floats, Floats]:
        """Where the segments begin and end, and how wide each is."""
        knots = np.array([0.0, self.warm, self.hot, self.top])
        return knots, np.diff(knots)

    def stage(self, value: Floats | Ints) -> NDArray[np.int8]:
        """0 cold, 1 warm, 2 hot."""
        at = np.asarray(value)
        return ((at >= self.warm).astype(np.int8) + (at >= self.hot)).astype(np.int8)


def bands_of(score: Ints) -> Ints:
    """The band of ten points of each score: 0 for 0 to 9, … 9 for 90 to 100."""
    return np.minimum(score // (TOP_SCORE // BANDS), BANDS - 1)
