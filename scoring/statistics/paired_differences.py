"""Two rankings of the same judged leads, measured against each other with paired intervals.

Used wherever two sides meet: model and rules, an old card and a new one, challenger and champion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats
from scoring.statistics.metrics import (
    Figure,
    Ranked,
    amount_of,
    average_precision,
    group_draws,
    lift_of,
    log_losses,
    ranked,
    roc_auc,
    win_rate_of,
    with_interval,
)

DRAWS, DRAWS_MANY, MANY = 200, 60, 100_000
USUAL_SHARE = 0.1
"""The share that is called where the side that sets the volume calls nobody hot."""

MEASURED = ("roc_auc", "average_precision", "win_rate", "lift", "won_amount")
AT_VOLUME = ("win_rate", "lift", "won_amount")


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of two sides, and `new` less `old` with its paired 95 % interval."""

    new: Figure
    old: Figure
    difference: Figure

    @property
    def better(self) -> Literal["new", "old", "open"]:
        """Which side is higher beyond doubt; open where the interval holds 0, or nothing is known."""
        return "new" if self.difference.low > 0 else "old" if self.difference.high < 0 else "open"


@dataclass(frozen=True)
class Judged:
    """What became of judged leads: `group` holds the rows that the bootstrap draws together."""

    won: Bools
    amount: Floats
    group: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.won)

    def take(self, rows: Bools) -> Judged:
        """Some of them."""
        return Judged(self.won[rows], self.amount[rows], self.group[rows])

    @property
    def draws(self) -> int:
        return DRAWS if len(self) < MANY else DRAWS_MANY


Measures: TypeAlias = dict[str, float]


def volume(called: Bools) -> int:
    """How many leads both sides call: as many as `called` says, the usual share where that is nobody."""
    return int(called.sum()) or round(USUAL_SHARE * len(called))


def differences(
    judged: Judged,
    new: Floats,
    old: Floats,
    called: Bools,
    draws: int | None = None,
    seed: int = 0,
) -> Mapping[str, Difference]:
    """Both rankings (higher is better) by every figure of `MEASURED`.

    Those of `AT_VOLUME` are taken at equal volume: both sides call as many leads as `called` says; in
    each draw, as many of the drawn ones. Of equal ranks that the volume cuts, each counts in part.
    """
    sides = [_Side.of(judged, rank) for rank in (new, old)]
    calls = called.astype(np.float64) if called.any() else np.full(len(judged), USUAL_SHARE)
    ones = np.ones(len(judged))
    point = [side.measured(ones, calls) for side in sides]
    drawn: list[list[Measures]] = [[], []]
    for weight in group_draws(judged.group, judged.draws if draws is None else draws, seed):
        for side, told in zip(sides, drawn, strict=True):
            told.append(side.measured(weight, calls))
    return {name: _difference(name, point, drawn) for name in MEASURED}


def log_loss_gain(judged: Judged, new: Floats, old: Floats) -> Figure:
    """How much lower the log loss of `new` log-odds is than that of `old`, with its interval."""
    gain = log_losses(judged.won, old) - log_losses(judged.won, new)
    drawn = [float(w @ gain / w.sum()) for w in group_draws(judged.group, judged.draws, 0)]
    return with_interval(float(gain.mean()), drawn)


@dataclass(frozen=True)
class _Side:
    at: Ranked
    order: NDArray[np.intp]

    @staticmethod
    def of(judged: Judged, rank: Floats) -> _Side:
        order = np.argsort(-rank, kind="stable")
        return _Side(ranked(judged.won, rank, judged.amount), order)

    def measured(self, weight: Floats, calls: Floats) -> Measures:
        at = self.at.weighted(weight[self.order])
        told = {"roc_auc": roc_auc(at), "average_precision": average_precision(at)}
        return told | _at_volume(at, float(weight @ calls))


def _at_volume(at: Ranked, volume: float) -> Measures:
    """Win rate, lift and share of the won amount of the first `volume` leads."""
    told = (win_rate_of(at, volume), lift_of(at, volume), amount_of(at, volume))
    return dict(zip(AT_VOLUME, told, strict=True))


def _difference(name: str, point: list[Measures], drawn: list[list[Measures]]) -> Difference:
    new, old = ([told[name] for told in side] for side in drawn)
    return Difference(
        with_interval(point[0][name], new),
        with_interval(point[1][name], old),
        with_interval(point[0][name] - point[1][name], [a - b for a, b in zip(new, old, strict=True)]),
    )
