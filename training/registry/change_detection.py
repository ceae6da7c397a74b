"""Detects cheaply whether the registry, or anything else that the follower works from, has changed.

Asking MLflow costs some 80 ms of computing; a handful of `stat` calls cost less than 0.1 ms.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path

from features.files import file_version
from scoring.model.bundle import POINTER, current_name
from scoring.review_requests import FOLDER, MODELS_FILE
from scoring.scorecard.load import SCORECARD_FILE
from training.registry.mlflow_store import MODEL_NAME, store_file, store_uri

_WRITE_AHEAD_LOG = "-wal"


def read_state(out: Path, bundles: Path, crm: Path | None) -> Hashable | None:
    """A value that differs after every change of the registry, a request, the bundle or the rules.

    `out` is the output folder, `crm` the crm.toml (None: requests of reviewers are not processed). Returns
    None when the state cannot be read; the caller then has to look for itself.
    """
    store = store_file(out)
    try:
        files = tuple((path.name, file_version(path)) for path in _watched_files(store, bundles, crm))
    except OSError:
        return None
    if store is not None:
        return files
    aliases = read_aliases(store_uri(out))
    return None if aliases is None else (files, aliases)


def _watched_files(store: Path | None, bundles: Path, crm: Path | None) -> Iterator[Path]:
    if store is not None:
        yield store
        yield store.with_name(store.name + _WRITE_AHEAD_LOG)
    yield from (bundles / name for name in (POINTER, MODELS_FILE, FOLDER))
    current = current_name(bundles)
    if current is not None and (bundles / current).is_dir():
        yield from sorted((bundles / current).iterdir())
    if crm is not None:
        yield crm
        yield crm.with_name(SCORECARD_FILE)


def read_aliases(uri: str) -> Hashable | None:
    """The registered model's aliases, versions and time of change on a server: one request.

    Returns None when the server does not answer; an empty tuple when no model is registered.
    """
    import mlflow  # costs seconds, and a local store needs none of it here

    try:
        model = mlflow.MlflowClient(uri, uri).get_registered_model(MODEL_NAME)
    except mlflow.exceptions.MlflowException as problem:
        return () if problem.error_code == "RESOURCE_DOES_NOT_EXIST" else None
    return (*sorted(model.aliases.items()), model.last_updated_timestamp)
