"""Leads whose times to the win follow a known hazard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from features.columns import Floats
from features.kinds import Attribute
from features.moments import Examples
from features.table import FeatureTable
from scoring.scorecard.load import blank_card
from tests.helpers.builders import DAY
from training.fitting.dataset import Dataset

HORIZON, LANDMARKS = 60.0, (0.0, 7.0, 30.0)
_NAMES = ("signal", "noise", "noise_too")
_TABLE = FeatureTable({name: Attribute(name, "number", "at_creation") for name in _NAMES})


def draw_winners(seed: int, leads: int, effect: float, lost: int = 0) -> Dataset:
    """Examples of a lead a day with landmarks, won after an exponential time; the last `lost` are lost.

    The mean time is 25 days, divided by exp(`effect` * signal), and the signal is normal.
    """
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(leads, len(_NAMES)))
    days = rng.exponential(25.0 / np.exp(effect * values[:, 0]))
    days[leads - lost :] = np.inf
    lead, place = np.nonzero(days[:, None] > np.array(LANDMARKS))
    landmark = np.array(LANDMARKS)[place]
    remaining = days[lead] - landmark
    moment = ((lead + landmark) * DAY).astype(np.int64)
    examples = Examples(
        lead=lead.astype(np.int32),
        moment=moment,
        known_at=moment + int(HORIZON * DAY),
        landmark=landmark.astype(np.float32),
        group=lead.astype(np.int32),
        won=remaining <= HORIZON,
        amount=np.full(len(lead), np.nan),
        days_to_win=np.where(remaining <= HORIZON, remaining, np.nan),
        ordered=True,
    )
    columns = {name: values[lead, i] for i, name in enumerate(_NAMES)}
    data = Dataset(table=_TABLE, columns=columns, examples=examples, card=blank_card())
    return data.take(np.argsort(moment, kind="stable"))


def true_quantiles(signal: Floats, effect: float, quantile: float) -> Floats:
    """(rows,) the days by which the share `quantile` of the leads won within the horizon are won."""
    rate = np.exp(effect * signal) / 25.0
    return np.asarray(-np.log1p(quantile * np.expm1(-rate * HORIZON)) / rate)


def with_days(data: Dataset, days: Floats) -> Dataset:
    """The same examples with other days to the win."""
    return replace(data, examples=replace(data.examples, days_to_win=days, won=~np.isnan(days)))
