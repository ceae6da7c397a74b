"""A registered model in an environment made from its own requirements, on a machine without Hotlead."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.columns import Texts
from tests.conftest import Demo
from tests.helpers.mlflow_serving import ask_probabilities, serve_model, without_checkout
from training.registry.mlflow_store import find_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(demo: Demo) -> Path:
    """The registered model's folder."""
    folder = find_model(demo.out).folder
    return next(parent for parent in folder.parents if (parent / "MLmodel").exists())


@pytest.fixture(scope="module")
def python(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of a new environment with the requirements of the model, installed as MLflow does."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    uv = [sys.executable, "-m", "uv"]
    path = folder / "bin" / "python"
    for command in (
        ["venv", "--python", sys.executable, str(folder)],
        ["pip", "install", "--python", str(path), "-r", "requirements.txt"],
    ):
        completed = subprocess.run([*uv, *command], cwd=place, capture_output=True, text=True, check=False)
        assert completed.returncode == 0, completed.stderr
    yield path
    shutil.rmtree(folder)  # 600 MB


@pytest.fixture(scope="module")
def frame(demo: Demo) -> pd.DataFrame:
    sample = demo.trained.data.take(np.arange(0, 600, 20))
    return pd.DataFrame({n: c.to_list() if isinstance(c, Texts) else c for n, c in sample.columns.items()})


@pytest.fixture(scope="module")
def expected(demo: Demo) -> np.ndarray:
    return demo.model.probability(demo.trained.data.take(np.arange(0, 600, 20)).columns)


def run_there(python: Path, folder: Path, code: str, *arguments: object) -> Any:
    """What a script prints as JSON, run outside of the checkout."""
    (folder / "script.py").write_text(code, encoding="utf-8")
    command = [str(python), "script.py", *map(str, arguments)]
    completed = subprocess.run(
        command, cwd=folder, env=without_checkout(python), capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout.splitlines()[-1])


LOAD = """
import json, sys
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
import training
answer = model.predict(pd.read_parquet(sys.argv[2]))
print(json.dumps({"code": training.__file__, "probability": list(answer["probability"])}))
"""


def test_mlflow_loads_it_and_predicts_the_same(
    place: Path, python: Path, frame: pd.DataFrame, expected: np.ndarray, tmp_path: Path
) -> None:
    frame.to_parquet(tmp_path / "leads.parquet")
    answer = run_there(python, tmp_path, LOAD, place, tmp_path / "leads.parquet")
    assert Path(answer["code"]).is_relative_to(python.parents[1])
    np.testing.assert_allclose(answer["probability"], expected, rtol=0, atol=1e-12)


EXPLAIN = """
import json, sys
import pandas as pd
import hotlead
model = hotlead.load_model(sys.argv[1])
leads = pd.read_parquet(sys.argv[2])
print(json.dumps({"log_odds": list(model.explain(leads).sum(axis=1)), "version": model.version}))
"""


def test_hotlead_itself_can_be_imported_there(
    demo: Demo, place: Path, python: Path, frame: pd.DataFrame, expected: np.ndarray, tmp_path: Path
) -> None:
    frame.to_parquet(tmp_path / "leads.parquet")
    answer = run_there(python, tmp_path, EXPLAIN, place, tmp_path / "leads.parquet")
    assert answer["version"] == demo.model.version
    np.testing.assert_allclose(1 / (1 + np.exp(-np.array(answer["log_odds"]))), expected, rtol=0, atol=1e-12)


PACK = """
import json, pathlib
from training.registry.model_wheel import build_wheel
print(json.dumps(str(build_wheel(pathlib.Path.cwd()))))
"""


def test_an_installed_hotlead_packs_the_same_wheel(place: Path, python: Path, tmp_path: Path) -> None:
    """A model that is trained by an installed wheel carries that code."""
    [logged] = (place / "wheels").iterdir()
    packed = Path(run_there(python, tmp_path, PACK))
    assert packed.name == logged.name
    assert packed.read_bytes() == logged.read_bytes()


def test_what_serving_and_training_need_is_not_installed(python: Path, tmp_path: Path) -> None:
    code = "import json, importlib.metadata as m; print(json.dumps([d.name for d in m.distributions()]))"
    names = {name.lower() for name in run_there(python, tmp_path, code)}
    assert {"hotlead", "lightgbm", "mlflow"} <= names
    assert not {"bentoml", "optuna", "plotly"} & names


def test_mlflow_models_serve_answers_over_http(
    place: Path, python: Path, frame: pd.DataFrame, expected: np.ndarray, tmp_path: Path
) -> None:
    with serve_model(python, place, tmp_path) as url:
        np.testing.assert_allclose(ask_probabilities(url, frame), expected, rtol=0, atol=1e-9)
