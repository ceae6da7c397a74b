"""MLflow: runs, the registered model `hotlead` and its aliases.

By default all lies in SQLite and a folder beside the CRM's crm.toml; MLFLOW_TRACKING_URI names any
other server.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from features.columns import Texts
from features.errors import OutsideError, SettingsError
from features.files import file_lock, write_error
from features.kinds import Language
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE, Model
from scoring.scorecard.load import SCORECARD_FILE
from scoring.statistics.metrics import Estimate
from training.fitting.model_folder import save_model

if TYPE_CHECKING:  # reading a model needs nothing of what made it
    from training.fitting.pipeline import TrainingResult

MODEL_NAME = "hotlead"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_STORE, _STORE_VARIABLE = "mlflow.db", "MLFLOW_TRACKING_URI"
_EXAMPLE_ROWS = 5
_PARAMS = (
    "crm",
    "seed",
    "examples",
    "leads",
    "won_leads",
    "horizon_days",
    "trained_through",
    "scorecard",
    "recipe",
)
_REQUIREMENTS = ("lightgbm", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "sqlalchemy")


@dataclass(frozen=True)
class Registration:
    """Where a model stands in MLflow (`tracking_uri` without a password)."""

    version: str
    run_id: str
    tracking_uri: str


@dataclass(frozen=True)
class RegisteredModel:
    """A model that an alias names, in a folder that holds its evidence too."""

    model: Model
    alias: str
    version: str
    run_id: str
    folder: Path

    @cached_property
    def evidence(self) -> Evidence:
        """The newest deals that it was judged on. Raises DataError where they are not whole."""
        return Evidence.load(self.folder / EVIDENCE_FILE)


def register(
    trained: TrainingResult, settings_file: Path, out: Path, report: str, lang: Language
) -> Registration:
    """Log a training run with all that made it, and make its model the challenger."""
    with (
        mlflow_store(out) as (mlflow, uri),
        mlflow.start_run(run_name=trained.model.version) as run,
    ):
        _log_run(mlflow, trained, lang)
        mlflow.log_text(report, "report.html")
        mlflow.log_artifact(str(settings_file))
        mlflow.log_dict(trained.model.card.to_dict(), "scorecard.json")
        card_file = settings_file.with_name(SCORECARD_FILE)
        if card_file.exists():
            mlflow.log_artifact(str(card_file))
        _log_data(mlflow, trained)
        version = _log_model(mlflow, trained)
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(MODEL_NAME, CHALLENGER, version)
        client.set_model_version_tag(MODEL_NAME, version, "hotlead.version", trained.model.version)
        return Registration(str(version), run.info.run_id, uri)


def find_model(out: Path, aliases: Sequence[str] = (CHAMPION, CHALLENGER)) -> RegisteredModel:
    """The model that the first of `aliases` names. Raises SettingsError where none names one."""
    check_store(out)
    with mlflow_store(out) as (mlflow, uri):
        for alias in aliases:
            version = find_version(mlflow, alias)
            if version is not None:
                return _load_registered_model(mlflow, alias, version)
    raise no_model_error(uri)


def find_version(mlflow: Any, alias: str) -> Any:
    """MLflow's model version that an alias names; None where it names none."""
    try:
        return mlflow.MlflowClient().get_model_version_by_alias(MODEL_NAME, alias)
    except mlflow.exceptions.MlflowException as problem:
        if problem.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _load_registered_model(mlflow: Any, alias: str, version: Any) -> RegisteredModel:
    place = f"models:/{MODEL_NAME}/{version.version}"
    folder = Path(mlflow.artifacts.download_artifacts(place))
    data = next((p.parent for p in folder.rglob("model.json")), folder)
    return RegisteredModel(Model.load(data), alias, str(version.version), str(version.run_id), data)


def check_store(out: Path) -> None:
    """Raise SettingsError where there is no store yet: looking does not make one."""
    if _store_uri(out) == _local_store_uri(out) and not (out / _STORE).exists():
        raise no_model_error(_store_uri(out))


def log_pages(out: Path, run_id: str, name: str, pages: Mapping[Language, str], payload: Any) -> None:
    """Keep pages (HTML by language) and what they tell (JSON) with a model's run."""
    with mlflow_store(out) as (mlflow, _):
        client = mlflow.MlflowClient()
        for lang, page in pages.items():
            client.log_text(run_id, page, f"{name}/{name}-{lang}.html")
        client.log_dict(run_id, payload, f"{name}/{name}.json")


def check_server(out: Path) -> None:
    """Raise OutsideError where a server is named that does not answer: before long work, not after."""
    if _store_uri(out) != _local_store_uri(out):
        with mlflow_store(out) as (mlflow, _):
            mlflow.MlflowClient().search_registered_models(max_results=1)


def _local_store_uri(out: Path) -> str:
    return f"sqlite:///{out.resolve() / _STORE}"


def _store_uri(out: Path) -> str:
    return os.environ.get(_STORE_VARIABLE) or _local_store_uri(out)


