"""Carrying out what reviewers ask of a model on the pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.clock import iso, now_ms
from features.errors import HotleadError
from features.kinds import Language
from scoring.pages.gate import reasons
from scoring.review_requests import Done, Request, answer, waiting
from scoring.scorecard.scorecard import Scorecard
from scoring.texts import say
from training.registry.mlflow_store import (
    CHALLENGER,
    CHAMPION,
    MODEL_NAME,
    mlflow_store,
    version_of,
)
from training.registry.promotion import promote, rollback

Told = Mapping[Language, str]


class _Refused(Exception):
    """Why a request cannot be carried out."""

    def __init__(self, told: Told) -> None:
        super().__init__(told["en"])
        self.told = told


def carry_out(out: Path, bundles: Path, card: Scorecard) -> int:
    """Carry out and answer every request that waits; how many. `card` is the scorecard of the day.

    Raises OutsideError where MLflow is away or an answer cannot be written: then that request waits on, and
    keeps none from being tried.
    """
    done, problems = 0, list[HotleadError]()
    for request in waiting(bundles):
        try:
            answer(bundles, _done(out, card, request))
            done += 1
        except HotleadError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
    return done


def _done(out: Path, card: Scorecard, request: Request) -> Done:
    try:
        told = _DEEDS[request.action](out, card, request)
    except _Refused as refused:
        return Done(request, False, refused.told, now_ms())
    except HotleadError as problem:
        if problem.exit_code == 5:  # something outside is away: it may come back
            raise
        return Done(request, False, {"en": str(problem), "ja": str(problem)}, now_ms())
    return Done(request, True, told, now_ms())


def _promote(out: Path, card: Scorecard, request: Request) -> Told:
    if _registered(out, CHAMPION) == request.registered:
        return _both("models_promoted", version=request.registered)  # done before we were stopped
    _check_challenger(out, request)
    override = request.note if request.override else None
    trial = promote(out, card, override, request.by, request.note)
    if not trial.promoted:
        raise _Refused({lang: " ".join(reasons(trial.checks, lang)) for lang in _LANGUAGES})
    return _both("models_promoted", version=request.registered)


def _rollback(out: Path, card: Scorecard, request: Request) -> Told:
    champion = _version(out, CHAMPION)
    if champion is not None and _was_restored(champion.tags, request):
        return _both("models_rolled_back", now=str(champion.version), before=request.registered)
    if champion is None or str(champion.version) != request.registered:
        raise _Refused(_both("models_other_champion", version=request.registered))
    told = rollback(out, request.note, request.by)
    return _both("models_rolled_back", now=told.now, before=told.before)


def _approve(out: Path, card: Scorecard, request: Request) -> Told:
    _check_challenger(out, request)
    _tag(out, request, "approved")
    return _both("models_approved", version=request.registered)


def _was_restored(tags: Mapping[str, str], request: Request) -> bool:
    """Whether a rollback was done before we were stopped."""
    own = tags.get("hotlead.restored.in_place_of"), tags.get("hotlead.restored.why")
    return own == (request.registered, request.note) and (
        tags.get("hotlead.restored.at", "") >= iso(request.at)
    )


def _reject(out: Path, card: Scorecard, request: Request) -> Told:
    """Once it is tagged it is rejected, whether or not we were stopped before the alias went."""
    with mlflow_store(out) as (mlflow, _):
        client: Any = mlflow.MlflowClient()
        try:
            tags = client.get_model_version(MODEL_NAME, request.registered).tags
        except mlflow.MlflowException:
            tags = {}
    if tags.get("hotlead.rejected.at") != iso(request.at):
        _check_challenger(out, request)
        _tag(out, request, "rejected")
    if _registered(out, CHALLENGER) == request.registered:
        with mlflow_store(out) as (mlflow, _):
            mlflow.MlflowClient().delete_registered_model_alias(MODEL_NAME, CHALLENGER)
    return _both("models_rejected", version=request.registered)


def _check_challenger(out: Path, request: Request) -> None:
    if _registered(out, CHALLENGER) != request.registered:
        raise _Refused(_both("models_other_challenger", version=request.registered))


def _version(out: Path, alias: str) -> Any:
    with mlflow_store(out) as (mlflow, _):
        return version_of(mlflow, alias)


def _registered(out: Path, alias: str) -> str | None:
    found = _version(out, alias)
    return None if found is None else str(found.version)


def _tag(out: Path, request: Request, what: str) -> None:
    """Write who, why and, when these are written, when."""
    told = {"by": request.by, "why": request.note, "at": iso(request.at)}
    with mlflow_store(out) as (mlflow, _):
        client: Any = mlflow.MlflowClient()
        for name, value in told.items():
            client.set_model_version_tag(MODEL_NAME, request.registered, f"hotlead.{what}.{name}", value)


_LANGUAGES: tuple[Language, ...] = ("en", "ja")
_DEEDS = {"promote": _promote, "rollback": _rollback, "approve": _approve, "reject": _reject}


def _both(key: str, **values: str) -> Told:
    return {lang: say(key, lang, **values) for lang in _LANGUAGES}
