"""Metrics of scores, each with a bootstrap interval.

A metric is a function of outcomes, probabilities and amounts, sorted by falling probability, and of
weights. The bootstrap draws whole groups (leads or accounts) as weights: Efron, "Bootstrap methods",
Annals of Statistics 7 (1979).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats

SHARES = (0.05, 0.10, 0.20)
"""The top shares of the list for which win rate, lift and won amount are computed."""

BANDS = 10
_TINY = 1e-12


@dataclass(frozen=True)
class Ranked:
    """Leads with outcomes, sorted by falling probability, each with a weight."""

    won: Floats
    probability: Floats
    amount: Floats
    weight: Floats

    def weighted(self, weight: Floats) -> Ranked:
        """The same leads with other weights; arrays that do not depend on weights are shared."""
        result = replace(self, weight=weight)
        for name in ("losses", "squares", "runs", "won_amount"):
            result.__dict__[name] = getattr(self, name)
        return result

    @cached_property
    def total(self) -> float:
        return float(self.weight.sum())

    @cached_property
    def wins(self) -> float:
        return float(self.weight @ self.won)

    @cached_property
    def before(self) -> Floats:
        """The total weight above each lead."""
        return np.asarray(np.cumsum(self.weight) - self.weight)

    @cached_property
    def losses(self) -> Floats:
        """-log(probability of the actual outcome) of each lead."""
        p = np.clip(self.probability, _TINY, 1 - _TINY)
        return np.asarray(-np.log(np.where(self.won > 0, p, 1 - p)))

    @cached_property
    def squares(self) -> Floats:
        return np.asarray((self.probability - self.won) ** 2)

    @cached_property
    def won_amount(self) -> Floats:
        return np.asarray(np.nan_to_num(self.amount) * self.won)

    @cached_property
    def runs(self) -> NDArray[np.intp]:
        """The first row of each run of equal probabilities."""
        changes = self.probability[1:] != self.probability[:-1]
        return np.flatnonzero(np.concatenate([[True], changes]))

    @cached_property
    def by_run(self) -> tuple[Floats, Floats]:
        """The weight of the won and of all leads in each run."""
        won = np.add.reduceat(self.weight * self.won, self.runs)
        return np.asarray(won), np.asarray(np.add.reduceat(self.weight, self.runs))

    @cached_property
    def amount_by_run(self) -> Floats:
        """The won amount of each run."""
        return np.asarray(np.add.reduceat(self.weight * self.won_amount, self.runs))

    @cached_property
    def taken_of_runs(self) -> dict[float, Floats]:
        """The share of each run among the first leads, by their volume, as far as it was computed."""
        return {}


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % bootstrap interval; nan if it is undefined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


Measure: TypeAlias = Callable[[Ranked], float]


def log_loss(ranking: Ranked) -> float:
    """Mean of -log(probability of the actual outcome)."""
    return float(ranking.weight @ ranking.losses / ranking.total)


def brier(ranking: Ranked) -> float:
    """Mean squared difference of probability and outcome (Brier 1950)."""
    return float(ranking.weight @ ranking.squares / ranking.total)


def roc_auc(ranking: Ranked) -> float:
    """The probability that a won lead ranks above another lead, ties counted half."""
    wins, all_ = ranking.by_run
    losses = all_ - wins
    pairs = wins.sum() * losses.sum()
    return float(losses @ (np.cumsum(wins) - wins / 2) / pairs) if pairs else float("nan")


def average_precision(ranking: Ranked) -> float:
    """The area under precision over recall, in steps."""
    wins, all_ = ranking.by_run
    if not wins.sum():
        return float("nan")
    precision = np.cumsum(wins) / np.maximum(np.cumsum(all_), _TINY)
    return float(precision @ wins / wins.sum())


def at_share(measure_first: Callable[[Ranked, float], float], share: float) -> Measure:
    """A measure of the first leads, taken at the top `share` of the list."""
    return lambda ranking: measure_first(ranking, share * ranking.total)


def win_rate_of(ranking: Ranked, volume: float) -> float:
    """The win rate of the first `volume` leads; leads that tie at the end count in part."""
    return _share(float(_fraction_taken(ranking, volume) @ ranking.by_run[0]), volume)


def lift_of(ranking: Ranked, volume: float) -> float:
    """The win rate of the first `volume` leads over that of all."""
    return _share(win_rate_of(ranking, volume) * ranking.total, ranking.wins)


def amount_of(ranking: Ranked, volume: float) -> float:
    """The share of the won amount that the first `volume` leads bring."""
    if not volume:
        return float("nan")
    amounts = ranking.amount_by_run
    return _share(float(_fraction_taken(ranking, volume) @ amounts), float(amounts.sum()))


def calibration_error(ranking: Ranked) -> float:
    """Mean absolute difference of probability and win rate over ten bands of equal count."""
    middle = (ranking.before + ranking.weight / 2) / ranking.total
    band = np.minimum(middle * BANDS, BANDS - 1).astype(np.int64)
    weight = np.bincount(band, ranking.weight, BANDS)
    predicted = np.bincount(band, ranking.weight * ranking.probability, BANDS)
    won = np.bincount(band, ranking.weight * ranking.won, BANDS)
    return float(np.abs(predicted - won).sum() / weight.sum())


@dataclass(frozen=True)
class Band:
    """Leads of similar probability: their number, won ones, mean probability and win rate."""

    count: int
    won: int
    predicted: float
    observed: float

    @property
    def error(self) -> float:
        """Half the width of the 95 % interval of `observed` (normal approximation)."""
        return 1.96 * float(np.sqrt(self.observed * (1 - self.observed) / self.count))


def calibration_bands(won: Bools, probability: Floats) -> list[Band]:
    """Ten bands of equal count by rising probability: the calibration curve."""
    bands = np.array_split(np.argsort(probability, kind="stable"), BANDS)
    return [
        Band(len(b), int(won[b].sum()), float(probability[b].mean()), float(won[b].mean()))
        for b in bands
        if len(b)
    ]


MEASURES: dict[str, Measure] = {
    "log_loss": log_loss,
    "brier": brier,
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    **{f"lift_top_{share:.0%}".rstrip("%"): at_share(lift_of, share) for share in SHARES},
    **{f"win_rate_top_{share:.0%}".rstrip("%"): at_share(win_rate_of, share) for share in SHARES},
    **{f"won_amount_top_{share:.0%}".rstrip("%"): at_share(amount_of, share) for share in SHARES},
    "calibration_error": calibration_error,
}


def rank_leads(won: Bools, probability: Floats, amount: Floats, weight: Floats | None = None) -> Ranked:
    """Leads sorted by falling probability; ties keep their order."""
    order = np.argsort(-probability, kind="stable")
    weights = np.ones(len(won)) if weight is None else weight
    return Ranked(won[order].astype(np.float64), probability[order], amount[order], weights[order])


def measure(
    won: Bools,
    probability: Floats,
    amount: Floats,
    group: NDArray[np.integer],
    draws: int = 200,
    seed: int = 0,
    measures: Mapping[str, Measure] = MEASURES,
) -> dict[str, Estimate]:
    """Every metric of `measures` with its interval from `draws` bootstrap samples of whole groups."""
    ranking, order = rank_leads(won, probability, amount), np.argsort(-probability, kind="stable")
    drawn: dict[str, list[float]] = {name: [] for name in measures}
    for weight in group_draws(group, draws, seed):
        sample = ranking.weighted(weight[order])
        for name, figure in measures.items():
            drawn[name].append(figure(sample))
    return {name: with_interval(figure(ranking), drawn[name]) for name, figure in measures.items()}


def estimate(
    metric: Measure, won: Bools, probability: Floats, amount: Floats, group: NDArray[np.integer], draws: int
) -> Estimate:
    """One metric with its interval, as `measure` computes them."""
    ranking, order = rank_leads(won, probability, amount), np.argsort(-probability, kind="stable")
    drawn = [metric(ranking.weighted(weight[order])) for weight in group_draws(group, draws, 0)]
    return with_interval(metric(ranking), drawn)


def log_losses(won: Bools, log_odds: Floats) -> Floats:
    """-log(probability of the actual outcome) of each lead."""
    return np.asarray(np.logaddexp(0.0, log_odds) - won * log_odds)


def group_draws(group: NDArray[np.integer], draws: int, seed: int) -> Iterator[Floats]:
    """Bootstrap samples of whole groups: the number of times each row is drawn."""
    of_group = np.unique(group, return_inverse=True)[1]
    rng, groups = np.random.default_rng(seed), int(of_group.max()) + 1 if len(of_group) else 0
    for _ in range(draws):
        times = np.bincount(rng.integers(0, groups, groups), minlength=groups)
        yield times[of_group].astype(np.float64)


def estimates_to_dict(figures: dict[str, Estimate]) -> dict[str, dict[str, float | None]]:
    """The estimates in plain JSON types; nan becomes None."""
    return {
        name: {k: None if v != v else v for k, v in asdict(figure).items()}
        for name, figure in figures.items()
    }


def with_interval(value: float, drawn: Sequence[float] | Floats) -> Estimate:
    """A value with the 95 % interval of its draws; undefined draws (nan) do not count."""
    valid = np.array(drawn)[~np.isnan(drawn)]
    low, high = np.quantile(valid, [0.025, 0.975]) if len(valid) else (np.nan, np.nan)
    return Estimate(value, float(low), float(high))


def _fraction_taken(ranking: Ranked, volume: float) -> Floats:
    """The share of each run of ties that is among the first `volume` leads."""
    if volume not in ranking.taken_of_runs:
        _, all_ = ranking.by_run
        above = np.cumsum(all_) - all_
        ranking.taken_of_runs[volume] = np.clip((volume - above) / np.maximum(all_, _TINY), 0.0, 1.0)
    return ranking.taken_of_runs[volume]


def _share(part: float, total: float) -> float:
    return part / total if total else float("nan")
