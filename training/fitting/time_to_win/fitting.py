"""Fitting the time to win: bins, the hazard of each, and weights as far as later winners confirm them.

Neither newer winners weighing more nor a correction of the quantiles by the coverage on later folds brought
the coverage of still later winners closer, so there is neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from features.columns import Floats
from features.moments import MIN_WINS, Examples
from scoring.model.encoding import Encoding
from scoring.model.linear import LinearPart
from scoring.model.time_to_win import TimeToWin
from training.fitting.blending import fold_weights, standard_error
from training.fitting.dataset import Dataset
from training.fitting.parts.line import Design
from training.fitting.splits import Split, random_folds, split_rolling
from training.fitting.time_to_win.winners import Winners

PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0)
"""Ridge penalties of the weights that are tried, beside no weights at all."""

_FOLDS, _MIN_ERRORS = 4, 2.0
_MAX_BINS, _WINS_A_BIN = 12, 8


def fit_time_to_win(data: Dataset, encoding: Encoding, seed: int) -> TimeToWin | None:
    """The time to win, learnt from the won examples of `data`; None without dates or with few won leads."""
    winners = Winners.of(data, encoding)
    if winners.leads < MIN_WINS:
        return None
    winners = winners.sampled(seed)
    return fit_hazard(winners, choose_penalty(winners, seed))


def choose_penalty(winners: Winners, seed: int) -> float | None:
    """The penalty with the smallest loss on later folds; None if its gain over no weights is in doubt."""
    splits = _find_folds(winners.examples, seed)
    if not splits:
        return None
    pairs = [(winners.take(split.train), winners.take(split.test)) for split in splits]
    weights = fold_weights(len(pairs), ordered=splits[0].cutoff is not None)
    losses = {
        penalty: [bin_losses(fit_hazard(older, penalty), later) for older, later in pairs]
        for penalty in (None, *PENALTIES)
    }
    means = {p: _mean_loss(fold_losses, pairs, weights) for p, fold_losses in losses.items()}
    best = min(means, key=lambda penalty: means[penalty])
    gains = [base - loss for base, loss in zip(losses[None], losses[best], strict=True)]
    errors = [_error(gain, later) for gain, (_, later) in zip(gains, pairs, strict=True)]
    error = float(np.sqrt(weights**2 @ np.square(errors)))
    return best if means[None] - means[best] > _MIN_ERRORS * error else None


def fit_hazard(winners: Winners, penalty: float | None) -> TimeToWin:
    """The bins of some winners with their hazards, and weights of the columns under a ridge penalty."""
    edges = find_edges(winners.days, winners.weight)
    unweighted = TimeToWin(edges, np.zeros(len(edges) - 2), None)
    bins = unweighted.find_bins(winners.days)
    baseline = _fit_baseline(bins, winners.weight, len(edges) - 2)
    if penalty is None or not len(baseline):
        return TimeToWin(edges, baseline, None)
    design = Design.from_matrix(winners.matrix)
    baseline, weights = _fit_weights(design.columns, bins, winners.weight, baseline, penalty)
    width = len(design.scaling.mean)
    return TimeToWin(edges, baseline, LinearPart(design.scaling, 0.0, weights[:width], weights[width:]))


def find_edges(days: Floats, weight: Floats) -> Floats:
    """The edges of at most `_MAX_BINS` bins from 0 to the longest time, each with as many won leads."""
    count = int(np.clip(weight.sum() // _WINS_A_BIN, 1, _MAX_BINS))
    shares = np.arange(1, count) / count
    inner = np.quantile(days, shares, weights=weight, method="inverted_cdf")
    return np.unique(np.concatenate([[0.0], inner, [days.max()]]))


def bin_losses(fitted: TimeToWin, later: Winners) -> Floats:
    """(rows,) minus the logarithm of the probability of the bin in which each later lead was won."""
    log_odds = np.zeros(len(later.days)) if fitted.linear is None else fitted.linear.log_odds(later.matrix)
    rows, bins = np.arange(len(later.days)), fitted.find_bins(later.days)
    shares = fitted.won_by(log_odds)
    return np.asarray(-np.log(np.maximum(shares[rows, bins + 1] - shares[rows, bins], 1e-12)))


def _find_folds(examples: Examples, seed: int) -> list[Split]:
    """Rolling-origin folds with enough won leads on both sides; random ones if there are less than two."""
    for split_up in (split_rolling, random_folds):
        folds = [split for split in split_up(examples, _FOLDS, seed) if _is_large(examples, split)]
        if len(folds) > 1:
            return folds
    return []


def _is_large(examples: Examples, split: Split) -> bool:
    older, later = (examples.take(rows).won_leads for rows in (split.train, split.test))
    return older >= MIN_WINS and later >= MIN_WINS // 2


def _mean_loss(
    losses: Sequence[Floats], pairs: Sequence[tuple[Winners, Winners]], fold_share: Floats
) -> float:
    means = [np.average(loss, weights=later.weight) for loss, (_, later) in zip(losses, pairs, strict=True)]
    return float(fold_share @ means)


def _error(gain: Floats, later: Winners) -> float:
    """The standard error of the mean gain of won leads."""
    deviation = later.weight * (gain - np.average(gain, weights=later.weight)) / later.weight.mean()
    return standard_error(deviation, later.examples.group)


def _fit_baseline(bins: NDArray[np.intp], weight: Floats, count: int) -> Floats:
    """The log-odds of a win in each of `count` bins, of those still to be won when it begins."""
    won = np.bincount(bins, weight, minlength=count + 1)
    longer = won[::-1].cumsum()[::-1] - won
    return np.asarray(np.log(won[:count] / longer[:count]))


def _fit_weights(
    columns: Floats, bins: NDArray[np.intp], weight: Floats, start: Floats, penalty: float
) -> tuple[Floats, Floats]:
    """The baseline and the weights of the columns with the least loss of all bins plus the ridge penalty."""
    count = len(start)
    at_risk = weight[:, None] * (np.arange(count) <= bins[:, None])
    won = np.arange(count) == bins[:, None]

    def loss(values: Floats) -> tuple[float, Floats]:
        weights = values[count:]
        log_odds = values[:count] + (columns @ weights)[:, None]
        value = float((at_risk * (np.logaddexp(0.0, log_odds) - won * log_odds)).sum())
        excess = at_risk * (expit(log_odds) - won)
        slope = [excess.sum(axis=0), columns.T @ excess.sum(axis=1) + penalty * weights]
        return value + penalty / 2 * float(weights @ weights), np.concatenate(slope)

    first = np.concatenate([start, np.zeros(columns.shape[1])])
    fitted = minimize(loss, first, jac=True, method="L-BFGS-B").x
    return fitted[:count], fitted[count:]
