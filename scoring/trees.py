"""The trees part: a LightGBM booster, kept as its own text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from features.columns import Floats

_ROWS_WORTH_THREADS = 2_000


@dataclass(frozen=True)
class TreesPart:
    """Gradient boosted trees in LightGBM's text form."""

    text: str

    @cached_property
    def _booster(self) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=self.text)

    def log_odds(self, matrix: Floats) -> Floats:
        """(rows,) log-odds."""
        return np.asarray(self._predict(matrix, raw_score=True))

    def contributions(self, matrix: Floats) -> tuple[float, Floats]:
        """The log-odds of an average lead, and what each column adds to it: (rows, columns).

        Exact TreeSHAP: Lundberg, Erion, Lee, "Consistent individualized feature attribution for tree
        ensembles" (2018).
        """
        told = self._predict(matrix, pred_contrib=True)
        return float(told[0, -1]) if len(told) else 0.0, told[:, :-1]

    def _predict(self, matrix: Floats, **how: Any) -> Floats:
        threads = 1 if len(matrix) < _ROWS_WORTH_THREADS else 0
        return np.asarray(self._booster.predict(matrix, num_threads=threads, **how))
