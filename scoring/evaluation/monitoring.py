"""How good what was really served has been, and what should be done about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.clock import days_to_ms
from features.columns import Bools, Floats, Ints
from features.moments import MIN_WINS
from scoring.evaluation.gate import CALIBRATION_BAR, calibration_by_chance
from scoring.statistics.drift import MAJOR_SHIFT, MINOR_SHIFT, Shift
from scoring.statistics.metrics import (
    Estimate,
    Measure,
    calibration_error,
    group_draws,
    log_loss,
    rank_leads,
    win_rate_at,
    with_interval,
)
from scoring.statistics.paired_differences import Difference, LabeledLeads, count_calls, differences

Advice: TypeAlias = Literal["fine", "retrain", "look_at_this_feature", "the_world_moved", "too_little_known"]
QUIET: frozenset[Advice] = frozenset({"fine", "too_little_known"})
"""The advice that asks nobody to act."""
MIN_JUDGED = 200
"""With fewer judged leads of a version, or fewer than MIN_WINS won ones, nothing can be said of it: ten
bands of 20 are the least in which a win rate shows."""
THRESHOLDS: Mapping[str, float] = {
    "min_wins": MIN_WINS,
    "min_judged": MIN_JUDGED,
    "calibration": CALIBRATION_BAR,
    "little": MINOR_SHIFT,
    "much": MAJOR_SHIFT,
}
"""All that the advice turns on; where each comes from is said where it is defined, and on the page."""
_DRAWS, _MAX_LEADS = 100, 20_000


@dataclass(frozen=True)
class ServedPredictions:
    """The first live answer of a version on each of n leads, and what became of them.

    `probability` is nan where the rules alone answered, `points` what the rules ranked by, `card` the
    version of the rules' card. `rules_chance` is the probability of the scorecard as the version itself
    calibrated it (nan where that is not known: of another version than the one in use, beside another
    card). `won_at` and `closed_at` are the first win and the first close in ms UTC, NEVER where it did not
    happen.
    """

    version: str
    as_of: Ints
    probability: Floats
    points: Floats
    rules_hot: Bools
    won_at: Ints
    closed_at: Ints
    card: NDArray[np.object_]
    rules_chance: Floats

    def __len__(self) -> int:
        return len(self.as_of)

    def take(self, rows: Bools) -> ServedPredictions:
        """Some of the leads."""
        return ServedPredictions(
            self.version,
            self.as_of[rows],
            self.probability[rows],
            self.points[rows],
            self.rules_hot[rows],
            self.won_at[rows],
            self.closed_at[rows],
            self.card[rows],
            self.rules_chance[rows],
        )

    def label_outcomes(self, horizon_days: float, now: int) -> tuple[Bools, Bools]:
        """Which leads can be judged by now, and which of all are won: within the horizon of the answer.

        As in training a lead counts once its horizon has ended, whatever became of it before: taking in
        the early closes of younger answers would take in the quick deals and leave out the slow ones.
        Who was closed already when the answer was given does not count.
        """
        end = self.as_of + days_to_ms(horizon_days)
        is_judgeable = (end <= now) & (self.closed_at >= self.as_of)
        return is_judgeable, is_judgeable & (self.won_at <= end)


@dataclass(frozen=True)
class Performance:
    """How a version did on the leads that can be judged; the figures are None where these are too few, or
    the model did not answer.

    `card` is the one version of the rules' card that it was beside, None where all are taken together.
    The horizon of `waiting` leads has not ended yet. `told` is the mean probability, `came`
    the win rate with its interval. Probabilities are `off` where the `calibration` error is above
    `calibration_bar`; `rules_calibration` is the error of the calibrated scorecard. `volume` leads are
    called by the rules; `differences` is the model less the rules when both call so many.
    """

    version: str
    card: str | None
    leads: int
    waiting: int
    judged: int
    won: int
    told: float | None = None
    came: Estimate | None = None
    calibration: Estimate | None = None
    calibration_bar: float | None = None
    log_loss: Estimate | None = None
    volume: int | None = None
    differences: Mapping[str, Difference] | None = None
    rules_calibration: Estimate | None = None

    @property
    def has_enough_outcomes(self) -> bool:
        """Whether enough outcomes have come in."""
        return self.won >= MIN_WINS and self.judged >= MIN_JUDGED

    @property
    def is_miscalibrated(self) -> bool:
        """Whether the probabilities are further off than the bar."""
        return self.calibration is not None and self.calibration.value > (self.calibration_bar or 0)

    @property
    def is_worse(self) -> bool:
        """Whether the model's calls are won less often than those of the rules, beyond doubt."""
        return self.differences is not None and self.differences["win_rate"].better == "old"


