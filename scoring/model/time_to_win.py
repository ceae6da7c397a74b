"""How many days a lead takes to be won, given that it is won within the horizon.

A discrete-time hazard: of the leads still to be won when a bin of days begins, the share with the log-odds
baseline + weights · columns is won in that bin; in the last bin all others are. See Allison, "Discrete-time
methods for the analysis of event histories", Sociological Methodology 13 (1982), and Singer and Willett,
"It's about time", Journal of Educational Statistics 18 (1993).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats
from scoring.model.linear import LinearPart

QUANTILES = (0.5, 0.8)
"""The shares of won leads whose days are given: the median and the 80 % point."""

_MOST_LOG_ODDS = 700.0
"""A double cannot hold the exponential of much more."""


@dataclass(frozen=True)
class TimeToWin:
    """Bins of days since the moment of scoring, and the hazard of a win in each but the last.

    `edges` (bins + 1,) begin with 0 and rise; `baseline` (bins - 1,) are log-odds of an average lead;
    `linear` moves all of them alike (None: every lead has the same times). `levels` are the shares at which
    the times cover the `QUANTILES` of later leads.
    """

    edges: Floats
    baseline: Floats
    linear: LinearPart | None
    levels: Floats = field(default_factory=lambda: np.array(QUANTILES))

    def quantiles(self, matrix: Floats) -> Floats:
        """(rows, 2) days by which half and 80 % of such leads are won, if they are; of encoded leads."""
        if self.linear is None:
            return np.asarray(self._of_all.repeat(len(matrix), axis=0))
        return self._interpolate(self.won_by(self.linear.log_odds(matrix)))

    def won_by(self, log_odds: Floats) -> Floats:
        """(rows, bins + 1) the share of such leads that is won by each edge: 0 at the first, 1 at the last.

        `log_odds` (rows,) are added to the baseline. The share that is left after some bins is the product
        of 1 - hazard.
        """
        hazard = self.baseline + log_odds[:, None]
        shares = np.empty((len(log_odds), len(self.edges)))
        shares[:, 0], shares[:, -1] = 0.0, 1.0
        survival = 1.0 / (1.0 + np.exp(np.minimum(hazard, _MOST_LOG_ODDS)))
        shares[:, 1:-1] = 1.0 - survival.cumprod(axis=1)
        return shares

    def find_bins(self, days: Floats) -> NDArray[np.intp]:
        """(rows,) the bin of each number of days: (edge, next edge]; the last also holds what is longer."""
        return np.minimum(self.edges[1:].searchsorted(days), len(self.baseline))

    @cached_property
    def _of_all(self) -> Floats:
        """(1, 2) the days of every lead, where there are no weights."""
        return self._interpolate(self.won_by(np.zeros(1)))

    def _interpolate(self, shares: Floats) -> Floats:
        """(rows, 2) the days at which `won_by` reaches the levels, if wins spread evenly within a bin."""
        rows = np.arange(len(shares))[:, None]
        bins = (shares[:, None, 1:] < self.levels[:, None]).sum(axis=2)
        low, high = shares[rows, bins], shares[rows, bins + 1]
        start = self.edges[bins]
        return np.asarray(start + (self.edges[bins + 1] - start) * (self.levels - low) / (high - low))

    def to_dict(self) -> dict[str, Any]:
        linear = None if self.linear is None else self.linear.to_dict()
        values = {name: getattr(self, name).tolist() for name in ("edges", "baseline", "levels")}
        return {**values, "linear": linear}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> TimeToWin:
        """Raises ValueError if its parts do not fit."""
        names = ("edges", "baseline", "levels")
        edges, baseline, levels = (np.array(data[name], dtype=np.float64) for name in names)
        if len(edges) != len(baseline) + 2:
            raise ValueError("the bins of the time to win do not fit their hazards")
        linear = data["linear"] and LinearPart.from_dict(data["linear"])
        return TimeToWin(edges, baseline, linear, levels)
