"""How many rows of a scorecard the deals can carry: found on later deals than those learnt from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats
from features.moments import MIN_WINS
from training.fitting.recipe import Data
from training.fitting.splits import Split, rolling
from training.scorecard.candidates import holding
from training.scorecard.forward_selection import Deals, Steps, forward

WINS_A_ROW = 8
"""So many won leads must stand behind each row."""

_ORIGINS, _FEWEST = 4, 3


def row_count(data: Data, most: int, seed: int) -> int:
    """Up to `most` rows: as many as later deals do not speak against.

    The best number is that with the least log loss on the next stretch of rolling origins; more are
    taken as long as they are worse by less than one standard error, over whole groups.
    """
    most = min(most, max(_FEWEST, data.examples.won_leads // WINS_A_ROW))
    tried = [_tried(data, s, most) for s in rolling(data.examples, _ORIGINS, seed) if _tells(data, s)]
    if not tried:
        return most
    losses = np.concatenate([loss for loss, _ in tried], axis=1)
    groups = np.concatenate([group for _, group in tried])
    best = losses[losses.mean(axis=1).argmin()]
    return max(k for k in range(most + 1) if _hardly_worse(losses[k] - best, groups))


def _tells(data: Data, split: Split) -> bool:
    """Whether there is enough to learn from before the origin, and to judge after it."""
    old, new = data.examples.take(split.train), data.examples.take(split.test)
    return old.won_leads >= MIN_WINS and not old.won.all() and new.won_leads >= _FEWEST


def _tried(data: Data, split: Split, most: int) -> tuple[Floats, NDArray[np.int32]]:
    """The loss of each later deal by the number of rows, from none to `most`; and its group."""
    steps, later = forward(data.take(split.train), most), data.take(split.test)
    deals = Deals.of(later)
    holds = holding(steps.rows, later.columns)[:, deals.kept]
    losses = np.array([deals.losses(_points(steps, holds, k)) for k in range(len(steps.weights))])
    lacking = most + 1 - len(losses)
    return np.pad(losses, ((0, lacking), (0, 0)), mode="edge"), later.examples.group[deals.kept]


def _points(steps: Steps, holds: NDArray[np.bool_], rows: int) -> Floats:
    return np.asarray(steps.weights[rows] @ holds[:rows])


def _hardly_worse(worse: Floats, groups: NDArray[np.int32]) -> bool:
    """Whether a mean difference lies within one standard error of nothing."""
    by_group = np.bincount(np.unique(groups, return_inverse=True)[1], worse)
    return float(by_group.sum()) <= float(np.sqrt((by_group**2).sum()))
