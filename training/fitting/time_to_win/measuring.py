"""How well the time to win is met by the newest won leads, which it was not learnt from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from features.columns import Floats
from features.moments import MIN_WINS
from scoring.model.encoding import Encoding
from scoring.statistics.metrics import Estimate, estimates_to_dict, group_draws, with_interval
from training.fitting.dataset import Dataset
from training.fitting.splits import split_newest
from training.fitting.time_to_win.fitting import fit_hazard, fit_time_to_win
from training.fitting.time_to_win.winners import Winners

_DRAWS = 200


@dataclass(frozen=True, kw_only=True)
class TimeEvaluation:
    """The time to win, learnt from `learnt_from` older won leads and measured on `leads` newer ones.

    `figures` are None with fewer than 20 won leads on one of the sides: `within_median` and `within_p80` are
    the shares of won leads that were won by then (meant to be 0.5 and 0.8), `error` the mean absolute
    difference of the median in days, and `gain` by how many days it is smaller than with one median for all.
    """

    leads: int
    learnt_from: int
    has_weights: bool = False
    figures: dict[str, Estimate] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The evaluation in plain JSON types."""
        figures = None if self.figures is None else estimates_to_dict(self.figures)
        return {**asdict(self), "figures": figures}


def describe_time_to_win(data: Dataset, seed: int) -> dict[str, Any] | None:
    """The evaluation as the description of a model holds it; see `evaluate_time_to_win`."""
    evaluation = evaluate_time_to_win(data, seed)
    return None if evaluation is None else evaluation.to_dict()


def evaluate_time_to_win(data: Dataset, seed: int) -> TimeEvaluation | None:
    """Fit on the older examples, measure on the newest fifth; None where closes have no dates."""
    if np.isnan(data.examples.days_to_win).all():
        return None
    split = split_newest(data.examples, 0)  # the deals that the model is measured on
    older = data.take(split.train)
    encoding = Encoding.learn(older.columns, won=older.won)
    learnt, newer = (
        Winners.from_dataset(older, encoding),
        Winners.from_dataset(data.take(split.test), encoding),
    )
    fitted = fit_time_to_win(older, encoding, seed)
    if fitted is None or newer.leads < MIN_WINS:
        return TimeEvaluation(leads=newer.leads, learnt_from=learnt.leads)
    constant = fit_hazard(learnt, None).quantiles(newer.matrix)
    return TimeEvaluation(
        leads=newer.leads,
        learnt_from=learnt.leads,
        has_weights=fitted.linear is not None,
        figures=_measure(newer, fitted.quantiles(newer.matrix), constant),
    )


def _measure(newer: Winners, predicted: Floats, constant: Floats) -> dict[str, Estimate]:
    """Means with intervals from bootstrap samples of whole groups; `predicted` and `constant` (rows, 2) are
    quantiles."""
    days = newer.days
    error, constant_error = np.abs(days - predicted[:, 0]), np.abs(days - constant[:, 0])
    values = {
        "within_median": days <= predicted[:, 0],
        "within_p80": days <= predicted[:, 1],
        "error": error,
        "gain": constant_error - error,
    }
    draws = list(group_draws(newer.group, _DRAWS, 0))
    return {
        name: with_interval(float(value.mean()), [float(np.average(value, weights=w)) for w in draws])
        for name, value in values.items()
    }
