"""How good scores are: each figure for the leads as they are, and with a bootstrap interval.

A figure is a function of won leads, probabilities and amounts, all sorted by falling probability,
and of weights. The bootstrap draws whole groups (leads, or accounts), as weights: Efron, "Bootstrap
methods", Annals of Statistics 7 (1979).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats

SHARES = (0.05, 0.10, 0.20)
"""The top shares of the list for which win rate, lift and won amount are told."""

BANDS = 10
_TINY = 1e-12


@dataclass(frozen=True)
class Ranked:
    """Judged leads from the likeliest to the least likely, each with a weight."""

    won: Floats
    probability: Floats
    amount: Floats
    weight: Floats

    @property
    def total(self) -> float:
        return float(self.weight.sum())

    @property
    def wins(self) -> float:
        return float((self.weight * self.won).sum())


@dataclass(frozen=True)
class Figure:
    """A value with the 95 % interval of its bootstrap; nan where it cannot be told."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


Measure: TypeAlias = Callable[[Ranked], float]


def log_loss(at: Ranked) -> float:
    """Mean of -log(probability given to what happened)."""
    p = np.clip(at.probability, _TINY, 1 - _TINY)
    loss = -(at.won * np.log(p) + (1 - at.won) * np.log1p(-p))
    return float((at.weight * loss).sum() / at.total)


def brier(at: Ranked) -> float:
    """Mean squared distance of probability and outcome (Brier 1950)."""
    return float((at.weight * (at.probability - at.won) ** 2).sum() / at.total)


def roc_auc(at: Ranked) -> float:
    """The chance that a won lead stands above another, ties counted half."""
    wins, losses = _by_score(at, at.won), _by_score(at, 1 - at.won)
    above = np.cumsum(wins) - wins / 2
    pairs = wins.sum() * losses.sum()
    return float((losses * above).sum() / pairs) if pairs else float("nan")


def average_precision(at: Ranked) -> float:
    """The area under precision over recall, in steps."""
    wins, all_ = _by_score(at, at.won), _by_score(at, np.ones_like(at.won))
    if not wins.sum():
        return float("nan")
    precision = np.cumsum(wins) / np.maximum(np.cumsum(all_), _TINY)
    return float((precision * wins).sum() / wins.sum())


def win_rate_at(share: float) -> Measure:
    """The win rate in the top `share` of the list."""

    def win_rate(at: Ranked) -> float:
        taken = _top(at, share)
        return float((taken * at.won).sum() / taken.sum())

    return win_rate


def lift_at(share: float) -> Measure:
    """The win rate in the top `share` over the win rate of all."""
    win_rate = win_rate_at(share)
    return lambda at: win_rate(at) * at.total / at.wins if at.wins else float("nan")


def amount_at(share: float) -> Measure:
    """The share of the won amount that lies in the top `share`."""

    def caught(at: Ranked) -> float:
        won_amount = np.nan_to_num(at.amount) * at.won
        all_of_it = (at.weight * won_amount).sum()
        return (
            float((_top(at, share) * won_amount).sum() / all_of_it) if all_of_it else float("nan")
        )

    return caught


def calibration_error(at: Ranked) -> float:
    """Mean distance of probability and win rate over ten bands of equal count."""
    band = np.minimum((np.cumsum(at.weight) - at.weight / 2) / at.total * BANDS, BANDS - 1e-9)
    where = band.astype(np.int64)
    weight = np.bincount(where, at.weight, BANDS)
    told = np.bincount(where, at.weight * at.probability, BANDS)
    won = np.bincount(where, at.weight * at.won, BANDS)
    return float(np.abs(told - won).sum() / weight.sum())


MEASURES: dict[str, Measure] = {
    "log_loss": log_loss,
    "brier": brier,
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    **{f"lift_top_{share:.0%}".rstrip("%"): lift_at(share) for share in SHARES},
    **{f"win_rate_top_{share:.0%}".rstrip("%"): win_rate_at(share) for share in SHARES},
    **{f"won_amount_top_{share:.0%}".rstrip("%"): amount_at(share) for share in SHARES},
    "calibration_error": calibration_error,
}


def ranked(won: Bools, probability: Floats, amount: Floats, weight: Floats | None = None) -> Ranked:
    """Leads from the likeliest to the least likely; equal ones in the order given."""
    order = np.argsort(-probability, kind="stable")
    weights = np.ones(len(won)) if weight is None else weight
    return Ranked(won[order].astype(np.float64), probability[order], amount[order], weights[order])


def measure(
    won: Bools, probability: Floats, amount: Floats, group: NDArray[np.integer],
    draws: int = 200, seed: int = 0,
) -> dict[str, Figure]:  # fmt: skip
    """Every figure with its interval from `draws` bootstrap samples of whole groups."""
    at = ranked(won, probability, amount)
    of_group = np.unique(group, return_inverse=True)[1][np.argsort(-probability, kind="stable")]
    drawn: dict[str, list[float]] = {name: [] for name in MEASURES}
    rng = np.random.default_rng(seed)
    groups = int(of_group.max()) + 1 if len(of_group) else 0
    for _ in range(draws):
        times = np.bincount(rng.integers(0, groups, groups), minlength=groups)
        sample = Ranked(at.won, at.probability, at.amount, times[of_group].astype(np.float64))
        for name, figure in MEASURES.items():
            drawn[name].append(figure(sample))
    return {name: _figure(figure(at), drawn[name]) for name, figure in MEASURES.items()}


def plain(figures: dict[str, Figure]) -> dict[str, dict[str, float | None]]:
    """As JSON can hold it; nan becomes None."""
    return {
        name: {k: None if v != v else v for k, v in asdict(figure).items()}
        for name, figure in figures.items()
    }


def _figure(value: float, drawn: list[float]) -> Figure:
    told = np.array(drawn)[~np.isnan(drawn)]
    low, high = np.quantile(told, [0.025, 0.975]) if len(told) else (np.nan, np.nan)
    return Figure(value, float(low), float(high))


def _by_score(at: Ranked, what: Floats) -> Floats:
    """Sums of `what` over each run of equal probabilities."""
    starts = np.flatnonzero(np.r_[True, at.probability[1:] != at.probability[:-1]])
    return np.asarray(np.add.reduceat(at.weight * what, starts), dtype=np.float64)


def _top(at: Ranked, share: float) -> Floats:
    """The weights of the leads in the top share; the last one may count in part."""
    before = np.cumsum(at.weight) - at.weight
    return np.clip(share * at.total - before, 0, at.weight)
