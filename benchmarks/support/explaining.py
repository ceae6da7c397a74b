"""How long the exact reasons of one lead take."""

from __future__ import annotations

import numpy as np

from benchmarks.support.measuring import measure_seconds
from scoring.model.model import Encoded, Model
from training.fitting.dataset import Dataset

_LEADS_EXPLAINED, _TIMES = 20, 100


def explain_one(model: Model, data: Dataset) -> float:
    """The mean over leads of the least seconds that the reasons of one take, from its encoded values."""
    rows = np.linspace(0, len(data) - 1, _LEADS_EXPLAINED).astype(np.int64)
    leads = model.encode(data.all_columns).take(rows)
    shortest = [measure_least(model, leads.take(np.array([row]))) for row in range(len(rows))]
    return sum(shortest) / len(shortest)


def measure_least(model: Model, lead: Encoded) -> float:
    """The least seconds of several explanations: what other processes take is not counted."""
    return min(measure_seconds(lambda: model.explain(lead), _TIMES))
