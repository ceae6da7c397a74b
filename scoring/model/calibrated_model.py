"""A model with its thresholds under a scorecard, and win rates of similar scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.columns import Floats, Ints
from scoring.model.cautions import TrainingRange
from scoring.model.evidence import Evidence
from scoring.model.model import Model, sigmoid
from scoring.model.thresholds import find_thresholds
from scoring.scorecard.rating import rate
from scoring.scorecard.scale import Scale
from scoring.scorecard.scorecard import Scorecard

_QUANTILES = (*np.linspace(0.1, 0.9, 9), 0.95, 0.98, 0.99, 0.995)
"""The quantiles of the evidence at which bands of similar scores end."""


@dataclass(frozen=True)
class CalibratedModel:
    """A model with its scale under a card, and by band of probability the leads of its evidence.

    `edges` separate the bands: tenths of the evidence, finer at the top. `leads` and `won` are the number
    of different leads in each band, and of won ones.
    """

    model: Model
    scale: Scale
    edges: Floats
    leads: Ints
    won: Ints

    @staticmethod
    def from_evidence(model: Model, evidence: Evidence, card: Scorecard) -> CalibratedModel:
        """Thresholds and counts under `card`. Raises SettingsError if its policy cannot be met."""
        evidence.check_not_empty()
        scale = find_thresholds(card.thresholds, evidence, rate(card, evidence.features), model.about)
        probability = sigmoid(evidence.served)
        edges = np.quantile(probability, _QUANTILES)
        leads, won = count_leads_by_band(evidence, np.searchsorted(edges, probability, side="right"))
        return CalibratedModel(model, scale, edges, leads, won)

    @cached_property
    def training_range(self) -> TrainingRange:
        """The ranges and levels of the model's training."""
        return TrainingRange.from_model(self.model)

    def similar_leads(self, probability: Floats) -> tuple[Ints, Ints]:
        """The number of leads with a similar probability, and of won ones, for each lead."""
        index = self.edges.searchsorted(probability, side="right")
        return self.leads[index], self.won[index]


def count_leads_by_band(evidence: Evidence, band: Ints) -> tuple[Ints, Ints]:
    """The number of different leads that were in each band at some moment, and of won ones."""
    count = len(_QUANTILES) + 1
    lead = np.unique(evidence.lead.astype(str), return_inverse=True)[1]
    present, won = (np.unique(lead * count + band), np.unique((lead * count + band)[evidence.won]))
    return np.bincount(present % count, minlength=count), np.bincount(won % count, minlength=count)
