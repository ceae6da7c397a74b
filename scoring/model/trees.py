"""The trees part: a LightGBM booster, stored as its text.

Imports inside functions: LightGBM takes a second to load, which commands without a model need not wait for.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from features.columns import Floats

_ROWS_WORTH_THREADS = 2_000
_RAW, _CONTRIBUTIONS = 1, 3  # C_API_PREDICT_RAW_SCORE, C_API_PREDICT_CONTRIB
_FLOAT64 = 1  # C_API_DTYPE_FLOAT64


@dataclass(frozen=True)
class TreesPart:
    """Gradient boosted trees in LightGBM's text form."""

    text: str

    @cached_property
    def booster(self) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=self.text)

    def log_odds(self, matrix: Floats) -> Floats:
        """(rows,) log-odds."""
        if len(matrix) == 1:
            return self._one_raw(matrix)
        return np.asarray(self._predict(matrix, raw_score=True))

    def contributions(self, matrix: Floats) -> tuple[float, Floats]:
        """The log-odds of an average lead, and the contribution of each column: (rows, columns).

        Exact TreeSHAP: Lundberg, Erion, Lee, "Consistent individualized feature attribution for tree
        ensembles" (2018).
        """
        if len(matrix) == 1:
            shap_values = self._one_explained(matrix)[None, :]
        else:
            shap_values = self._predict(matrix, pred_contrib=True)
        return float(shap_values[0, -1]) if len(shap_values) else 0.0, shap_values[:, :-1]

    def _predict(self, matrix: Floats, **options: Any) -> Floats:
        threads = 1 if len(matrix) < _ROWS_WORTH_THREADS else 0
        return np.asarray(self.booster.predict(matrix, num_threads=threads, **options))

    @cached_property
    def _one_raw(self) -> _OneRow:
        return _OneRow(self.booster, _RAW, 1)

    @cached_property
    def _one_explained(self) -> _OneRow:
        return _OneRow(self.booster, _CONTRIBUTIONS, self.booster.num_feature() + 1)


class _OneRow:
    """Predictions for one row at a time, by LightGBM's C interface for single rows.

    Booster.predict takes longer to prepare than to predict one row.
    """

    def __init__(self, booster: Any, kind: int, width: int) -> None:
        from lightgbm.basic import _LIB, _safe_call

        self._booster, self._width, self._columns = booster, width, booster.num_feature()
        self._predict, self._check = _LIB.LGBM_BoosterPredictForMatSingleRowFast, _safe_call
        self._config, self._lock = ctypes.c_void_p(), threading.Lock()
        _safe_call(
            _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
                booster._handle,
                ctypes.c_int(kind),
                ctypes.c_int(0),
                ctypes.c_int(-1),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int32(self._columns),
                b"num_threads=1",
                ctypes.byref(self._config),
            )
        )
        weakref.finalize(self, _LIB.LGBM_FastConfigFree, self._config)

    def __call__(self, matrix: Floats) -> Floats:
        """The prediction for a matrix of one row. Raises ValueError for another shape."""
        if matrix.shape != (1, self._columns):
            raise ValueError(f"the trees look at {self._columns} columns, not {matrix.shape[1]}")
        row = np.ascontiguousarray(matrix, dtype=np.float64)
        output, count = np.empty(self._width), ctypes.c_int64()
        with self._lock:  # all threads share the one buffer of the handle
            self._check(
                self._predict(
                    self._config,
                    ctypes.c_void_p(row.ctypes.data),
                    ctypes.byref(count),
                    ctypes.c_void_p(output.ctypes.data),
                )
            )
        return output