def _hide_passwords(text: str) -> str:
    """A text without the passwords of the URLs in it."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def no_model_error(uri: str) -> SettingsError:
    """The error that says that no model is registered."""
    return SettingsError(f"No model is registered at {_hide_passwords(uri)}. Run `hotlead train` first.")


@contextmanager
def mlflow_store(out: Path) -> Iterator[tuple[Any, str]]:
    """MLflow, pointed at the store, and the store's name; its errors become a sentence."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    uri, named = _store_uri(out), os.environ.get(_STORE_VARIABLE)
    try:
        _set_store(mlflow, uri, out)
        yield mlflow, _hide_passwords(uri)
    except (mlflow.exceptions.MlflowException, SQLAlchemyError) as problem:
        why = _hide_passwords(str(problem).strip().splitlines()[0])[:200]
        raise OutsideError(
            f"The MLflow store at {_hide_passwords(uri)} does not answer as it should ({why}). "
            "Look at MLFLOW_TRACKING_URI and at the server, then run again."
        ) from problem
    except OSError as problem:
        raise write_error(out, problem) from problem
    finally:
        # MLflow writes the store's name there; another `out` must not find it.
        os.environ.pop(_STORE_VARIABLE, None)
        if named is not None:
            os.environ[_STORE_VARIABLE] = named


def _set_store(mlflow: Any, uri: str, out: Path) -> None:
    """Point MLflow at the store. A fresh local one is made by one process at a time."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if not uri.startswith("sqlite:"):
        mlflow.set_experiment(MODEL_NAME)
        return
    with file_lock(out / ".lock"):
        if mlflow.get_experiment_by_name(MODEL_NAME) is None:
            mlflow.create_experiment(MODEL_NAME, (out.resolve() / "mlartifacts").as_uri())
    mlflow.set_experiment(MODEL_NAME)


def _log_run(mlflow: Any, trained: TrainingResult, lang: Language) -> None:
    from training.reports.model_report import report_figures

    about = trained.model.about
    mlflow.log_params(_flatten({name: about[name] for name in _PARAMS}))
    mlflow.set_tags(
        {
            "hotlead.version": trained.model.version,
            "hotlead.features": trained.model.table.fingerprint,
            "hotlead.left_out": ", ".join(trained.left_out),
        }
    )
    mlflow.log_metrics(_flatten_metrics(trained.evaluation.figures))
    for name, figure in report_figures(trained, lang).items():
        mlflow.log_figure(figure, f"figures/{name}.html", save_kwargs={"include_plotlyjs": True})


def _flatten_metrics(figures: dict[str, dict[str, Estimate]]) -> dict[str, float]:
    """The model's figures by their names, with interval ends; the baselines' with their name in front."""
    metrics: dict[str, float] = {}
    for model_name, measures in figures.items():
        prefix = "" if model_name == "model" else f"{model_name}."
        for name, figure in measures.items():
            metrics[f"{prefix}{name}"] = figure.value
            metrics |= {f"{name}.low": figure.low, f"{name}.high": figure.high} if not prefix else {}
    return {name: value for name, value in metrics.items() if value == value}


def _log_data(mlflow: Any, trained: TrainingResult) -> None:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    source = CodeDatasetSource({"crm": str(trained.model.about["crm"])})
    name, digest = str(trained.model.about["crm"]), data_fingerprint(trained)
    mlflow.set_tag("hotlead.data", digest)
    mlflow.log_input(MetaDataset(source, name=name, digest=digest), context="training")


def data_fingerprint(trained: TrainingResult) -> str:
    """Changes whenever a lead, a moment, an outcome or a feature value of the training data does."""
    import hashlib

    hasher = hashlib.sha256(trained.data.table.fingerprint.encode())
    examples = trained.data.examples
    arrays: list[NDArray[Any]] = [examples.lead, examples.moment, examples.won]
    for column in trained.data.columns.values():
        if isinstance(column, Texts):
            hasher.update(repr(column.categories).encode())
        arrays.append(column.codes if isinstance(column, Texts) else column)
    for array in arrays:
        hasher.update(array.tobytes())
    return hasher.hexdigest()[:16]


def _log_model(mlflow: Any, trained: TrainingResult) -> str:
    """Register the model from a folder of its own: another training may be writing to the usual one."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    texts = trained.model.table.texts
    inputs = Schema(
        [
            ColSpec(DataType.string if name in texts else DataType.double, name, required=False)
            for name in trained.model.table.names
        ]
    )
    signature = ModelSignature(inputs, Schema([ColSpec(DataType.double, "probability")]))
    with tempfile.TemporaryDirectory() as temp_folder:
        save_model(trained.model, trained.evidence, Path(temp_folder) / "model")
        info = mlflow.pyfunc.log_model(
            name="model",
            loader_module="training.pyfunc",
            data_path=f"{temp_folder}/model",
            signature=signature,
            input_example=_input_example(trained),
            pip_requirements=list(_REQUIREMENTS),
        )
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name = '{MODEL_NAME}'"):
        with suppress(mlflow.exceptions.MlflowException):  # another process may have been quicker
            client.create_registered_model(MODEL_NAME)
    model_version = client.create_model_version(
        MODEL_NAME, info.model_uri, run_id=info.run_id, model_id=info.model_id
    )
    return str(model_version.version)


def _input_example(trained: TrainingResult) -> Any:
    import numpy as np
    import pandas as pd

    rows = trained.data.take(np.arange(min(_EXAMPLE_ROWS, len(trained.data))))
    return pd.DataFrame({n: c.to_list() if isinstance(c, Texts) else c for n, c in rows.columns.items()})


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
