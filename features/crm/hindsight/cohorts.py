"""Whether a column moves with the closing of leads, or told the fast ones from the slow ones all along.

Closed and open leads of equal age differ for two reasons. What is written at the close is more common among
closed leads, so it is more common in a cohort (the leads of one period) of which more are closed. What was
known from the start tells which leads close sooner, but a cohort does not get more of it by closing. The first
shows the same slope between cohorts as within them, the second none: within and between effects, Mundlak, "On
the pooling of time series and cross section data", Econometrica 46 (1978).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.columns import Bools, Floats

_COHORTS, _COHORT_SIZE, _MIN_COHORTS = 20, 50, 6
_BEYOND_CHANCE = 3.0


@dataclass(frozen=True)
class Movement:
    """By how much a score is higher for closed leads: `within` the cohorts, and `between` cohorts for one of
    which all are closed and one of which none are, with the standard error of the latter."""

    within: float
    between: float
    error: float

    @property
    def is_written(self) -> bool:
        """The score moves with the closing of leads."""
        return self.between > max(_BEYOND_CHANCE * self.error, self.within / 2)

    @property
    def is_known_before(self) -> bool:
        """The score does not move as it would if it were written at the close."""
        return self.between + _BEYOND_CHANCE * self.error < self.within / 2


UNKNOWN = Movement(0.0, 0.0, np.inf)


def measure_movement(score: Floats, closed: Bools) -> Movement:
    """The movement of a score with the closing of leads, which are given oldest first.

    The slope between cohorts is that of weighted least squares next to a linear trend over time, so that a
    steady drift counts for nothing. `UNKNOWN` with few leads or where all cohorts are closed alike.
    """
    count = min(len(score) // _COHORT_SIZE, _COHORTS)
    if count < _MIN_COHORTS:
        return UNKNOWN
    cohort = np.arange(len(score)) * count // len(score)
    size = np.bincount(cohort, minlength=count)
    share, mean = np.bincount(cohort, closed, count) / size, np.bincount(cohort, score, count) / size
    score_rest, closed_rest = score - mean[cohort], closed - share[cohort]
    spread = float(closed_rest @ closed_rest)
    terms = np.column_stack([np.ones(count), np.arange(count) / count, share]) * np.sqrt(size)[:, None]
    if not spread or np.linalg.matrix_rank(terms) < terms.shape[1]:
        return UNKNOWN
    inverse = np.linalg.inv(terms.T @ terms)
    slopes = inverse @ (terms.T @ (mean * np.sqrt(size)))
    rest = mean * np.sqrt(size) - terms @ slopes
    variance = max(float(rest @ rest) / (count - terms.shape[1]), float(score_rest.var()))
    error = float(np.sqrt(variance * inverse[2, 2]))
    return Movement(float(score_rest @ closed_rest) / spread, float(slopes[2]), error)
