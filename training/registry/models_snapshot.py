"""The snapshot of the registered models that the service reads for its review pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.clock import now_ms
from features.errors import HotleadError
from scoring.evaluation.gate import run_gate
from scoring.review_requests import read_models, write_models
from scoring.scorecard.scorecard import Scorecard
from scoring.to_json import to_jsonable
from training.registry.mlflow_store import CHALLENGER, CHAMPION, PREVIOUS, find_model, find_versions
from training.registry.promotion import to_candidate

_GATE = "hotlead.promoted.gate"
ALIASES = (CHAMPION, CHALLENGER, PREVIOUS)
_ABOUT = (
    "trained_through",
    "measured_from",
    "leads",
    "won_leads",
    "measured_leads",
    "measured_won_leads",
    "measured_from_leads",
    "measured_from_won_leads",
    "measurable",
    "figures",
    "segments",
    "time_to_win",
    "horizon_days",
)


def write_models_snapshot(out: Path, bundles: Path, card: Scorecard) -> bool:
    """Write the snapshot if an alias, a tag or the scorecard has changed; return whether it was written.

    Raises HotleadError if MLflow does not answer; the previous snapshot then remains.
    """
    named = find_versions(out, ALIASES)
    stamp = _snapshot_stamp(named, card)
    before = read_models(bundles)
    if before is not None and before.get("stamp") == stamp:
        return False
    models = {alias: _describe_model(out, alias, version) for alias, version in named.items() if version}
    gate = _check_challenger(out, named, card)
    write_models(bundles, {"at": now_ms(), "stamp": stamp, "models": models, "gate": gate})
    return True


def _snapshot_stamp(named: Mapping[str, Any], card: Scorecard) -> list[Any]:
    """A value that changes whenever the content of the snapshot does."""
    versions = [[alias, v and str(v.version), v and dict(v.tags)] for alias, v in named.items()]
    return [*versions, card.version]


def _describe_model(out: Path, alias: str, version: Any) -> dict[str, Any]:
    """One model as JSON: its versions, training data, figures, and the tags of its promotion."""
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
    """The gate's checks of the challenger; None if there is none or it cannot be read."""
    if named[CHALLENGER] is None:
        return None
    try:
        champion = to_candidate(find_model(out, (CHAMPION,)), out) if named[CHAMPION] else None
        checks = run_gate(to_candidate(find_model(out, (CHALLENGER,)), out), card, champion)
    except HotleadError:
        return None
    jsonable: list[Any] = to_jsonable(checks)
    return jsonable
