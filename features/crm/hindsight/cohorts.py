"""Whether a column moves with the closing of leads, or told the fast ones from the slow ones all along.

Closed and open leads of equal age differ for two reasons. What is written at the close is more common among
closed leads, so it is more common in a cohort (the leads of one period) of which more are closed. What was
known from the start tells which leads close sooner, but a cohort does not get more of it by closing. The
first shows the same slope between cohorts as within them, the second none: within and between effects,
Mundlak, "On the pooling of time series and cross section data", Econometrica 46 (1978).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.columns import Bools, Floats, Ints

_COHORTS, _COHORT_SIZE, _MIN_COHORTS = 20, 50, 6
_NEIGHBOURS = 10
_BEYOND_CHANCE, _AGAINST = 3.0, 2.5


@dataclass(frozen=True)
class Movement:
    """By how much a score is higher for closed leads, with standard errors: `within` the cohorts, and
    `between` a cohort of which all are closed and one of which none are."""

    within: float
    within_error: float
    between: float
    between_error: float

    @property
    def errors(self) -> tuple[float, float]:
        """Both differences in standard errors, positive where the second is in the direction of the first."""
        sign = np.sign(self.within)
        return abs(self.within) / self.within_error, float(sign * self.between / self.between_error)

    @property
    def is_steep(self) -> bool:
        """The score moves at least half as much as it would if it were written at the close."""
        return float(np.sign(self.within) * self.between) > abs(self.within) / 2

    @property
    def is_written(self) -> bool:
        """The score moves with the closing of leads, beyond chance."""
        return self.is_steep and self.errors[1] > _BEYOND_CHANCE

    @property
    def is_known_before(self) -> bool:
        """The score does not move as it would if it were written at the close."""
        between = float(np.sign(self.within) * self.between)
        return not self.is_steep and between + _AGAINST * self.between_error < abs(self.within)


UNKNOWN = Movement(0.0, np.inf, 0.0, np.inf)


@dataclass(frozen=True)
class Cohorts:
    """Leads, given oldest first, in cohorts of equal size: the cohort of each lead, its being closed beyond
    what its age explains, and of each cohort its size and the share that is closed."""

    cohort: Ints
    closed: Bools
    excess: Floats
    size: Floats
    share: Floats

    @staticmethod
    def from_closed(closed: Bools) -> Cohorts | None:
        """None for few leads, or where the closed share of cohorts does not differ from a line over time."""
        count = min(len(closed) // _COHORT_SIZE, _COHORTS)
        if count < _MIN_COHORTS:
            return None
        cohort = np.arange(len(closed)) * count // len(closed)
        size = np.bincount(cohort, minlength=count).astype(np.float64)
        excess = _excess(closed)
        cohorts = Cohorts(cohort, closed, excess, size, np.bincount(cohort, closed, count) / size)
        terms = cohorts._terms
        is_usable = excess.any() and np.linalg.matrix_rank(terms) == terms.shape[1]
        return cohorts if is_usable else None

    @property
    def _terms(self) -> Floats:
        """The terms of the regression between cohorts: a line over time, so that a steady drift counts for
        nothing, and the closed share."""
        time = np.arange(len(self.size)) / len(self.size)
        terms = np.column_stack([np.ones(len(time)), time, self.share])
        return np.asarray(terms * np.sqrt(self.size)[:, None], dtype=np.float64)

    def measure(self, score: Floats) -> Movement:
        """The movement of a score of each lead."""
        mean = np.bincount(self.cohort, score, len(self.size)) / self.size
        rest = score - mean[self.cohort]
        return self._slopes(mean[:, None], np.array([rest @ self.excess]), np.array([rest.var()]))[0]

    def measure_levels(self, level: Ints, count: int) -> list[Movement]:
        """The movement of having each of the levels 0..count-1; a level of -1 is none."""
        mask = level >= 0
        key = self.cohort[mask] * count + level[mask]
        cells = len(self.size) * count
        number = np.bincount(key, minlength=cells).reshape(-1, count)
        mean = number / self.size[:, None]
        together: Floats = np.bincount(level[mask], self.excess[mask], count).astype(np.float64)
        share = np.bincount(level[mask], minlength=count) / len(level)
        # Where closed and open leads are side by side the value may be more common than elsewhere.
        weight = np.bincount(self.cohort, self.excess**2, len(self.size)) / (self.excess @ self.excess)
        variance = np.maximum(weight @ (mean * (1 - mean)), share * (1 - share))
        return self._slopes(mean, together, variance)

    def _slopes(self, mean: Floats, together: Floats, variance: Floats) -> list[Movement]:
        """Movements from the mean of each cohort (rows) and score (columns), the products with `excess`, and
        the variances."""
        root, terms, spread = np.sqrt(self.size), self._terms, float(self.excess @ self.closed)
        inverse = np.linalg.inv(terms.T @ terms)
        weighted = mean * root[:, None]
        slopes = inverse @ (terms.T @ weighted)
        rest = ((weighted - terms @ slopes) ** 2).sum(axis=0) / (len(root) - terms.shape[1])
        between_error = np.sqrt(np.maximum(rest, variance) * inverse[2, 2])
        tiny = np.finfo(np.float64).tiny
        columns = (together / spread, np.sqrt(variance / spread) + tiny, slopes[2], between_error + tiny)
        return [Movement(*map(float, row)) for row in zip(*columns, strict=True)]


def _excess(closed: Bools) -> Floats:
    """Closed (1 or 0) minus the share of the leads created just before and after: of a young cohort the older
    ones are closed more often, and have more of what ended and less of what began meanwhile."""
    total = np.concatenate([[0], np.cumsum(closed)])
    place = np.arange(len(closed))
    reach = np.minimum(np.minimum(place, place[::-1]), _NEIGHBOURS)
    first, last = place - reach, place + reach + 1
    return np.asarray(closed - (total[last] - total[first]) / (last - first), dtype=np.float64)


def measure_movement(score: Floats, closed: Bools) -> Movement:
    """The movement of a score of leads, given oldest first; `UNKNOWN` where cohorts cannot be compared."""
    cohorts = Cohorts.from_closed(closed)
    return cohorts.measure(score) if cohorts else UNKNOWN
