"""MLflow: runs, the registered model `hotlead` and its aliases.

By default the store is a SQLite file and a folder of artifacts in the output folder; the environment
variable MLFLOW_TRACKING_URI names another store or a server.

MLflow takes seconds to import, and commands that need no model import this module too: imports of MLflow
stand inside the functions.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.columns import Texts
from features.errors import OutsideError, SettingsError
from features.files import file_lock, write_error
from features.kinds import Language
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE, Model
from scoring.scorecard.load import SCORECARD_FILE
from scoring.statistics.metrics import Estimate
from training.registry.moved_store import artifacts_uri, point_to_present_folder

if TYPE_CHECKING:  # a slow import, which reading a model does not need
    from training.fitting.result import RunRecord

MODEL_NAME = "hotlead"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_STORE, _STORE_VARIABLE = "mlflow.db", "MLFLOW_TRACKING_URI"
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
_SAMPLE_ROWS = 5
_REQUIREMENTS = ("lightgbm", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "sqlalchemy")


@dataclass(frozen=True)
class Registration:
    """The version and run of a model in MLflow; `tracking_uri` is without its password."""

    version: str
    run_id: str
    tracking_uri: str


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model, downloaded to `folder` together with its evidence."""

    model: Model
    alias: str
    version: str
    run_id: str
    folder: Path

    @cached_property
    def evidence(self) -> Evidence:
        """The newest deals, on which it was evaluated. Raises DataError if the file is damaged."""
        return Evidence.load(self.folder / EVIDENCE_FILE)


def register(record: RunRecord, model_folder: Path, out: Path) -> Registration:
    """Log a training run to the store of `out`; its model, saved in `model_folder`, becomes challenger."""
    card, card_file = record.trained.model.card, record.settings_file.with_name(SCORECARD_FILE)
    with mlflow_store(out) as (mlflow, uri), mlflow.start_run(run_name=record.trained.model.version) as run:
        _log_run(mlflow, record)
        mlflow.log_text(record.report, record.report_file)
        mlflow.log_artifact(str(record.settings_file))
        mlflow.log_dict(card.to_dict(), "scorecard.json")
        if card_file.exists():
            mlflow.log_artifact(str(card_file))
        _log_data(mlflow, record)
        version = _log_model(mlflow, record, model_folder)
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(MODEL_NAME, CHALLENGER, version)
        client.set_model_version_tag(MODEL_NAME, version, "hotlead.version", record.trained.model.version)
        return Registration(version, run.info.run_id, uri)


def find_model(out: Path, aliases: Sequence[str] = (CHAMPION, CHALLENGER)) -> RegisteredModel:
    """The model of the first of `aliases` that is set. Raises SettingsError if none is."""
    check_store(out)
    with mlflow_store(out) as (mlflow, uri):
        for alias in aliases:
            version = find_version(mlflow, alias)
            if version is not None:
                return _load_registered_model(mlflow, alias, version)
    raise no_model_error(uri)


def find_version(mlflow: Any, alias: str) -> Any:
    """MLflow's model version with an alias; None if the alias is not set."""
    try:
        return mlflow.MlflowClient().get_model_version_by_alias(MODEL_NAME, alias)
    except mlflow.exceptions.MlflowException as problem:
        if problem.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def write_tags(mlflow: Any, version: str, tags: Mapping[str, str]) -> None:
    """Write tags of a model version, in their order."""
    for name, value in tags.items():
        mlflow.MlflowClient().set_model_version_tag(MODEL_NAME, version, name, value)


def _load_registered_model(mlflow: Any, alias: str, version: Any) -> RegisteredModel:
    place = f"models:/{MODEL_NAME}/{version.version}"
    folder = Path(mlflow.artifacts.download_artifacts(place))
    data = next((p.parent for p in folder.rglob("model.json")), folder)
    return RegisteredModel(Model.load(data), alias, str(version.version), str(version.run_id), data)


def check_store(out: Path) -> None:
    """Raise SettingsError if the local store does not exist yet, without creating it."""
    if store_uri(out) == _local_store_uri(out) and not (out / _STORE).exists():
        raise no_model_error(store_uri(out))


def log_pages(out: Path, run_id: str, name: str, pages: Mapping[Language, str], payload: Any) -> None:
    """Log pages (HTML by language) and their content (JSON) to a model's run."""
    with mlflow_store(out) as (mlflow, _):
        client = mlflow.MlflowClient()
        for lang, page in pages.items():
            client.log_text(run_id, page, f"{name}/{name}-{lang}.html")
        client.log_dict(run_id, payload, f"{name}/{name}.json")


