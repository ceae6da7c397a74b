"""The number of rows of a scorecard, chosen on later deals than those learnt from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats
from features.moments import MIN_WINS
from training.fitting.dataset import Dataset
from training.fitting.splits import Split, split_rolling
from training.scorecard.candidates import condition_matrix
from training.scorecard.forward_selection import RankingData, SelectionSteps, select_rows

MIN_WINS_PER_ROW = 8
"""Minimum number of won leads per row."""

_ORIGINS, _MIN_ROWS, _MIN_NEW_WINS = 4, 3, 3


def choose_row_count(data: Dataset, max_rows: int, seed: int) -> int:
    """The number of rows, at most `max_rows`.

    The best number has the smallest log loss on the deals after each rolling origin; the result is the
    largest number that is worse by less than one standard error (over groups of leads).
    """
    max_rows = min(max_rows, max(_MIN_ROWS, data.examples.won_leads // MIN_WINS_PER_ROW))
    tried = [
        _losses_by_row_count(data, s, max_rows)
        for s in split_rolling(data.examples, _ORIGINS, seed)
        if _can_be_judged(data, s)
    ]
    if not tried:
        return max_rows
    losses = np.concatenate([loss for loss, _ in tried], axis=1)
    groups = np.concatenate([group for _, group in tried])
    best = losses[losses.mean(axis=1).argmin()]
    return max(k for k in range(max_rows + 1) if _is_hardly_worse(losses[k] - best, groups))


def _can_be_judged(data: Dataset, split: Split) -> bool:
    """Whether there are enough wins before and after the origin."""
    old, new = data.examples.take(split.train), data.examples.take(split.test)
    return old.won_leads >= MIN_WINS and not old.won.all() and new.won_leads >= _MIN_NEW_WINS


def _losses_by_row_count(data: Dataset, split: Split, max_rows: int) -> tuple[Floats, NDArray[np.int32]]:
    """The loss of each later deal by number of rows, from 0 to `max_rows`, and the group of each deal."""
    steps, later = select_rows(data.take(split.train), max_rows), data.take(split.test)
    deals = RankingData.from_dataset(later)
    holds = condition_matrix(steps.rows, later.columns)[:, deals.included]
    losses = np.array([deals.losses(_points(steps, holds, k)) for k in range(len(steps.weights))])
    missing = max_rows + 1 - len(losses)
    return np.pad(losses, ((0, missing), (0, 0)), mode="edge"), later.examples.group[deals.included]


def _points(steps: SelectionSteps, holds: NDArray[np.bool_], rows: int) -> Floats:
    return np.asarray(steps.weights[rows] @ holds[:rows])


def _is_hardly_worse(worse: Floats, groups: NDArray[np.int32]) -> bool:
    """Whether the mean difference is within one standard error of 0."""
    by_group = np.bincount(np.unique(groups, return_inverse=True)[1], worse)
    return float(by_group.sum()) <= float(np.sqrt((by_group**2).sum()))
