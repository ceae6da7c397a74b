"""Carrying out what reviewers ask of a model on the pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.clock import iso, now_ms
from features.errors import HotleadError
from features.kinds import Language
from scoring.model_requests import Done, Request, answer, waiting
from scoring.pages.gate import reasons
from scoring.scorecard import Scorecard
from scoring.texts import say
from training.champion import promote, rollback
from training.registry import CHALLENGER, CHAMPION, MODEL_NAME, mlflow_store, version_of

Told = Mapping[Language, str]


class _Refused(Exception):
    """Why a request cannot be carried out."""

    def __init__(self, told: Told) -> None:
        super().__init__(told["en"])
        self.told = told


def carry_out(out: Path, bundles: Path, card: Scorecard) -> int:
    """Carry out and answer every request that waits; how many. `card` is the scorecard of the day.

    Raises OutsideError where MLflow is away or an answer cannot be written: then it waits on.
    """
    found = waiting(bundles)
    for request in found:
        answer(bundles, _done(out, card, request))
    return len(found)


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
    trial = promote(out, card, request.note if request.override else None, request.by)
    if not trial.promoted:
        raise _Refused({lang: " ".join(reasons(trial.checks, lang)) for lang in _LANGUAGES})
    return _both("models_promoted", version=request.registered)


def _rollback(out: Path, card: Scorecard, request: Request) -> Told:
    if _registered(out, CHAMPION) != request.registered:
        raise _Refused(_both("models_other_champion", version=request.registered))
    told = rollback(out, request.note, request.by)
    return _both("models_rolled_back", now=told.now, before=told.before)


def _approve(out: Path, card: Scorecard, request: Request) -> Told:
    _check_challenger(out, request)
    _tag(out, request, "approved")
    return _both("models_approved", version=request.registered)


def _reject(out: Path, card: Scorecard, request: Request) -> Told:
    _check_challenger(out, request)
    _tag(out, request, "rejected")
    with mlflow_store(out) as (mlflow, _):
        mlflow.MlflowClient().delete_registered_model_alias(MODEL_NAME, CHALLENGER)
    return _both("models_rejected", version=request.registered)


def _check_challenger(out: Path, request: Request) -> None:
    if _registered(out, CHALLENGER) != request.registered:
        raise _Refused(_both("models_other_challenger", version=request.registered))


def _registered(out: Path, alias: str) -> str | None:
    with mlflow_store(out) as (mlflow, _):
        found = version_of(mlflow, alias)
    return None if found is None else str(found.version)


def _tag(out: Path, request: Request, what: str) -> None:
    told = {"by": request.by, "at": iso(request.at), "why": request.note}
    with mlflow_store(out) as (mlflow, _):
        client: Any = mlflow.MlflowClient()
        for name, value in told.items():
            client.set_model_version_tag(
                MODEL_NAME, request.registered, f"hotlead.{what}.{name}", value
            )


_LANGUAGES: tuple[Language, ...] = ("en", "ja")
_DEEDS = {"promote": _promote, "rollback": _rollback, "approve": _approve, "reject": _reject}


def _both(key: str, **values: str) -> Told:
    return {lang: say(key, lang, **values) for lang in _LANGUAGES}
