"""The linear part: a logistic regression, evaluated from its numbers alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats

WIDEN = 1.0
"""Numbers are clipped at the range that training saw, widened by this many times its width."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Scaling:
    """Scaling of a column: clipped to [low, high], centred, divided by its spread.

    Clipping bounds the linear function outside the range of training. A missing value counts as the mean,
    and its absence as an additional column.
    """

    low: Floats
    high: Floats
    mean: Floats
    spread: Floats
    missing: Floats

    @property
    def training_range(self) -> tuple[Floats, Floats]:
        """The smallest and the largest value of each column in training."""
        width = (self.high - self.low) / (1 + 2 * WIDEN)
        inside = (WIDEN - _ROUNDING) * width
        return self.low + inside, self.high - inside

    @cached_property
    def gap_columns(self) -> NDArray[np.intp]:
        """The columns with missing values in training."""
        return np.flatnonzero(self.missing > 0)

    @cached_property
    def _gap_means(self) -> Floats:
        return self.missing[self.gap_columns]

    def scaled(self, matrix: Floats) -> Floats:
        """The columns, centred."""
        scaled = np.minimum(np.maximum(matrix, self.low), self.high)  # np.clip is slow on a row
        scaled -= self.mean
        scaled /= self.spread
        scaled[np.isnan(scaled)] = 0.0
        return scaled

    def gaps(self, matrix: Floats) -> Floats:
        """Indicators of missing values, centred, for the `gap_columns`."""
        return np.isnan(matrix[:, self.gap_columns]) - self._gap_means


@dataclass(frozen=True)
class LinearPart:
    """log-odds = intercept + weights · scaled columns + gap_weights · centred gaps."""

    scaling: Scaling
    intercept: float
    weights: Floats
    gap_weights: Floats

    def log_odds(self, matrix: Floats) -> Floats:
        """(rows,) log-odds."""
        gaps = self.scaling.gaps(matrix) @ self.gap_weights
        return np.asarray(self.intercept + self.scaling.scaled(matrix) @ self.weights + gaps)

    def contributions(self, matrix: Floats) -> tuple[float, Floats]:
        """The log-odds of an average lead, and the contribution of each column: (rows, columns)."""
        gap_weights, gap_means = self._gaps_by_column
        by_column = self.scaling.scaled(matrix) * self.weights
        by_column += (np.isnan(matrix) - gap_means) * gap_weights
        return self.intercept, by_column

    @cached_property
    def _gaps_by_column(self) -> tuple[Floats, Floats]:
        """By column the weight of a gap and the share of gaps, 0 in columns without gaps in training."""
        gappy, shape = self.scaling.gap_columns, self.weights.shape
        weights, means = np.zeros(shape), np.zeros(shape)
        weights[gappy], means[gappy] = self.gap_weights, self.scaling.missing[gappy]
        return weights, means

    def to_dict(self) -> dict[str, Any]:
        scaling = {name: values.tolist() for name, values in asdict(self.scaling).items()}
        weights = {"weights": self.weights.tolist(), "gap_weights": self.gap_weights.tolist()}
        return {"intercept": self.intercept, **weights, "scaling": scaling}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> LinearPart:
        scaling = Scaling(**{k: np.array(v, dtype=np.float64) for k, v in data["scaling"].items()})
        weights, gaps = (np.array(data[k], dtype=np.float64) for k in ("weights", "gap_weights"))
        return LinearPart(scaling, float(data["intercept"]), weights, gaps)
