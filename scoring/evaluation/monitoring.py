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
from scoring.statistics.drift import LITTLE, MUCH, Shift
from scoring.statistics.metrics import (
    Figure,
    Measure,
    calibration_error,
    group_draws,
    log_loss,
    ranked,
    win_rate_at,
    with_interval,
)
from scoring.statistics.paired_differences import Difference, Judged, differences, volume

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
    "little": LITTLE,
    "much": MUCH,
}
"""All that the advice turns on; where each comes from is said where it is defined, and on the page."""
_DRAWS, _MOST = 100, 20_000


@dataclass(frozen=True)
class Served:
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

    def take(self, rows: Bools) -> Served:
        """Some of the leads."""
        return Served(
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

    def judged(self, horizon_days: float, now: int) -> tuple[Bools, Bools]:
        """Which leads can be judged by now, and which of all are won: within the horizon of the answer.

        As in training a lead counts once its horizon has ended, whatever became of it before: taking in
        the early closes of younger answers would take in the quick deals and leave out the slow ones.
        Who was closed already when the answer was given does not count.
        """
        end = self.as_of + days_to_ms(horizon_days)
        can = (end <= now) & (self.closed_at >= self.as_of)
        return can, can & (self.won_at <= end)


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
    came: Figure | None = None
    calibration: Figure | None = None
    calibration_bar: float | None = None
    log_loss: Figure | None = None
    volume: int | None = None
    differences: Mapping[str, Difference] | None = None
    rules_calibration: Figure | None = None

    @property
    def known(self) -> bool:
        """Whether enough outcomes have come in."""
        return self.won >= MIN_WINS and self.judged >= MIN_JUDGED

    @property
    def off(self) -> bool:
        """Whether the probabilities are further off than the bar."""
        return self.calibration is not None and self.calibration.value > (self.calibration_bar or 0)

    @property
    def worse(self) -> bool:
        """Whether the model's calls are won less often than those of the rules, beyond doubt."""
        return self.differences is not None and self.differences["win_rate"].better == "old"


def performances(served: Served, horizon_days: float, now: int, seed: int = 0) -> Iterator[Performance]:
    """A version over all, then beside each card where there was more than one, the most leads first."""
    yield performance(served, horizon_days, now, seed)
    cards, counts = np.unique(served.card.astype(str), return_counts=True)
    if len(cards) > 1:
        for card in cards[np.argsort(-counts, kind="stable")].tolist():
            told = performance(served.take(served.card == card), horizon_days, now, seed)
            yield replace(told, card=card)


def performance(served: Served, horizon_days: float, now: int, seed: int = 0) -> Performance:
    """The figures of a version, each with its bootstrap interval; of many leads a sample is drawn."""
    can, won = served.judged(horizon_days, now)
    waits = ~can & (served.closed_at >= served.as_of)
    told = Performance(served.version, None, len(served), int(waits.sum()), int(can.sum()), int(won.sum()))
    rows = np.flatnonzero(can & ~np.isnan(served.probability))
    if not told.known or len(rows) < MIN_JUDGED:
        return told
    if len(rows) > _MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST, replace=False))
    return _measured(told, served, won, rows)


def _measured(told: Performance, served: Served, won: Bools, rows: NDArray[np.intp]) -> Performance:
    of = Judged(won[rows], np.full(len(rows), np.nan), np.arange(len(rows)))
    chance, hot = served.probability[rows], served.rules_hot[rows]
    bar = max(CALIBRATION_BAR, calibration_by_chance(ranked(of.won, chance, of.amount)))
    return replace(
        told,
        told=float(chance.mean()),
        came=_figure(win_rate_at(1.0), of, chance),
        calibration=_figure(calibration_error, of, chance),
        calibration_bar=bar,
        log_loss=_figure(log_loss, of, chance),
        volume=volume(hot),
        differences=differences(of, chance, served.points[rows], hot, _DRAWS),
        rules_calibration=_rules_calibration(of, served.rules_chance[rows]),
    )


def _rules_calibration(of: Judged, chance: Floats) -> Figure | None:
    known = ~np.isnan(chance)
    if known.sum() < MIN_JUDGED:
        return None
    told = Judged(of.won[known], of.amount[known], np.arange(int(known.sum())))
    return _figure(calibration_error, told, chance[known])


def advice(found: Sequence[Performance], present: str | None, shifts: Mapping[str, Shift]) -> Advice:
    """What to do, by the version in use (None: the rules alone) and how its features have shifted.

    The model is worse than the rules, or its probabilities are off while features have shifted (or nobody
    knows whether they have): retrain. Probabilities are off though the features are as they were: the
    world moved. A feature has shifted: look at it.
    """
    told, shifted = in_use(found, present), any(shift.much for shift in shifts.values())
    if told is None or told.calibration is None:
        return "look_at_this_feature" if shifted else "too_little_known"
    if told.worse or (told.off and (shifted or not shifts)):
        return "retrain"
    if told.off:
        return "the_world_moved"
    return "look_at_this_feature" if shifted else "fine"


def in_use(found: Sequence[Performance], present: str | None) -> Performance | None:
    """How the version in use did over all; None where it has answered nobody yet."""
    return next((each for each in found if each.version == present and each.card is None), None)


def _figure(measure: Measure, of: Judged, chance: Floats) -> Figure:
    at, order = ranked(of.won, chance, of.amount), np.argsort(-chance, kind="stable")
    drawn = [measure(at.weighted(w[order])) for w in group_draws(of.group, _DRAWS, 0)]
    return with_interval(measure(at), drawn)
