"""How well a model does in each segment: predicted against actual win rates, and its ranking there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.columns import Bools, Texts
from features.moments import count_missing
from scoring.model.evidence import MODEL, Evidence
from scoring.model.model import sigmoid
from scoring.statistics.metrics import Estimate, Measure, Ranked, at_share, lift_of, measure, roc_auc
from scoring.to_json import to_jsonable

MAX_VALUES = 8
"""Of each segment, so many of the most frequent values are looked at."""

_TOP, _DRAWS = 0.1, 100
_UNKNOWN = Estimate(math.nan, math.nan, math.nan)


def _predicted(ranking: Ranked) -> float:
    return float(ranking.weight @ ranking.probability / ranking.total)


def _actual(ranking: Ranked) -> float:
    return ranking.wins / ranking.total


def _gap(ranking: Ranked) -> float:
    return _actual(ranking) - _predicted(ranking)


_MEASURES: Mapping[str, Measure] = {
    "predicted": _predicted,
    "actual": _actual,
    "gap": _gap,
    "roc_auc": roc_auc,
    "lift": at_share(lift_of, _TOP),
}


@dataclass(frozen=True, kw_only=True)
class SegmentQuality:
    """A model on the evaluated leads of one segment.

    `leads` and `won_leads` count different leads. `predicted` and `actual` are mean probability and win
    rate, `gap` is actual less predicted; `roc_auc` and `lift` (of the model's first tenth over all of the
    segment) say how well it ranks there. All are nan where too few leads are won or not won to measure.
    """

    segment: str
    value: str
    leads: int
    won_leads: int
    predicted: Estimate
    actual: Estimate
    gap: Estimate
    roc_auc: Estimate
    lift: Estimate

    @property
    def is_measurable(self) -> bool:
        return not count_missing(self.won_leads, self.leads - self.won_leads)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> SegmentQuality:
        """What `to_dict` wrote."""
        figures: dict[str, Any] = {name: _parse_estimate(data[name]) for name in _MEASURES}
        counts = {name: data[name] for name in ("segment", "value", "leads", "won_leads")}
        return SegmentQuality(**counts, **figures)

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types; nan becomes None."""
        return {**to_jsonable(self), "measurable": self.is_measurable}


def measure_segments(evidence: Evidence) -> list[SegmentQuality]:
    """The evaluated model by segment and value, most frequent values first."""
    return [
        _measure_part(evidence.take(rows), name, value)
        for name, column in evidence.segments.items()
        for value, rows in frequent_values(column)
    ]


def frequent_values(column: Texts) -> Iterator[tuple[str, Bools]]:
    """The most frequent values, each with a mask of its rows."""
    count = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
    for code in np.argsort(-count, kind="stable")[:MAX_VALUES]:
        if count[code]:
            yield column.categories[code], column.codes == code


def _measure_part(part: Evidence, segment: str, value: str) -> SegmentQuality:
    leads, won = len(set(part.lead.tolist())), len(set(part.lead[part.won].tolist()))
    figures: dict[str, Any] = dict.fromkeys(_MEASURES, _UNKNOWN)
    if not count_missing(won, leads - won):
        probability = sigmoid(part.scores[MODEL])
        figures = measure(part.won, probability, part.amount, part.group, _DRAWS, measures=_MEASURES)
    return SegmentQuality(segment=segment, value=value, leads=leads, won_leads=won, **figures)


def _parse_estimate(figure: Mapping[str, float | None]) -> Estimate:
    values = (figure[name] for name in ("value", "low", "high"))
    return Estimate(*(math.nan if number is None else number for number in values))
