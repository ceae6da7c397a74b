"""Baselines: simple models that are evaluated on the same rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from features.columns import Floats, Texts
from training.fitting.dataset import Dataset
from training.fitting.fit import FIT_ROWS
from training.side_by_side import compute_both

BASELINES = ("baseline_rate", "baseline_logistic", "baseline_lightgbm")


def baseline_scores(train: Dataset, test: Dataset, seed: int) -> dict[str, Floats]:
    """Log-odds of the base rate, of a logistic regression, and of LightGBM with default parameters."""
    train, test = _without_free_texts(train.sampled(FIT_ROWS, seed)), _without_free_texts(test)
    rate = float(train.won.mean())
    logistic, boosted = compute_both(
        partial(_score_logistic, train, test), partial(_score_lightgbm, train, test, seed)
    )
    return {
        "baseline_rate": np.full(len(test), np.log(rate / (1 - rate))),
        "baseline_logistic": logistic,
        "baseline_lightgbm": boosted,
    }


def _score_logistic(train: Dataset, test: Dataset) -> Floats:
    texts = _text_places(train)
    numbers = [i for i in range(len(train.columns)) if i not in texts]
    fill = SimpleImputer(add_indicator=True, keep_empty_features=True)
    prepare = make_column_transformer(
        (make_pipeline(fill, StandardScaler()), numbers), (OneHotEncoder(handle_unknown="ignore"), texts)
    )
    model = make_pipeline(prepare, LogisticRegression(max_iter=300))
    model.fit(_to_matrix(train), train.won)
    return np.asarray(model.decision_function(_to_matrix(test)))


def _score_lightgbm(train: Dataset, test: Dataset, seed: int) -> Floats:
    model = LGBMClassifier(random_state=seed, verbose=-1, deterministic=True, force_row_wise=True, n_jobs=0)
    model.fit(_to_matrix(train), train.won, categorical_feature=_text_places(train) or "auto")
    return np.asarray(model.predict(_to_matrix(test), raw_score=True))


def _without_free_texts(data: Dataset) -> Dataset:
    """Simple models take no n-grams."""
    columns = {name: column for name, column in data.columns.items() if name not in data.table.free_texts}
    return replace(data, columns=columns) if columns else data


def _text_places(data: Dataset) -> list[int]:
    return [place for place, column in enumerate(data.columns.values()) if isinstance(column, Texts)]


def _to_matrix(data: Dataset) -> Floats:
    """The columns unencoded: codes of texts (nan for missing), numbers."""
    columns = [
        np.where(c.codes < 0, np.nan, c.codes) if isinstance(c, Texts) else c for c in data.columns.values()
    ]
    return np.column_stack(columns)
