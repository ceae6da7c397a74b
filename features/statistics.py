"""Statistics that several packages share."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from features.columns import Bools, Column, Floats, Ints, Texts

_BANDS = 20
_PRIOR_WEIGHT = 10.0


def roc_auc(won: Bools, score: Floats) -> float:
    """The probability that a won lead scores above a lost one, ties counted half; nan for a single class.

    Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 143 (1982).
    """
    wins = int(won.sum())
    losses = len(won) - wins
    if not wins or not losses:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[won].sum() - wins * (wins + 1) / 2) / (wins * losses))


def level_auc(level: Ints, won: Bools, score: Floats) -> float:
    """The ROC AUC of leads that have the score of their level; as `roc_auc`, without sorting the leads."""
    _, rank = np.unique(score, return_inverse=True)
    wins = np.bincount(rank[level[won]], minlength=len(score)).astype(np.float64)
    losses = np.bincount(rank[level[~won]], minlength=len(score)).astype(np.float64)
    pairs = wins.sum() * losses.sum()
    below = np.cumsum(losses) - losses / 2
    return float(wins @ below / pairs) if pairs else float("nan")


def auc_error(auc: float, wins: int, losses: int) -> float:
    """The standard error of a ROC AUC of wins and losses, by Hanley and McNeil (1982)."""
    if not wins or not losses:
        return float("nan")
    higher, lower = auc / (2 - auc) - auc**2, 2 * auc**2 / (1 + auc) - auc**2
    variance = auc * (1 - auc) + (wins - 1) * higher + (losses - 1) * lower
    return float(np.sqrt(max(variance, 0.0) / (wins * losses)))


def to_levels(column: Column, use: Bools | None = None) -> tuple[Ints, int]:
    """The values of a column as levels 0..k-1 (missing is a level, numbers are binned), and k.

    The bins hold equally many of the numbers that `use` selects."""
    if isinstance(column, Texts):
        return column.codes.astype(np.int64) + 1, len(column.categories) + 1
    is_present = ~np.isnan(column)
    inner = np.linspace(0, 1, _BANDS + 1)[1:-1]
    is_binned = is_present if use is None else is_present & use
    edges: Floats = np.unique(np.quantile(column[is_binned], inner)) if is_binned.any() else np.empty(0)
    level = np.where(is_present, np.searchsorted(edges, column, side="right") + 1, 0)
    return level.astype(np.int64), len(edges) + 2


def win_rate_by_level(level: Ints, count: int, won: Bools) -> Floats:
    """The win rate of each level, shrunk towards the mean for rare levels."""
    mean = float(won.mean()) if len(won) else 0.0
    totals = np.bincount(level, minlength=count)
    wins = np.bincount(level, weights=won, minlength=count)
    return np.asarray((wins + _PRIOR_WEIGHT * mean) / (totals + _PRIOR_WEIGHT), dtype=np.float64)
