"""Monitoring: how good the served predictions were, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.clock import days_to_ms
from features.columns import Bools, Floats, Ints
from features.moments import MIN_WINS
from scoring.evaluation.gate import CALIBRATION_BAR, calibration_by_chance
from scoring.statistics import metrics
from scoring.statistics.drift import MAJOR_SHIFT, MINOR_SHIFT, Shift
from scoring.statistics.metrics import Estimate, Measure, calibration_error
from scoring.statistics.paired_differences import Difference, LabeledLeads, count_calls, differences

Advice: TypeAlias = Literal["fine", "retrain", "look_at_this_feature", "the_world_moved", "too_little_known"]
QUIET: frozenset[Advice] = frozenset({"fine", "too_little_known"})
"""The advice that needs no action."""
MIN_JUDGED = 200
"""A version with fewer judged leads, or fewer than MIN_WINS won ones, is not assessed: ten bands of 20
leads are the minimum for a win rate per band."""
THRESHOLDS: Mapping[str, float] = {
    "min_wins": MIN_WINS,
    "min_judged": MIN_JUDGED,
    "calibration": CALIBRATION_BAR,
    "little": MINOR_SHIFT,
    "much": MAJOR_SHIFT,
}
"""The thresholds of the advice; the source of each is given at its definition and on the page."""
_DRAWS, _MAX_LEADS = 100, 20_000


@dataclass(frozen=True, kw_only=True)
class ServedPredictions:
    """The first live answer of a version for each of n leads, and the outcomes of these leads.

    `probability` is nan if the rules answered without a model; the rules ranked by `points`; `card` is the
    version of the rules' card. `rules_chance` is the scorecard's probability as calibrated by the version
    (nan if unknown: for a version that is not in use, or another card). `won_at` and `closed_at` are the
    first win and the first close in ms UTC, NEVER if there was none.
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
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "version"}
        return replace(self, **columns)

    def label_outcomes(self, horizon_days: float, now: int) -> tuple[Bools, Bools]:
        """Masks of the leads that can be judged at `now`, and of those won within the horizon.

        As in training a lead counts once its horizon has ended, even if its deal closed before: including
        the early closes of younger answers would include fast deals and leave out slow ones. Leads whose
        deal was closed before the answer do not count.
        """
        end = self.as_of + days_to_ms(horizon_days)
        is_judgeable = (end <= now) & (self.closed_at >= self.as_of)
        return is_judgeable, is_judgeable & (self.won_at <= end)


@dataclass(frozen=True, kw_only=True)
class Performance:
    """The performance of a version on its judged leads; the figures are None if these are too few, or the
    model did not answer.

    `card` is the version of the rules' card that the leads were scored with, None for all cards together.
    The horizon of `waiting` leads has not ended yet. `mean_predicted` is the mean probability, `observed`
    the win rate with its interval. A `calibration` error above `calibration_bar` means miscalibrated;
    `rules_calibration` is the error of the calibrated scorecard. The rules call `volume` leads;
    `differences` is the model less the rules if both call that many.
    """

    version: str
    card: str | None
    leads: int
    waiting: int
    judged: int
    won: int
    mean_predicted: float | None = field(default=None, metadata={"former_name": "told"})
    observed: Estimate | None = field(default=None, metadata={"former_name": "came"})
    calibration: Estimate | None = None
    calibration_bar: float | None = None
    log_loss: Estimate | None = None
    volume: int | None = None
    differences: Mapping[str, Difference] | None = None
    rules_calibration: Estimate | None = None

    @property
    def has_enough_outcomes(self) -> bool:
        return self.won >= MIN_WINS and self.judged >= MIN_JUDGED

    @property
    def is_miscalibrated(self) -> bool:
        return self.calibration is not None and self.calibration.value > (self.calibration_bar or 0)

    @property
    def is_worse(self) -> bool:
        """Whether the model's calls are won significantly less often than those of the rules."""
        return self.differences is not None and self.differences["win_rate"].better == "old"


def measure_performances(
    served: ServedPredictions, horizon_days: float, now: int, seed: int = 0
) -> Iterator[Performance]:
    """A version over all its leads, then for each card if there were several, most leads first."""
    yield measure_performance(served, horizon_days, now, seed)
    cards, counts = np.unique(served.card.astype(str), return_counts=True)
    if len(cards) > 1:
        for card in cards[np.argsort(-counts, kind="stable")].tolist():
            result = measure_performance(served.take(served.card == card), horizon_days, now, seed)
            yield replace(result, card=card)


def measure_performance(
    served: ServedPredictions, horizon_days: float, now: int, seed: int = 0
) -> Performance:
    """The figures of a version, each with its bootstrap interval; a sample if there are many leads."""
    is_judgeable, won = served.label_outcomes(horizon_days, now)
    is_waiting = ~is_judgeable & (served.closed_at >= served.as_of)
    result = Performance(
        version=served.version,
        card=None,
        leads=len(served),
        waiting=int(is_waiting.sum()),
        judged=int(is_judgeable.sum()),
        won=int(won.sum()),
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
    by_chance = calibration_by_chance(metrics.rank_leads(labeled.won, chance, labeled.amount))
    return replace(
        result,
        mean_predicted=float(chance.mean()),
        observed=_estimate(metrics.at_share(metrics.win_rate_of, 1.0), labeled, chance),
        calibration=_estimate(calibration_error, labeled, chance),
        calibration_bar=max(CALIBRATION_BAR, by_chance),
        log_loss=_estimate(metrics.log_loss, labeled, chance),
        volume=count_calls(hot),
        differences=differences(labeled, chance, served.points[rows], hot, _DRAWS),
        rules_calibration=_rules_calibration(labeled, served.rules_chance[rows]),
    )


def _rules_calibration(labeled: LabeledLeads, chance: Floats) -> Estimate | None:
    has_chance = ~np.isnan(chance)
    if has_chance.sum() < MIN_JUDGED:
        return None
    return _estimate(calibration_error, labeled.take(has_chance), chance[has_chance])


def advise(
    entries: Sequence[Performance], present: str | None, shifts: Mapping[str, Shift], has_gaps: bool = False
) -> Advice:
    """What to do, by the version in use (`present`; None: rules without a model) and its features' shifts.

    A feature with a gap (see `feature_gaps`) counts as shifted.

    The model is worse than the rules, or miscalibrated while features have shifted (or shifts are
    unknown): retrain. Miscalibrated with stable features: the world moved. A shifted feature: look at it.
    """
    current = current_performance(entries, present)
    shifted = has_gaps or any(shift.is_shifted for shift in shifts.values())
    if current is None or current.calibration is None:
        return "look_at_this_feature" if shifted else "too_little_known"
    if current.is_worse or (current.is_miscalibrated and (shifted or not shifts)):
        return "retrain"
    if current.is_miscalibrated:
        return "the_world_moved"
    return "look_at_this_feature" if shifted else "fine"


def current_performance(entries: Sequence[Performance], present: str | None) -> Performance | None:
    """The performance of the version in use over all cards; None before its first answer."""
    return next((entry for entry in entries if entry.version == present and entry.card is None), None)


def _estimate(measure: Measure, labeled: LabeledLeads, chance: Floats) -> Estimate:
    return metrics.estimate(measure, labeled.won, chance, labeled.amount, labeled.group, _DRAWS)
