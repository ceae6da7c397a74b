"""What the pages show of the models, written down where those that serve can read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.clock import now_ms
from features.errors import HotleadError
from scoring.evaluation.gate import Candidate, gate
from scoring.review_requests import read_models, write_models
from scoring.scorecard.scorecard import Scorecard
from scoring.to_json import plain
from training.registry.mlflow_store import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    Found,
    find_model,
    mlflow_store,
    version_of,
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


def tell_models(out: Path, bundles: Path, card: Scorecard) -> bool:
    """Write the file where an alias has moved, a tag was set or the scorecard changed; whether it was.

    Raises HotleadError where MLflow is away: what was written last stays.
    """
    with mlflow_store(out) as (mlflow, _):
        named = {alias: version_of(mlflow, alias) for alias in ALIASES}
    stamp = _stamp(named, card)
    before = read_models(bundles)
    if before is not None and before.get("stamp") == stamp:
        return False
    told = {alias: _model(out, alias, version) for alias, version in named.items() if version}
    write_models(bundles, {"at": now_ms(), "stamp": stamp, "models": told, "gate": _gate(out, named, card)})
    return True


def _stamp(named: Mapping[str, Any], card: Scorecard) -> list[Any]:
    """Changes with whatever the file tells."""
    known = [[alias, v and str(v.version), v and dict(v.tags)] for alias, v in named.items()]
    return [*known, card.version]


def _model(out: Path, alias: str, version: Any) -> dict[str, Any]:
    """One model: its versions, what it was trained on, its figures, and what people did with it."""
    told: dict[str, Any] = {
        "registered": str(version.version),
        "run_id": str(version.run_id),
        "tags": {k.removeprefix("hotlead."): v for k, v in dict(version.tags).items() if k != _GATE},
    }
    try:
        found = find_model(out, (alias,))
    except HotleadError as problem:
        return {**told, "problem": str(problem)}
    about = {name: found.model.about.get(name) for name in _ABOUT}
    return {**told, "version": found.model.version, "about": plain(about)}


def _gate(out: Path, named: Mapping[str, Any], card: Scorecard) -> list[Any] | None:
    """What the gate says of the challenger; None where there is none, or it cannot be judged."""
    if named[CHALLENGER] is None:
        return None
    try:
        champion = _candidate(find_model(out, (CHAMPION,))) if named[CHAMPION] else None
        told: list[Any] = plain(gate(_candidate(find_model(out, (CHALLENGER,))), card, champion))
    except HotleadError:
        return None
    return told


def _candidate(found: Found) -> Candidate:
    return Candidate(found.model, found.evidence)
