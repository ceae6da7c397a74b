"""The model on data frames: as an MLflow pyfunc (`mlflow.pyfunc.load_model`, `mlflow models serve`), and as
`hotlead.load_model` returns it.

Registered models name this module as their loader, so it must not move. Nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.columns import Column, Floats, encode_texts, map_texts
from scoring.model.model import Model
from scoring.model.time_to_win import QUANTILES

AVERAGE_LEAD = "average_lead"
"""The first column of `ScoringModel.explain`."""


class ScoringModel:
    """Probabilities and reasons for a data frame with one column per feature; values may be missing.

    `predict_proba`, `classes_`, `feature_names_in_` and `n_features_in_` are those of scikit-learn; `predict`
    is MLflow's. Columns that are no features are ignored, and the order of columns does not count. All
    methods raise ValueError for a missing column.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.classes_ = np.array([False, True])
        self.feature_names_in_ = np.array(model.table.names, dtype=object)
        self.n_features_in_ = len(model.table.names)

    def __repr__(self) -> str:
        return f"<hotlead model {self.version}: {self.n_features_in_} features>"

    @property
    def version(self) -> str:
        """A digest of everything that determines a score: equal models have equal versions."""
        return self.model.version

    @property
    def about(self) -> Mapping[str, Any]:
        """The description of the training: data, horizon, recipe and figures, in JSON types."""
        return self.model.about

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A data frame with the column `probability`: the chance of a win."""
        return pd.DataFrame({"probability": self.model.probability(self._columns(model_input))})

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """(rows, 2): the chance of no win and of a win, in the order of `classes_`."""
        won = self.model.probability(self._columns(X))
        return np.column_stack([1 - won, won])

    def explain(self, X: pd.DataFrame) -> pd.DataFrame:
        """The exact reasons: the log-odds of an average lead, and what each feature adds to them.

        One row per row of `X`; the sum of a row is the log-odds of the probability.
        """
        explanation = self.model.explain(self.model.encode(self._columns(X)))
        reasons = pd.DataFrame(explanation.contributions, index=X.index, columns=list(explanation.features))
        reasons.insert(0, AVERAGE_LEAD, explanation.prior)
        return reasons

    def days_to_win(self, X: pd.DataFrame) -> pd.DataFrame:
        """If such leads are won: the days within which half (`median`) and 80% (`p80`) of them are won.

        One row per row of `X`; nan without days: closes have no dates, or too few leads are won.
        """
        time_to_win = self.model.time_to_win
        days = np.full((len(X), len(QUANTILES)), np.nan)
        if time_to_win is not None:
            days = time_to_win.quantiles(self.model.encoding.matrix(self._columns(X)))
        return pd.DataFrame(days, index=X.index, columns=["median", "p80"])

    def _columns(self, frame: pd.DataFrame) -> dict[str, Column]:
        names = self.model.table.names
        absent = [name for name in names if name not in frame.columns]
        if absent:
            raise ValueError(f"The input lacks the feature columns {absent}; needed are {list(names)}.")
        return {name: self._column(frame[name], name) for name in names}

    def _column(self, values: pd.Series, name: str) -> Column:
        if name in self.model.table.texts:
            texts = encode_texts([None if pd.isna(v) else str(v) for v in values])
            edge = self.model.table.rows[name].edge
            return texts if edge is None else map_texts(texts, edge)
        return np.asarray(pd.to_numeric(values), dtype=np.float64)


def _load_pyfunc(path: str) -> ScoringModel:
    return ScoringModel(Model.load(Path(path)))
