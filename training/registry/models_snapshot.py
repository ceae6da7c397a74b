"""Writes what the pages show of the registered models to a file that the workers read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.clock import now_ms
from features.errors import HotleadError
from scoring.evaluation.gate import ModelCandidate, run_gate
from scoring.review_requests import read_models, write_models
from scoring.scorecard.scorecard import Scorecard
from scoring.to_json import to_jsonable
from training.registry.mlflow_store import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    RegisteredModel,
    find_model,
    find_version,
    mlflow_store,
)

_GATE = "hotlead.promoted.gate"
ALIASES = (CHAMPION, CHALLENGER, PREVIOUS)
_ABOUT = (
    "trained_through",
    "measured_from",
    "leads",
    "won_leads",
    "measured_leads",
    "measured_won_leads",
    "figures",
    "horizon_days",
)


def write_models_snapshot(out: Path, bundles: Path, card: Scorecard) -> bool:
    """Write the file if an alias, a tag or the scorecard has changed; return whether it was written.

    Raises HotleadError when MLflow does not answer; then the last file stays.
    """
    with mlflow_store(out) as (mlflow, _):
        named = {alias: find_version(mlflow, alias) for alias in ALIASES}
    stamp = _snapshot_stamp(named, card)
    before = read_models(bundles)
    if before is not None and before.get("stamp") == stamp:
        return False
    models = {alias: _describe_model(out, alias, version) for alias, version in named.items() if version}
    write_models(
        bundles,
        {"at": now_ms(), "stamp": stamp, "models": models, "gate": _check_challenger(out, named, card)},
    )
    return True


def _snapshot_stamp(named: Mapping[str, Any], card: Scorecard) -> list[Any]:
    """A value that differs whenever the content of the file would."""
    versions = [[alias, v and str(v.version), v and dict(v.tags)] for alias, v in named.items()]
    return [*versions, card.version]


def _describe_model(out: Path, alias: str, version: Any) -> dict[str, Any]:
    """A model's versions, training data, figures and tags; its error when it cannot be read."""
    details: dict[str, Any] = {
        "registered": str(version.version),
        "run_id": str(version.run_id),
        "tags": {k.removeprefix("hotlead."): v for k, v in dict(version.tags).items() if k != _GATE},
    }
    try:
        registered_model = find_model(out, (alias,))
    except HotleadError as problem:
        return {**details, "problem": str(problem)}
    about = {name: registered_model.model.about.get(name) for name in _ABOUT}
    return {**details, "version": registered_model.model.version, "about": to_jsonable(about)}


def _check_challenger(out: Path, named: Mapping[str, Any], card: Scorecard) -> list[Any] | None:
    """The gate's checks of the challenger; None without a challenger, or when it cannot be read."""
    if named[CHALLENGER] is None:
        return None
    try:
        champion = _to_candidate(find_model(out, (CHAMPION,))) if named[CHAMPION] else None
        checks: list[Any] = to_jsonable(
            run_gate(_to_candidate(find_model(out, (CHALLENGER,))), card, champion)
        )
    except HotleadError:
        return None
    return checks


def _to_candidate(registered_model: RegisteredModel) -> ModelCandidate:
    return ModelCandidate(registered_model.model, registered_model.evidence)
