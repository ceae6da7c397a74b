"""Paired differences: two rankings of the same leads with outcomes, compared with paired intervals.

The sides are model and rules, a new and an old card, or challenger and champion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats
from scoring.statistics.metrics import (
    Estimate,
    Ranked,
    amount_of,
    average_precision,
    group_draws,
    lift_of,
    log_losses,
    rank_leads,
    roc_auc,
    win_rate_of,
    with_interval,
)

DRAWS, DRAWS_MANY, MANY = 200, 60, 100_000
USUAL_SHARE = 0.1
"""The share of leads that is called if the side that sets the volume has no hot lead."""

MEASURED = ("roc_auc", "average_precision", "win_rate", "lift", "won_amount")
AT_VOLUME = ("win_rate", "lift", "won_amount")


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of two sides, and `new` less `old` with its paired 95 % interval."""

    new: Estimate
    old: Estimate
    difference: Estimate

    @property
    def better(self) -> Literal["new", "old", "open"]:
        """The side that is significantly higher; open if the interval contains 0, or is undefined."""
        return "new" if self.difference.low > 0 else "old" if self.difference.high < 0 else "open"


@dataclass(frozen=True)
class LabeledLeads:
    """Outcomes of leads; rows of one `group` are drawn together by the bootstrap."""

    won: Bools
    amount: Floats
    group: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.won)

    def take(self, rows: Bools) -> LabeledLeads:
        """Some of them."""
        return LabeledLeads(self.won[rows], self.amount[rows], self.group[rows])

    @property
    def draws(self) -> int:
        return DRAWS if len(self) < MANY else DRAWS_MANY


Measures: TypeAlias = dict[str, float]


def count_calls(called: Bools) -> int:
    """The number of leads that both sides call: those in `called`, or the usual share if that is empty."""
    return int(called.sum()) or round(USUAL_SHARE * len(called))


def differences(
    judged: LabeledLeads, new: Floats, old: Floats, called: Bools, draws: int | None = None, seed: int = 0
) -> Mapping[str, Difference]:
    """Both rankings (higher is better) by every metric of `MEASURED`.

    Those of `AT_VOLUME` are taken at equal volume: both sides call as many leads as are in `called`, in
    each draw as many as are drawn of them. Ties at the end of the volume count in part.
    """
    sides = [_Side.from_rank(judged, rank) for rank in (new, old)]
    calls = called.astype(np.float64) if called.any() else np.full(len(judged), USUAL_SHARE)
    ones = np.ones(len(judged))
    point = [side.measure(ones, calls) for side in sides]
    drawn: list[list[Measures]] = [[], []]
    for weight in group_draws(judged.group, judged.draws if draws is None else draws, seed):
        for side, measures in zip(sides, drawn, strict=True):
            measures.append(side.measure(weight, calls))
    return {name: _difference(name, point, drawn) for name in MEASURED}


def log_loss_gain(judged: LabeledLeads, new: Floats, old: Floats) -> Estimate:
    """The log loss of `old` log-odds less that of `new`, with its interval."""
    gain = log_losses(judged.won, old) - log_losses(judged.won, new)
    drawn = [float(w @ gain / w.sum()) for w in group_draws(judged.group, judged.draws, 0)]
    return with_interval(float(gain.mean()), drawn)


@dataclass(frozen=True)
class _Side:
    ranking: Ranked
    order: NDArray[np.intp]

    @staticmethod
    def from_rank(judged: LabeledLeads, rank: Floats) -> _Side:
        order = np.argsort(-rank, kind="stable")
        return _Side(rank_leads(judged.won, rank, judged.amount), order)

    def measure(self, weight: Floats, calls: Floats) -> Measures:
        ranking = self.ranking.weighted(weight[self.order])
        values = {"roc_auc": roc_auc(ranking), "average_precision": average_precision(ranking)}
        return values | _measure_at_volume(ranking, float(weight @ calls))


def _measure_at_volume(ranking: Ranked, volume: float) -> Measures:
    """Win rate, lift and share of the won amount of the first `volume` leads."""
    values = (win_rate_of(ranking, volume), lift_of(ranking, volume), amount_of(ranking, volume))
    return dict(zip(AT_VOLUME, values, strict=True))


def _difference(name: str, point: list[Measures], drawn: list[list[Measures]]) -> Difference:
    new, old = ([measures[name] for measures in side] for side in drawn)
    return Difference(
        with_interval(point[0][name], new),
        with_interval(point[1][name], old),
        with_interval(point[0][name] - point[1][name], [a - b for a, b in zip(new, old, strict=True)]),
    )
