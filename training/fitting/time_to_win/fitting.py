"""Fitting the time to win: bins, their hazards, and what later winners confirm of weights and levels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from features.columns import Floats
from features.moments import MIN_WINS
from scoring.model.encoding import Encoding
from scoring.model.linear import LinearPart
from scoring.model.time_to_win import QUANTILES, TimeToWin
from training.fitting.blending import fold_weights, standard_error
from training.fitting.dataset import Dataset
from training.fitting.parts.line import Design
from training.fitting.splits import random_folds, split_rolling
from training.fitting.time_to_win.winners import Winners
from training.side_by_side import compute_side_by_side

PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0)
"""Ridge penalties of the weights that are tried, beside no weights at all. One won lead counts 1."""

_FOLDS, _PRIOR_LEADS = 4, 100.0
_MAX_BINS, _LEADS_A_BIN = 12, 8


@dataclass(frozen=True)
class TimeFolds:
    """Older and later winners of some splits, and the `share` of each split, which add up to 1."""

    pairs: list[tuple[Winners, Winners]]
    share: Floats

    @staticmethod
    def split(winners: Winners, seed: int) -> TimeFolds:
        """Rolling-origin folds with enough won leads on both sides; random ones if these are too few."""
        for split_up in (split_rolling, random_folds):
            splits = split_up(winners.examples, _FOLDS, seed)
            pairs = [(winners.take(split.train), winners.take(split.test)) for split in splits]
            large = [pair for pair in pairs if pair[0].leads >= MIN_WINS and pair[1].leads >= MIN_WINS // 2]
            if len(large) > 1:
                return TimeFolds(large, fold_weights(len(large), ordered=split_up is split_rolling))
        return TimeFolds([], np.empty(0))


def fit_time_to_win(data: Dataset, encoding: Encoding, seed: int) -> TimeToWin | None:
    """The time to win, learnt from the won examples of `data`; None without dates or with few won leads."""
    winners = Winners.from_dataset(data, encoding)
    if winners.leads < MIN_WINS:
        return None
    winners = winners.sampled(seed)
    folds = TimeFolds.split(winners, seed)
    penalty = choose_penalty(folds)
    return replace(fit_hazard(winners, penalty), levels=find_levels(folds, penalty))


def choose_penalty(folds: TimeFolds) -> float | None:
    """The penalty with the largest gain over no weights on later winners, less its standard error; None if
    that is below 0, or without folds."""
    sure_gains: dict[float | None, float] = {None: 0.0}
    trials = [(older, later, penalty) for penalty in PENALTIES for older, later in folds.pairs]
    all_gains = iter(compute_side_by_side(lambda trial: _gain(*trial), trials))
    for penalty in PENALTIES if folds.pairs else ():
        gains = [next(all_gains) for _ in folds.pairs]
        errors = [standard_error(g, later.group) for g, (_, later) in zip(gains, folds.pairs, strict=True)]
        error = np.sqrt(folds.share**2 @ np.square(errors))
        sure_gains[penalty] = float(folds.share @ [gain.mean() for gain in gains] - error)
    return max(sure_gains, key=lambda penalty: sure_gains[penalty])


def find_levels(folds: TimeFolds, penalty: float | None) -> Floats:
    """The levels at which the predicted times cover the `QUANTILES` of later winners.

    They are those that did so on the folds (Kuleshov et al., "Accurate uncertainties for deep learning using
    calibrated regression", 2018), drawn to the quantiles as far as the folds hold few won leads.
    """
    usual = np.array(QUANTILES)
    if not folds.pairs:
        return usual
    passed = [share_passed(fit_hazard(older, penalty), later) for older, later in folds.pairs]
    weights = [np.full(len(p), share / len(p)) for p, share in zip(passed, folds.share, strict=True)]
    observed = np.quantile(
        np.concatenate(passed), usual, weights=np.concatenate(weights), method="inverted_cdf"
    )
    leads = 1 / float(folds.share**2 @ [1 / later.leads for _, later in folds.pairs])
    return np.asarray((leads * observed + _PRIOR_LEADS * usual) / (leads + _PRIOR_LEADS))


def fit_hazard(winners: Winners, penalty: float | None) -> TimeToWin:
    """The bins of some winners with their hazards, and weights of the columns under a ridge penalty."""
    edges = find_edges(winners)
    bins = TimeToWin(edges, np.zeros(len(edges) - 2), None).find_bins(winners.days)
    baseline = _fit_baseline(bins, len(edges) - 2)
    if penalty is None or not len(baseline):
        return TimeToWin(edges, baseline, None)
    design = Design.from_matrix(winners.matrix)
    # examples of one lead tell little more than one of them
    baseline, weights = _fit_weights(design.columns, bins, baseline, penalty * len(winners) / winners.leads)
    width = len(design.scaling.mean)
    return TimeToWin(edges, baseline, LinearPart(design.scaling, 0.0, weights[:width], weights[width:]))


def find_edges(winners: Winners) -> Floats:
    """The edges of at most `_MAX_BINS` bins from 0 to the longest time, each with as many wins."""
    count = int(np.clip(winners.leads // _LEADS_A_BIN, 1, _MAX_BINS))
    inner = np.quantile(winners.days, np.arange(1, count) / count, method="inverted_cdf")
    return np.unique(np.concatenate([[0.0], inner, [winners.days.max()]]))


def bin_losses(fitted: TimeToWin, later: Winners) -> Floats:
    """(rows,) minus the logarithm of the probability of the bin in which each later lead was won."""
    low, high = _shares_around(fitted, later)
    return np.asarray(-np.log(np.maximum(high - low, 1e-12)))


def share_passed(fitted: TimeToWin, later: Winners) -> Floats:
    """(rows,) the share of such leads that was predicted to be won by the day each later lead was won."""
    low, high = _shares_around(fitted, later)
    bins = fitted.find_bins(later.days)
    start, end = fitted.edges[bins], fitted.edges[bins + 1]
    return np.asarray(low + (high - low) * np.minimum((later.days - start) / (end - start), 1.0))


def _gain(older: Winners, later: Winners, penalty: float) -> Floats:
    """(rows,) by how much weights lower the loss of each later winner."""
    return bin_losses(fit_hazard(older, None), later) - bin_losses(fit_hazard(older, penalty), later)


def _shares_around(fitted: TimeToWin, later: Winners) -> tuple[Floats, Floats]:
    """The shares predicted to be won by both edges of the bin in which each later lead was won."""
    log_odds = np.zeros(len(later)) if fitted.linear is None else fitted.linear.log_odds(later.matrix)
    shares, bins = fitted.won_by(log_odds), fitted.find_bins(later.days)
    rows = np.arange(len(later))
    return shares[rows, bins], shares[rows, bins + 1]


def _fit_baseline(bins: NDArray[np.intp], count: int) -> Floats:
    """The log-odds of a win in each of `count` bins, of those still to be won when it begins."""
    won = np.bincount(bins, minlength=count + 1)
    longer = won[::-1].cumsum()[::-1] - won
    return np.asarray(np.log(won[:count] / longer[:count]))


def _fit_weights(
    columns: Floats, bins: NDArray[np.intp], start: Floats, penalty: float
) -> tuple[Floats, Floats]:
    """The baseline and the weights of the columns with the least loss of all bins plus the ridge penalty."""
    count = len(start)
    at_risk = np.arange(count) <= bins[:, None]
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
