"""The model's thresholds: the probabilities from which on a lead is warm and hot.

They are computed from a policy of the scorecard and the evidence table, again whenever the card changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.clock import MS_PER_DAY
from features.columns import Bools, Floats
from features.errors import SettingsError
from features.moments import MIN_WINS
from scoring.model.evidence import MODEL, Evidence
from scoring.model.model import sigmoid
from scoring.scorecard.rating import Rating, rate
from scoring.scorecard.scale import Scale
from scoring.scorecard.scorecard import HOT, WARM, Policy, Scorecard

_MAX_EXCESS = 3
_SAME_VOLUME, _MIN_WIN_RATE = "same_volume_as_rules", "min_win_rate"

UNREACHABLE = 1.0
"""A threshold that no probability below certainty reaches."""


@dataclass(frozen=True)
class _PolicyData:
    """The input of a policy."""

    evidence: Evidence
    rating: Rating
    probability: Floats
    new_leads_per_week: float | None


def find_thresholds(
    policy: Policy,
    evidence: Evidence,
    rating: Rating,
    about: Mapping[str, Any],
    log_odds: Floats | None = None,
) -> Scale:
    """The model's scale. `rating` is the present card's of the evidence, `about` the model's.

    `log_odds` of the evidence are those of the served model, or given: those of the evaluated one.
    Raises SettingsError if the data lack what the policy needs.
    """
    probability = sigmoid(evidence.served if log_odds is None else log_odds)
    data = _PolicyData(evidence, rating, probability, about.get("new_leads_per_week"))
    find = _POLICIES[_measurable_policy(policy.policy, about)]
    warm, hot = find(data, policy.warm, WARM), find(data, policy.hot, HOT)
    return Scale(min(warm, hot), hot, 1.0)


def find_evaluated_thresholds(card: Scorecard, evidence: Evidence, about: Mapping[str, Any]) -> Scale:
    """The scale of the model as it was evaluated, for comparing it on the deals of its evaluation."""
    rating = rate(card, evidence.features)
    return find_thresholds(card.thresholds, evidence, rating, about, evidence.scores[MODEL])


def _measurable_policy(policy: str, about: Mapping[str, Any]) -> str:
    """The policy; the volume of the rules where it asks for a win rate and too few wins show one."""
    has_few_wins = about.get("measured_won_leads", MIN_WINS) < MIN_WINS
    return _SAME_VOLUME if policy == _MIN_WIN_RATE and has_few_wins else policy


def _same_volume(data: _PolicyData, _: float | None, stage: int) -> float:
    """As many leads of the evidence as the rules put into the stage or above."""
    return _nth_highest(data.probability, int((data.rating.stage >= stage).sum()))


def _top_share(data: _PolicyData, share: float | None, _: int) -> float:
    assert share is not None
    return _nth_highest(data.probability, round(share * len(data.evidence)))


def _min_win_rate(data: _PolicyData, rate: float | None, _: int) -> float:
    """The longest list, by falling probability, with at least this win rate."""
    assert rate is not None
    order = np.argsort(-data.probability, kind="stable")
    sorted_probability = data.probability[order]
    # equal probabilities go onto the list together
    ends = np.append(sorted_probability[1:] < sorted_probability[:-1], True)
    reached = np.cumsum(data.evidence.won[order]) / np.arange(1, len(order) + 1) >= rate
    reached &= ends
    return _nth_highest(data.probability, int(np.flatnonzero(reached)[-1]) + 1 if reached.any() else 0)


def _calls_per_week(data: _PolicyData, calls: float | None, _: int) -> float:
    """The given number of leads turns hot per week, counted on leads covered from their first day on."""
    assert calls is not None
    if data.new_leads_per_week is None:
        raise SettingsError(
            "[thresholds] policy: calls_per_week needs leads and closes with dates; choose another."
        )
    highest = highest_of_new_leads(data.evidence, data.probability)
    share = min(calls / max(data.new_leads_per_week, 1e-9), 1.0)
    return _nth_highest(highest, round(share * len(highest)))


def highest_of_new_leads(evidence: Evidence, value: Floats) -> Floats:
    """The highest value of each lead, of the leads that the evidence covers from day 0 on."""
    new = is_new_in_period(evidence)
    lead = np.unique(evidence.lead[new].astype(str), return_inverse=True)[1]
    highest = np.full(int(lead.max()) + 1 if len(lead) else 0, -np.inf)
    np.maximum.at(highest, lead, value[new])
    return highest


def is_new_in_period(evidence: Evidence) -> Bools:
    """A mask of the rows of leads that were created after the evidence begins."""
    born = evidence.moment - (evidence.landmark.astype(np.float64) * MS_PER_DAY).astype(np.int64)
    return np.asarray(born >= evidence.moment.min())


def _nth_highest(probability: Floats, count: int) -> float:
    """The threshold that about `count` of the probabilities reach.

    It lies between two different probabilities, never within equal ones: they reach it together, unless that
    would make the list more than `_MAX_EXCESS` times as long.
    """
    if count <= 0:
        return UNREACHABLE
    values, counts = np.unique(probability, return_counts=True)
    reached = np.cumsum(counts[::-1])[::-1]
    first = int(np.abs(np.log(reached / count)).argmin())
    if reached[first] > _MAX_EXCESS * count:
        return UNREACHABLE
    return float(values[first] if first == 0 else (values[first - 1] + values[first]) / 2)


_POLICIES: dict[str, Callable[[_PolicyData, float | None, int], float]] = {
    _SAME_VOLUME: _same_volume,
    "top_share": _top_share,
    _MIN_WIN_RATE: _min_win_rate,
    "calls_per_week": _calls_per_week,
}
