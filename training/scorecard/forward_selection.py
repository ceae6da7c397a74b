"""Choosing the rows of a scorecard, one after the other, each for what it adds to those chosen.

A score test tells what each candidate would gain in log-likelihood; the best is taken, and all
weights are fitted again, drawn towards 0 and kept on their side of it. Rows are to tell leads apart
in every period: a gain is the least that remains when one period is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.columns import Bools, Floats, Ints, missing
from scoring.scorecard.rating import rate
from training.fitting.recipe import Data
from training.scorecard.candidates import MOST_OF_KNOWN, Candidate, Candidates, candidates

PERIODS = 5
MOST_OF_A_FEATURE = 3
"""So many rows may look at one feature alone."""

KNOWN_ROW = 1.25
"""A row of the present card, which people know, is taken before a new one that gains up to so much more."""

_DOUBT = 1.0
"""The standard deviation of a row's weight (log-odds) before any deal has told."""

_NEXT_TO_NOTHING = 1e-3
_TURNS, _SMALLEST = 50, 1e-4


@dataclass(frozen=True)
class Steps:
    """Rows in the order in which they were chosen; `weights[k]` are those of the first k (log-odds)."""

    rows: tuple[Candidate, ...]
    weights: tuple[Floats, ...]


@dataclass(frozen=True)
class Deals:
    """Deals as points are learnt from them.

    `known` (deals, k) stands beside the rows: a level for each period, so that a row counts for what it
    tells apart within a period and not for naming one that went well; and whether a trigger fires,
    which lifts a lead whatever its points. An excluded lead has no place in the ranking and teaches
    nothing: `kept` are the examples of the others.
    """

    known: Floats
    won: Floats
    kept: Bools
    period: Ints

    @staticmethod
    def of(data: Data) -> Deals:
        rating = rate(data.card, data.columns)
        kept = ~rating.excluded
        count = int(kept.sum())
        period = np.arange(count) * PERIODS // max(count, 1)
        level = np.eye(PERIODS)[period]
        if not data.examples.ordered:
            period = data.examples.group[kept].astype(np.int64) % PERIODS
            level = np.ones((count, 1))
        fires = rating.triggered[kept, None].astype(np.float64)
        known = np.hstack([level, fires] if 0 < fires.sum() < count else [level])
        return Deals(known, data.won[kept].astype(np.float64), kept, period)

    def losses(self, points: Floats) -> Floats:
        """The log loss of each deal, with the level of each period and the worth of a point fitted."""
        columns = np.column_stack([self.known, points])
        signs = np.zeros(columns.shape[1], dtype=np.int64)
        signs[-1] = 1  # more points are never worse
        ridge = np.full(len(signs), 1e-3)
        line = columns @ fitted(columns, self.won, signs, ridge, np.zeros(len(signs)))
        return np.asarray(np.logaddexp(0.0, line) - self.won * line)


def forward(data: Data, most: int) -> Steps:
    """Choose up to `most` rows; fewer where no other adds anything."""
    return _Search(data, candidates(data), Deals.of(data)).run(most)


def fitted(columns: Floats, won: Floats, signs: NDArray[np.int64], ridge: Floats, start: Floats) -> Floats:
    """The weights of a logistic regression, each of its sign (0: any), by projected Newton steps."""

    def loss(weights: Floats) -> float:
        line = columns @ weights
        return float(np.logaddexp(0.0, line).sum() - won @ line + ridge @ weights**2 / 2)

    def inside(weights: Floats) -> Floats:
        return np.asarray(np.where(weights * signs < 0, 0.0, weights))

    weights, least = start, loss(start)
    for _ in range(_TURNS):
        step, size = _newton_step(columns, won, signs, ridge, weights), 1.0
        while (now := loss(inside(weights + size * step))) > least and size > _SMALLEST:
            size /= 2
        if now >= least - 1e-7:
            break
        weights, least = inside(weights + size * step), now
    return weights


def _newton_step(
    columns: Floats, won: Floats, signs: NDArray[np.int64], ridge: Floats, weights: Floats
) -> Floats:
    """A weight that stands at 0 and is drawn over to the wrong side stays where it is."""
    p = expit(columns @ weights)
    slope = columns.T @ (p - won) + ridge * weights
    curve = columns.T @ (columns * (p * (1 - p))[:, None]) + np.diag(ridge + 1e-9)
    free = (signs == 0) | (weights != 0) | (slope * signs < 0)
    step = np.zeros(len(weights))
    step[free] = -np.linalg.solve(curve[np.ix_(free, free)], slope[free])
    return step


