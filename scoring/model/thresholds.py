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

_MAX_EXCESS, _ROUNDING = 3, 1e-9
_SAME_VOLUME, _MIN_WIN_RATE = "same_volume_as_rules", "min_win_rate"
_PREDICTED_WIN_RATE = "predicted_win_rate"

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
    find = _POLICIES[_measurable_policy(policy.policy, rating, about)]
    warm, hot = find(data, policy.warm, WARM), find(data, policy.hot, HOT)
    return Scale(min(warm, hot), hot, 1.0)


def find_evaluated_thresholds(card: Scorecard, evidence: Evidence, about: Mapping[str, Any]) -> Scale:
    """The scale of the model as it was evaluated, for comparing it on the deals of its evaluation."""
    rating = rate(card, evidence.features)
    return find_thresholds(card.thresholds, evidence, rating, about, evidence.scores[MODEL])


def _measurable_policy(policy: str, rating: Rating, about: Mapping[str, Any]) -> str:
    """The policy; where it asks for a win rate and too few wins show one, the volume of the rules, or
    without rules that call anybody warm the win rate that the model predicts."""
    is_measurable = about.get("measurable", about.get("measured_won_leads", MIN_WINS) >= MIN_WINS)
    if policy != _MIN_WIN_RATE or is_measurable:
        return policy
    return _SAME_VOLUME if (rating.stage >= WARM).any() else _PREDICTED_WIN_RATE


def _same_volume(data: _PolicyData, _: float | None, stage: int) -> float:
    """As many leads of the evidence as the rules put into the stage or above."""
    return _nth_highest(data.probability, int((data.rating.stage >= stage).sum()), stage)


def _top_share(data: _PolicyData, share: float | None, stage: int) -> float:
    assert share is not None
    return _nth_highest(data.probability, round(share * len(data.evidence)), stage)


def _min_win_rate(data: _PolicyData, rate: float | None, stage: int) -> float:
    """The longest list, by falling probability, with at least this win rate."""
    assert rate is not None
    return _longest_list(data.probability, data.evidence.won, rate, stage)


def _predicted_win_rate(data: _PolicyData, rate: float | None, stage: int) -> float:
    """The longest list, by falling probability, whose mean probability is at least this win rate."""
    assert rate is not None
    return _longest_list(data.probability, data.probability, rate, stage)


def _longest_list(probability: Floats, wins: Floats | Bools, rate: float, stage: int) -> float:
    """The threshold of the longest list with so high a mean of `wins`: equal probabilities go onto the
    list together."""
    order = np.argsort(-probability, kind="stable")
    falling = probability[order]
    ends = np.append(falling[1:] < falling[:-1], True)
    reached = ends & (
        np.cumsum(wins[order], dtype=np.float64) / np.arange(1, len(order) + 1) >= rate - _ROUNDING
    )
    return _nth_highest(probability, int(np.flatnonzero(reached)[-1]) + 1 if reached.any() else 0, stage)


def _calls_per_week(data: _PolicyData, calls: float | None, stage: int) -> float:
    """The given number of leads turns hot per week, counted on leads covered from their first day on."""
    assert calls is not None
    if data.new_leads_per_week is None:
        raise SettingsError(
            "[thresholds] policy: calls_per_week needs leads and closes with dates; choose another."
        )
    highest = highest_of_new_leads(data.evidence, data.probability)
    share = min(calls / max(data.new_leads_per_week, 1e-9), 1.0)
    return _nth_highest(highest, round(share * len(highest)), stage)


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


def _nth_highest(probability: Floats, count: int, stage: int) -> float:
    """The threshold that about `count` of the probabilities reach.

    It lies between two different probabilities, never within equal ones: they reach it together, unless that
    would make the list more than `_MAX_EXCESS` times as long. The likeliest leads, where they are not more
    than half of all, are warm at least: none that the model tells apart from the others is cold.
    """
    if count <= 0:
        return UNREACHABLE
    values, counts = np.unique(probability, return_counts=True)
    reached = np.cumsum(counts[::-1])[::-1]
    most = max(_MAX_EXCESS * count, len(probability) / 2 if stage == WARM else 0)
    allowed = np.flatnonzero(reached <= most)
    if not len(allowed):
        return UNREACHABLE
    first = int(allowed[np.abs(np.log(reached[allowed] / count)).argmin()])
    return float(values[first] if first == 0 else (values[first - 1] + values[first]) / 2)


_POLICIES: dict[str, Callable[[_PolicyData, float | None, int], float]] = {
    _SAME_VOLUME: _same_volume,
    "top_share": _top_share,
    _MIN_WIN_RATE: _min_win_rate,
    _PREDICTED_WIN_RATE: _predicted_win_rate,
    "calls_per_week": _calls_per_week,
}