def measure_performances(
    served: ServedPredictions, horizon_days: float, now: int, seed: int = 0
) -> Iterator[Performance]:
    """A version over all, then beside each card where there was more than one, the most leads first."""
    yield measure_performance(served, horizon_days, now, seed)
    cards, counts = np.unique(served.card.astype(str), return_counts=True)
    if len(cards) > 1:
        for card in cards[np.argsort(-counts, kind="stable")].tolist():
            result = measure_performance(served.take(served.card == card), horizon_days, now, seed)
            yield replace(result, card=card)


def measure_performance(
    served: ServedPredictions, horizon_days: float, now: int, seed: int = 0
) -> Performance:
    """The figures of a version, each with its bootstrap interval; of many leads a sample is drawn."""
    is_judgeable, won = served.label_outcomes(horizon_days, now)
    is_waiting = ~is_judgeable & (served.closed_at >= served.as_of)
    result = Performance(
        served.version, None, len(served), int(is_waiting.sum()), int(is_judgeable.sum()), int(won.sum())
    )
    rows = np.flatnonzero(is_judgeable & ~np.isnan(served.probability))
    if not result.has_enough_outcomes or len(rows) < MIN_JUDGED:
        return result
    if len(rows) > _MAX_LEADS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MAX_LEADS, replace=False))
    return _add_estimates(result, served, won, rows)


def _add_estimates(
    result: Performance, served: ServedPredictions, won: Bools, rows: NDArray[np.intp]
) -> Performance:
    labeled = LabeledLeads(won[rows], np.full(len(rows), np.nan), np.arange(len(rows)))
    chance, hot = served.probability[rows], served.rules_hot[rows]
    bar = max(CALIBRATION_BAR, calibration_by_chance(rank_leads(labeled.won, chance, labeled.amount)))
    return replace(
        result,
        told=float(chance.mean()),
        came=_estimate(win_rate_at(1.0), labeled, chance),
        calibration=_estimate(calibration_error, labeled, chance),
        calibration_bar=bar,
        log_loss=_estimate(log_loss, labeled, chance),
        volume=count_calls(hot),
        differences=differences(labeled, chance, served.points[rows], hot, _DRAWS),
        rules_calibration=_rules_calibration(labeled, served.rules_chance[rows]),
    )


def _rules_calibration(labeled: LabeledLeads, chance: Floats) -> Estimate | None:
    has_chance = ~np.isnan(chance)
    if has_chance.sum() < MIN_JUDGED:
        return None
    subset = LabeledLeads(
        labeled.won[has_chance], labeled.amount[has_chance], np.arange(int(has_chance.sum()))
    )
    return _estimate(calibration_error, subset, chance[has_chance])


def advise(entries: Sequence[Performance], present: str | None, shifts: Mapping[str, Shift]) -> Advice:
    """What to do, by the version in use (None: the rules alone) and how its features have shifted.

    The model is worse than the rules, or its probabilities are off while features have shifted (or nobody
    knows whether they have): retrain. Probabilities are off though the features are as they were: the
    world moved. A feature has shifted: look at it.
    """
    current, shifted = (
        current_performance(entries, present),
        any(shift.is_shifted for shift in shifts.values()),
    )
    if current is None or current.calibration is None:
        return "look_at_this_feature" if shifted else "too_little_known"
    if current.is_worse or (current.is_miscalibrated and (shifted or not shifts)):
        return "retrain"
    if current.is_miscalibrated:
        return "the_world_moved"
    return "look_at_this_feature" if shifted else "fine"


def current_performance(entries: Sequence[Performance], present: str | None) -> Performance | None:
    """How the version in use did over all; None where it has answered nobody yet."""
    return next((entry for entry in entries if entry.version == present and entry.card is None), None)


def _estimate(measure: Measure, labeled: LabeledLeads, chance: Floats) -> Estimate:
    ranking, order = rank_leads(labeled.won, chance, labeled.amount), np.argsort(-chance, kind="stable")
    drawn = [measure(ranking.weighted(w[order])) for w in group_draws(labeled.group, _DRAWS, 0)]
    return with_interval(measure(ranking), drawn)
