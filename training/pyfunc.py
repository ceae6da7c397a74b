"""The model as an MLflow pyfunc, for `mlflow.pyfunc.load_model` and `mlflow models serve`.

Registered models name this module as their loader, so it must not move. Nothing is pickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.columns import Column, encode_texts
from scoring.model.model import Model


class ScoringModel:
    """Probabilities for a data frame with one column per feature; values may be missing."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A data frame with the column `probability`. Raises ValueError for a missing column."""
        names = self.model.table.names
        absent = [name for name in names if name not in model_input.columns]
        if absent:
            raise ValueError(f"The input lacks the feature columns {absent}; needed are {list(names)}.")
        columns = {name: self._column(model_input[name], name) for name in names}
        return pd.DataFrame({"probability": self.model.probability(columns)})

    def _column(self, values: pd.Series, name: str) -> Column:
        if name in self.model.table.texts:
            return encode_texts([None if pd.isna(v) else str(v) for v in values])
        return np.asarray(pd.to_numeric(values), dtype=np.float64)


def _load_pyfunc(path: str) -> ScoringModel:
    return ScoringModel(Model.load(Path(path)))