def check_server(out: Path) -> None:
    """Raise OutsideError if another store or server is configured and does not answer."""
    if store_uri(out) != _local_store_uri(out):
        with mlflow_store(out) as (mlflow, _):
            mlflow.MlflowClient().search_registered_models(max_results=1)


def _local_store_uri(out: Path) -> str:
    return f"sqlite:///{out.resolve() / _STORE}"


def store_file(out: Path) -> Path | None:
    """The SQLite file of the store; None when the store is a server."""
    uri = store_uri(out)
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def store_uri(out: Path) -> str:
    """The URI of the store: MLFLOW_TRACKING_URI, else a SQLite file in the output folder.

    It may contain a password.
    """
    return os.environ.get(_STORE_VARIABLE) or _local_store_uri(out)


def _hide_passwords(text: str) -> str:
    """A text with the credentials removed from its URLs."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def no_model_error(uri: str) -> SettingsError:
    """The error to raise if no model is registered."""
    return SettingsError(f"No model is registered at {_hide_passwords(uri)}. Run `hotlead train` first.")


@contextmanager
def mlflow_store(out: Path) -> Iterator[tuple[Any, str]]:
    """MLflow connected to the store of `out`, and the URI of the store without a password.

    Raises OutsideError for errors of MLflow, of its database and of the disk.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    # slow import, see the docstring of the module
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    uri, named = store_uri(out), os.environ.get(_STORE_VARIABLE)
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
        # MLflow sets the variable itself; it must not apply to another output folder.
        os.environ.pop(_STORE_VARIABLE, None)
        if named is not None:
            os.environ[_STORE_VARIABLE] = named


def _set_store(mlflow: Any, uri: str, out: Path) -> None:
    """Connect MLflow to the store. A new local store is created by one process at a time."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if not uri.startswith("sqlite:"):
        mlflow.set_experiment(MODEL_NAME)
        return
    with file_lock(out / ".lock"):
        if uri == _local_store_uri(out):
            point_to_present_folder(out / _STORE, MODEL_NAME, out)
        if mlflow.get_experiment_by_name(MODEL_NAME) is None:
            mlflow.create_experiment(MODEL_NAME, artifacts_uri(out))
    mlflow.set_experiment(MODEL_NAME)


def _log_run(mlflow: Any, record: RunRecord) -> None:
    about = record.trained.model.about
    mlflow.log_params(_flatten({name: about[name] for name in _PARAMS}))
    mlflow.set_tags(
        {
            "hotlead.version": record.trained.model.version,
            "hotlead.features": record.trained.model.table.fingerprint,
            "hotlead.left_out": ", ".join(record.trained.left_out),
        }
    )
    mlflow.log_metrics(_flatten_metrics(record.trained.evaluation.figures))
    for name, chart in record.charts.items():
        mlflow.log_figure(chart, f"figures/{name}.html", save_kwargs={"include_plotlyjs": True})


def _flatten_metrics(figures: Mapping[str, Mapping[str, Estimate]]) -> dict[str, float]:
    """The model's figures with their intervals, and those of the baselines with the prefix `baseline.`."""
    metrics: dict[str, float] = {}
    for model_name, measures in figures.items():
        prefix = "" if model_name == "model" else f"{model_name}."
        for name, figure in measures.items():
            metrics[f"{prefix}{name}"] = figure.value
            metrics |= {f"{name}.low": figure.low, f"{name}.high": figure.high} if not prefix else {}
    return {name: value for name, value in metrics.items() if value == value}


def _log_data(mlflow: Any, record: RunRecord) -> None:
    # slow import, see the docstring of the module
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    name = str(record.trained.model.about["crm"])
    mlflow.set_tag("hotlead.data", record.trained.data.digest)
    dataset = MetaDataset(CodeDatasetSource({"crm": name}), name=name, digest=record.trained.data.digest)
    mlflow.log_input(dataset, context="training")


def _log_model(mlflow: Any, record: RunRecord, model_folder: Path) -> str:
    """Log and register the model, and return the number of its version."""
    # slow import, see the docstring of the module
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    table = record.trained.model.table
    inputs = [
        ColSpec(DataType.string if name in table.texts else DataType.double, name, required=False)
        for name in table.names
    ]
    info = mlflow.pyfunc.log_model(
        name="model",
        loader_module="training.pyfunc",
        data_path=str(model_folder),
        signature=ModelSignature(Schema(inputs), Schema([ColSpec(DataType.double, "probability")])),
        input_example=_input_example(record),
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


def _input_example(record: RunRecord) -> Any:
    import pandas as pd  # slow import, see the docstring of the module

    data = record.trained.data
    columns = data.take(np.arange(min(_SAMPLE_ROWS, len(data)))).columns.items()
    return pd.DataFrame({name: c.to_list() if isinstance(c, Texts) else c for name, c in columns})


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
