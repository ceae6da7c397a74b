"""MLflow: runs, the registered model `hotlead` and its aliases.

By default the store is a SQLite file and a folder of artifacts in the output folder; the environment
variable MLFLOW_TRACKING_URI names another store or a server.

MLflow takes seconds to import, and commands that need no MLflow import this module too: imports of MLflow
stand inside the functions.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from features.errors import OutsideError, SettingsError
from features.files import file_lock, write_error
from features.kinds import Language
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE, Model
from training.registry.moved_store import artifacts_uri, point_to_present_folder
from training.registry.sqlite_versions import ModelVersion, SqliteVersions, is_readable

MODEL_NAME = "hotlead"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_STORE, _STORE_VARIABLE = "mlflow.db", "MLFLOW_TRACKING_URI"


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


class Versions(Protocol):
    """The versions of the registered model in one store."""

    def find(self, alias: str) -> ModelVersion | None:
        """The version with an alias; None if the alias is not set."""

    def read_tags(self, version: str) -> Mapping[str, str]:
        """The tags of a version; none if there is no such version."""

    def change(self, version: str, tags: Mapping[str, str], aliases: Mapping[str, str | None]) -> None:
        """Write tags of a version, then set aliases to versions (None removes an alias), in their order."""


@dataclass(frozen=True)
class _MlflowVersions:
    """The versions as MLflow itself reads and changes them, in any store and on any server."""

    mlflow: Any

    def find(self, alias: str) -> ModelVersion | None:
        try:
            version = self.mlflow.MlflowClient().get_model_version_by_alias(MODEL_NAME, alias)
        except self.mlflow.exceptions.MlflowException as problem:
            if problem.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return ModelVersion(str(version.version), str(version.run_id), dict(version.tags))

    def read_tags(self, version: str) -> Mapping[str, str]:
        try:
            return dict(self.mlflow.MlflowClient().get_model_version(MODEL_NAME, version).tags)
        except self.mlflow.exceptions.MlflowException:
            return {}

    def change(self, version: str, tags: Mapping[str, str], aliases: Mapping[str, str | None]) -> None:
        client = self.mlflow.MlflowClient()
        for name, value in tags.items():
            client.set_model_version_tag(MODEL_NAME, version, name, value)
        for alias, target in aliases.items():
            if target is None:
                client.delete_registered_model_alias(MODEL_NAME, alias)
            else:
                client.set_registered_model_alias(MODEL_NAME, alias, target)


@contextmanager
def open_versions(out: Path) -> Iterator[Versions]:
    """The versions in the store of `out`. Raises OutsideError when the store does not answer.

    A SQLite file is read without MLflow, which takes seconds to start: a promotion needs a few rows.
    """
    file = store_file(out)
    if file is not None and file.is_file():
        _point_to_present_folder(out)
        if is_readable(file, MODEL_NAME):
            yield SqliteVersions(file, MODEL_NAME)
            return
    with mlflow_store(out) as (mlflow, _):
        yield _MlflowVersions(mlflow)


def find_model(out: Path, aliases: Sequence[str] = (CHAMPION, CHALLENGER)) -> RegisteredModel:
    """The model of the first of `aliases` that is set. Raises SettingsError if none is."""
    check_store(out)
    with open_versions(out) as versions:
        for alias in aliases:
            version = versions.find(alias)
            if version is not None:
                return _load_registered_model(out, alias, version)
    raise no_model_error(store_uri(out))


def find_versions(out: Path, aliases: Sequence[str]) -> dict[str, ModelVersion | None]:
    """The version of each alias; None for an alias that is not set."""
    with open_versions(out) as versions:
        return {alias: versions.find(alias) for alias in aliases}


def change_version(
    out: Path, version: str, tags: Mapping[str, str], aliases: Mapping[str, str | None]
) -> None:
    """Write tags of a version, then set aliases to versions (None removes an alias), in their order."""
    with open_versions(out) as versions:
        versions.change(version, tags, aliases)


def _load_registered_model(out: Path, alias: str, version: ModelVersion) -> RegisteredModel:
    folder = version.folder or _download(out, version)
    data = next((p.parent for p in folder.rglob("model.json")), folder)
    return RegisteredModel(Model.load(data), alias, version.version, version.run_id, data)


def _download(out: Path, version: ModelVersion) -> Path:
    with mlflow_store(out) as (mlflow, _):
        return Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL_NAME}/{version.version}"))


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
    return SettingsError(
        "No model is registered at {uri}. Run `hotlead train` first.", uri=_hide_passwords(uri)
    )


@contextmanager
def mlflow_store(out: Path) -> Iterator[tuple[Any, str]]:
    """MLflow connected to the store of `out`, and the URI of the store without a password.

    Raises OutsideError for errors of MLflow, of its database and of the disk.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")  # the user's uv.lock is none of the model's
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
            "The MLflow store at {uri} does not answer as it should ({why}). "
            "Look at MLFLOW_TRACKING_URI and at the server, then run again.",
            uri=_hide_passwords(uri),
            why=why,
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
    _point_to_present_folder(out)
    with file_lock(out / ".lock"):
        if mlflow.get_experiment_by_name(MODEL_NAME) is None:
            mlflow.create_experiment(MODEL_NAME, artifacts_uri(out))
    mlflow.set_experiment(MODEL_NAME)


def _point_to_present_folder(out: Path) -> None:
    if store_uri(out) == _local_store_uri(out):
        with file_lock(out / ".lock"):
            point_to_present_folder(out / _STORE, MODEL_NAME, out)