@dataclass(frozen=True)
class _Search:
    data: Data
    found: Candidates
    deals: Deals

    def run(self, most: int) -> Steps:
        chosen: list[int] = []
        weights = [self.fit(chosen, np.zeros(self.width))]
        while len(chosen) < min(most, len(self.found.rows)):
            gains = self.allowed(chosen) * self.known_first * self.gains(chosen, weights[-1])
            if gains.max() < _NEXT_TO_NOTHING:
                break
            chosen.append(int(gains.argmax()))
            weights.append(self.fit(chosen, np.append(weights[-1], 0.0)))
        rows = tuple(self.found.rows[at] for at in chosen)
        return Steps(rows, tuple(w[self.width :] for w in weights))

    @property
    def width(self) -> int:
        return int(self.deals.known.shape[1])

    @cached_property
    def holds(self) -> NDArray[np.float32]:
        return self.found.holds[:, self.deals.kept].astype(np.float32)

    @cached_property
    def signs(self) -> NDArray[np.int64]:
        return np.array([row.sign for row in self.found.rows], dtype=np.int64)

    @cached_property
    def known_first(self) -> Floats:
        return np.array([1.0 if row.row is None else KNOWN_ROW for row in self.found.rows])

    @cached_property
    def by_period(self) -> Floats:
        return np.eye(PERIODS)[self.deals.period]

    def columns(self, chosen: list[int]) -> Floats:
        return np.column_stack([self.deals.known, self.holds[chosen].T.astype(np.float64)])

    def fit(self, chosen: list[int], start: Floats) -> Floats:
        signs = np.concatenate([np.zeros(self.width, dtype=np.int64), self.signs[chosen]])
        ridge = np.concatenate([np.full(self.width, 1e-6), np.full(len(chosen), _DOUBT**-2)])
        return fitted(self.columns(chosen), self.deals.won, signs, ridge, start)

    def gains(self, chosen: list[int], weights: Floats) -> Floats:
        """What each candidate would gain, whichever period is left out."""
        columns = self.columns(chosen)
        p = expit(columns @ weights)
        spread = (p * (1 - p))[:, None]
        told = (self.by_period * (self.deals.won - p)[:, None], self.by_period * spread)
        sums = self.sums(np.hstack([*told, columns * spread]))
        slope, alone, shared = np.split(sums, [PERIODS, 2 * PERIODS], axis=1)
        inner = columns.T @ (columns * spread) + 1e-9 * np.eye(columns.shape[1])
        explained = np.einsum("ij,ji->i", shared, np.linalg.solve(inner, shared.T))
        return self.least_gains(slope, alone, explained)

    def least_gains(self, slope: Floats, alone: Floats, explained: Floats) -> Floats:
        """From the slope and the variance in each period, and the variance that is explained already."""
        total, variance = slope.sum(axis=1, keepdims=True), alone.sum(axis=1, keepdims=True)
        rest = np.maximum((total - slope) * self.signs[:, None], 0.0)
        there = 1 - alone / np.maximum(variance, 1e-9)
        curve = np.maximum(variance - explained[:, None], 0.0) * there
        return np.asarray((rest**2 / (2 * (curve + _DOUBT**-2))).min(axis=1))

    def sums(self, told: Floats) -> Floats:
        """Sums over the deals for which each candidate holds."""
        return np.asarray(self.holds @ told.astype(np.float32), dtype=np.float64)

    def allowed(self, chosen: list[int]) -> Bools:
        """Which candidates make sense beside the rows chosen."""
        count = len(self.found.rows)
        return np.array([at not in chosen and self._fits(at, chosen) for at in range(count)])

    def _fits(self, at: int, chosen: list[int]) -> bool:
        """Thresholds of a number go one way; values of a text stand in one row, and some in none."""
        row = self.found.rows[at]
        same = [i for i in chosen if row.feature and self.found.rows[i].feature == row.feature]
        others = [self.found.rows[i] for i in same]
        if len(same) >= MOST_OF_A_FEATURE or any(row.way * other.way < 0 for other in others):
            return False
        if any(row.values & other.values for other in others):
            return False
        if not row.values or not others:
            return True
        known = len(self.data) - int(missing(self.data.columns[row.feature]).sum())
        return int(self.found.holds[[at, *same]].sum()) <= MOST_OF_KNOWN * known
