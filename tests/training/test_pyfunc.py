from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from features.columns import Texts
from tests.conftest import Demo
from training.pyfunc import ScoringModel
from training.registry.mlflow_store import find_model


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
    assert endings <= {".json", ".txt", ".parquet", ".yaml", ".yml", ""}
    assert (place / "MLmodel").read_text().count("loader_module: training.pyfunc") == 1


def test_a_missing_column_is_named(demo: Demo, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"lacks the feature columns \['budget'\]"):
        ScoringModel(demo.model).predict(frame.drop(columns="budget"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def served(place: Path) -> Iterator[str]:
    """`mlflow models serve` on the registered model."""
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "serve",
            "--model-uri",
            str(place),
            "--env-manager",
            "local",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, "mlflow models serve ended by itself"
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_mlflow_models_serve_answers_over_http(
    served: str, frame: pd.DataFrame, expected: np.ndarray
) -> None:
    body = json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split", index=False))})
    request = urllib.request.Request(
        served, body.encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        predictions = json.loads(answer.read())["predictions"]
    np.testing.assert_allclose([row["probability"] for row in predictions], expected, atol=1e-9)
