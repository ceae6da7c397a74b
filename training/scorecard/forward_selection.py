"""Forward selection of the rows of a scorecard.

A score test estimates the gain of each candidate in log-likelihood; the best is added, and all
weights are refitted with a ridge penalty and fixed signs. The gain of a row is the smallest that remains
when one period is left out, so that rows separate leads in every period.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.columns import Bools, Floats, Ints, is_missing
from scoring.scorecard.rating import rate
from training.fitting.dataset import Dataset
from training.scorecard.candidates import MAX_KNOWN_SHARE, CandidateRow, CandidateRows, find_candidates

PERIODS = 5
MAX_ROWS_PER_FEATURE = 3
"""Maximum number of rows on one feature alone."""

PRESENT_ROW_BONUS = 1.25
"""Factor on the gain of rows of the present card, which are familiar, relative to new rows."""

_PRIOR_SD = 1.0
"""The prior standard deviation of the weight of a row (log-odds)."""

_MIN_GAIN = 1e-3
_MAX_ITERATIONS, _MIN_STEP_SIZE = 50, 1e-4


@dataclass(frozen=True)
class SelectionSteps:
    """Rows in the order of selection; `weights[k]` are the weights of the first k rows (log-odds)."""

    rows: tuple[CandidateRow, ...]
    weights: tuple[Floats, ...]


@dataclass(frozen=True)
class RankingData:
    """The deals from which points are learnt.

    `controls` (deals, k) are fitted together with the rows: a level for each period, so that a row counts
    for separating leads within a period, and whether a trigger fires, which raises a lead regardless of
    its points. Excluded leads have no rank: `included` marks the examples of the others.
    """

    controls: Floats
    won: Floats
    included: Bools
    period: Ints

    @staticmethod
    def from_dataset(data: Dataset) -> RankingData:
        rating = rate(data.card, data.columns)
        included = ~rating.excluded
        count = int(included.sum())
        period = np.arange(count) * PERIODS // max(count, 1)
        level = np.eye(PERIODS)[period]
        if not data.examples.ordered:
            period = data.examples.group[included].astype(np.int64) % PERIODS
            level = np.ones((count, 1))
        fires = rating.triggered[included, None].astype(np.float64)
        controls = np.hstack([level, fires] if 0 < fires.sum() < count else [level])
        return RankingData(controls, data.won[included].astype(np.float64), included, period)

    def losses(self, points: Floats) -> Floats:
        """The log loss of each deal, after fitting the level of each period and the weight of a point."""
        columns = np.column_stack([self.controls, points])
        signs = np.zeros(columns.shape[1], dtype=np.int64)
        signs[-1] = 1  # more points are never worse
        ridge = np.full(len(signs), 1e-3)
        line = columns @ fit_signed_weights(columns, self.won, signs, ridge, np.zeros(len(signs)))
        return np.asarray(np.logaddexp(0.0, line) - self.won * line)


def select_rows(data: Dataset, max_rows: int) -> SelectionSteps:
    """Select up to `max_rows` rows; fewer if no other row adds enough."""
    return _Search(data, find_candidates(data), RankingData.from_dataset(data)).run(max_rows)


def fit_signed_weights(
    columns: Floats, won: Floats, signs: NDArray[np.int64], ridge: Floats, start: Floats
) -> Floats:
    """The weights of a logistic regression, each of its sign (0: any), by projected Newton steps."""

    def loss(weights: Floats) -> float:
        line = columns @ weights
        return float(np.logaddexp(0.0, line).sum() - won @ line + ridge @ weights**2 / 2)

    def inside(weights: Floats) -> Floats:
        return np.asarray(np.where(weights * signs < 0, 0.0, weights))

    weights, lowest_loss = start, loss(start)
    for _ in range(_MAX_ITERATIONS):
        step, size = _newton_step(columns, won, signs, ridge, weights), 1.0
        while (new_loss := loss(inside(weights + size * step))) > lowest_loss and size > _MIN_STEP_SIZE:
            size /= 2
        if new_loss >= lowest_loss - 1e-7:
            break
        weights, lowest_loss = inside(weights + size * step), new_loss
    return weights


def _newton_step(
    columns: Floats, won: Floats, signs: NDArray[np.int64], ridge: Floats, weights: Floats
) -> Floats:
    """A Newton step; weights at 0 that would get the wrong sign do not move."""
    p = expit(columns @ weights)
    slope = columns.T @ (p - won) + ridge * weights
    curve = columns.T @ (columns * (p * (1 - p))[:, None]) + np.diag(ridge + 1e-9)
    free = (signs == 0) | (weights != 0) | (slope * signs < 0)
    step = np.zeros(len(weights))
    step[free] = -np.linalg.solve(curve[np.ix_(free, free)], slope[free])
    return step


@dataclass(frozen=True)
class _Search:
    data: Dataset
    candidates: CandidateRows
    deals: RankingData

    def run(self, max_rows: int) -> SelectionSteps:
        chosen: list[int] = []
        weights = [self.fit(chosen, np.zeros(self.width))]
        while len(chosen) < min(max_rows, len(self.candidates.rows)):
            gains = self.allowed(chosen) * self.row_bonus * self.gains(chosen, weights[-1])
            if gains.max() < _MIN_GAIN:
                break
            chosen.append(int(gains.argmax()))
            weights.append(self.fit(chosen, np.append(weights[-1], 0.0)))
        rows = tuple(self.candidates.rows[index] for index in chosen)
        return SelectionSteps(rows, tuple(w[self.width :] for w in weights))

    @property
    def width(self) -> int:
        return int(self.deals.controls.shape[1])

    @cached_property
    def holds(self) -> NDArray[np.float32]:
        return self.candidates.holds[:, self.deals.included].astype(np.float32)

    @cached_property
    def signs(self) -> NDArray[np.int64]:
        return np.array([row.sign for row in self.candidates.rows], dtype=np.int64)

    @cached_property
    def row_bonus(self) -> Floats:
        return np.array([1.0 if row.row is None else PRESENT_ROW_BONUS for row in self.candidates.rows])

    @cached_property
    def by_period(self) -> Floats:
        return np.eye(PERIODS)[self.deals.period]

    def columns(self, chosen: list[int]) -> Floats:
        return np.column_stack([self.deals.controls, self.holds[chosen].T.astype(np.float64)])

    def fit(self, chosen: list[int], start: Floats) -> Floats:
        signs = np.concatenate([np.zeros(self.width, dtype=np.int64), self.signs[chosen]])
        ridge = np.concatenate([np.full(self.width, 1e-6), np.full(len(chosen), _PRIOR_SD**-2)])
        return fit_signed_weights(self.columns(chosen), self.deals.won, signs, ridge, start)

    def gains(self, chosen: list[int], weights: Floats) -> Floats:
        """The smallest gain of each candidate when one period is left out."""
        columns = self.columns(chosen)
        p = expit(columns @ weights)
        spread = (p * (1 - p))[:, None]
        period_terms = (self.by_period * (self.deals.won - p)[:, None], self.by_period * spread)
        sums = self.sum_by_candidate(np.hstack([*period_terms, columns * spread]))
        slope, period_variance, shared = np.split(sums, [PERIODS, 2 * PERIODS], axis=1)
        inner = columns.T @ (columns * spread) + 1e-9 * np.eye(columns.shape[1])
        explained = np.einsum("ij,ji->i", shared, np.linalg.solve(inner, shared.T))
        return self.min_gains(slope, period_variance, explained)

    def min_gains(self, slope: Floats, period_variance: Floats, explained: Floats) -> Floats:
        """The gains from slope and variance per period, and the variance explained by the chosen rows."""
        total, variance = slope.sum(axis=1, keepdims=True), period_variance.sum(axis=1, keepdims=True)
        rest = np.maximum((total - slope) * self.signs[:, None], 0.0)
        remaining_share = 1 - period_variance / np.maximum(variance, 1e-9)
        curve = np.maximum(variance - explained[:, None], 0.0) * remaining_share
        return np.asarray((rest**2 / (2 * (curve + _PRIOR_SD**-2))).min(axis=1))

    def sum_by_candidate(self, values: Floats) -> Floats:
        """Sums over the deals for which each candidate holds."""
        return np.asarray(self.holds @ values.astype(np.float32), dtype=np.float64)

    def allowed(self, chosen: list[int]) -> Bools:
        """The candidates that are compatible with the chosen rows."""
        count = len(self.candidates.rows)
        return np.array([index not in chosen and self._fits(index, chosen) for index in range(count)])

    def _fits(self, index: int, chosen: list[int]) -> bool:
        """Thresholds of a number have one direction; a category value is in at most one row."""
        row = self.candidates.rows[index]
        same = [i for i in chosen if row.feature and self.candidates.rows[i].feature == row.feature]
        others = [self.candidates.rows[i] for i in same]
        clashes = [row.direction * rival.direction < 0 or bool(row.values & rival.values) for rival in others]
        if any(clashes) or len(same) >= MAX_ROWS_PER_FEATURE:
            return False
        if not row.values or not others:
            return True
        known_count = len(self.data) - int(is_missing(self.data.columns[row.feature]).sum())
        return int(self.candidates.holds[[index, *same]].sum()) <= MAX_KNOWN_SHARE * known_count
