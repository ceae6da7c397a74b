from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from features.columns import Texts
from tests.conftest import Demo
from tests.helpers.mlflow_serving import ask_probabilities, serve_model
from training.pyfunc import AVERAGE_LEAD, ScoringModel
from training.registry.mlflow_store import find_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(demo: Demo) -> Path:
    """The registered model's folder."""
    registered_model = find_model(demo.out)
    return next(
        p for p in (registered_model.folder, *registered_model.folder.parents) if (p / "MLmodel").exists()
    )


@pytest.fixture(scope="module")
def loaded(place: Path) -> Any:
    return mlflow.pyfunc.load_model(str(place))


@pytest.fixture(scope="module")
def frame(demo: Demo) -> pd.DataFrame:
    """Some examples of the demo, as a frame with a column a feature."""
    sample = demo.trained.data.take(np.arange(0, 600, 20))
    return pd.DataFrame({n: c.to_list() if isinstance(c, Texts) else c for n, c in sample.columns.items()})


@pytest.fixture(scope="module")
def expected(demo: Demo) -> np.ndarray:
    return demo.model.probability(demo.trained.data.take(np.arange(0, 600, 20)).columns)


def test_loaded_by_mlflow_it_predicts_the_same(
    loaded: Any, frame: pd.DataFrame, expected: np.ndarray
) -> None:
    np.testing.assert_allclose(loaded.predict(frame)["probability"], expected, rtol=0, atol=1e-9)


def test_order_of_columns_does_not_count(loaded: Any, frame: pd.DataFrame, expected: np.ndarray) -> None:
    probabilities = loaded.predict(frame[frame.columns[::-1]])["probability"]
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-9)


def test_signature_and_example_fit_the_features(demo: Demo, loaded: Any, place: Path) -> None:
    schema = loaded.metadata.get_input_schema()
    assert tuple(schema.input_names()) == demo.model.table.names
    assert loaded.metadata.signature.outputs.input_names() == ["probability"]
    example = loaded.input_example
    assert len(loaded.predict(example)) == len(example) > 0


def test_registered_folder_holds_nothing_pickled(place: Path) -> None:
    endings = {path.suffix for path in place.rglob("*") if path.is_file()}
    assert endings <= {".json", ".txt", ".parquet", ".yaml", ".yml", ".whl", ""}
    assert (place / "MLmodel").read_text().count("loader_module: training.pyfunc") == 1


def test_a_missing_column_is_named(demo: Demo, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"lacks the feature columns \['budget'\]"):
        ScoringModel(demo.model).predict(frame.drop(columns="budget"))


@pytest.mark.slow
def test_mlflow_models_serve_answers_over_http(
    place: Path, frame: pd.DataFrame, expected: np.ndarray
) -> None:
    with serve_model(Path(sys.executable), place, ROOT) as url:
        np.testing.assert_allclose(ask_probabilities(url, frame), expected, atol=1e-9)


def test_probabilities_are_as_in_scikit_learn(demo: Demo, frame: pd.DataFrame, expected: np.ndarray) -> None:
    model = ScoringModel(demo.model)
    probabilities = model.predict_proba(frame)
    assert probabilities.shape == (len(frame), 2)
    np.testing.assert_array_equal(probabilities[:, list(model.classes_).index(True)], expected)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert tuple(model.feature_names_in_) == demo.model.table.names
    assert model.n_features_in_ == len(demo.model.table)


def test_reasons_add_up_to_the_log_odds(demo: Demo, frame: pd.DataFrame, expected: np.ndarray) -> None:
    indexed = frame.set_index(pd.Index(range(100, 100 + len(frame))))
    reasons = ScoringModel(demo.model).explain(indexed)
    assert list(reasons.columns) == [AVERAGE_LEAD, *demo.model.table.names]
    assert list(reasons.index) == list(indexed.index)
    np.testing.assert_allclose(1 / (1 + np.exp(-reasons.sum(axis=1))), expected, rtol=0, atol=1e-12)


def test_days_to_the_win_are_those_of_the_model(demo: Demo, frame: pd.DataFrame) -> None:
    assert demo.model.time_to_win is not None
    days = ScoringModel(demo.model).days_to_win(frame.set_index(pd.Index(range(5, 5 + len(frame)))))
    assert (list(days.columns), days.index[0]) == (["median", "p80"], 5)
    assert (days["median"] < days["p80"]).all()
    assert (days["p80"] <= demo.model.time_to_win.edges[-1]).all()
    undated = ScoringModel(replace(demo.model, time_to_win=None)).days_to_win(frame)
    assert len(undated) == len(frame)
    assert undated.isna().all().all()


def test_texts_may_be_categories(demo: Demo, frame: pd.DataFrame, expected: np.ndarray) -> None:
    texts = dict.fromkeys(demo.model.table.texts, "category")
    np.testing.assert_array_equal(
        ScoringModel(demo.model).predict(frame.astype(texts))["probability"], expected
    )
