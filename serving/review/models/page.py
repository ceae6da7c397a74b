"""The models: champion, challenger and the one before, the gate, and what reviewers ask of them.

What is asked is carried out by the follower, which alone reaches MLflow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, get_args

from starlette.responses import Response

from features.errors import HotleadError
from scoring.evaluation.gate import Check
from scoring.pages.gate import gate_table
from scoring.review_requests import Action, Request, answers, ask, read_models, waiting
from scoring.statistics.metrics import Figure
from serving.review.web.forms import Fields
from serving.review.web.page_request import PageRoute, Visit
from serving.web.problems import away, not_found

SLOW_MS = 10_000
FIGURES = ("log_loss", "roc_auc", "win_rate_top_10", "lift_top_10", "calibration_error")
OF = {
    "approve": "challenger",
    "reject": "challenger",
    "promote": "challenger",
    "rollback": "champion",
}


async def show(visit: Visit) -> Response:
    """The page."""
    return await _page(visit, Fields(), Fields())


async def act(visit: Visit) -> Response:
    """Ask something of a model."""
    form, action = await visit.form(), visit.request.path_params["action"]
    if action not in get_args(Action):
        raise not_found("There is no such action.")
    told = Fields({name: str(value) for name, value in form.items()})
    if wrong := _wrong_note(told["note"].strip(), visit):
        return await _page(visit, told, Fields({action: wrong}), 422)
    request = Request(
        action,
        told["registered"],
        visit.key.name,
        told["note"].strip(),
        visit.now,
        bool(told["override"]),
    )
    try:
        await asyncio.to_thread(ask, visit.house.settings.bundles, request)
    except HotleadError:
        raise away("The request cannot be written. Look at the disk, and try again.", 5) from None
    return visit.back("/review/models", done="models_done")


async def undecided(visit: Visit) -> str | None:
    """The registered version of a challenger that nobody has approved or rejected yet."""
    known = await asyncio.to_thread(read_models, visit.house.settings.bundles)
    told = {} if known is None else known["models"].get("challenger", {})
    tags: Mapping[str, str] = told.get("tags", {})
    decided = any(tags.get(f"{word}.by") for word in ("approved", "rejected"))
    return None if decided else told.get("registered")


def _wrong_note(note: str, visit: Visit) -> str:
    return visit.too_long(note) or ("" if note else visit.say("models_wrong_note"))


async def _page(visit: Visit, told: Fields, wrong: Fields, status: int = 200) -> Response:
    root = visit.house.settings.bundles
    known, open_, done = await asyncio.to_thread(lambda: (read_models(root), waiting(root), answers(root)))
    models: Mapping[str, Any] = {} if known is None else known["models"]
    return visit.html(
        "models.html",
        status,
        models=models,
        at=known and known["at"],
        figures=FIGURES,
        told=told,
        wrong=wrong,
        gate=_gate(known, visit),
        waiting=open_,
        answered=done[:20],
        acts=_acts(models, visit),
        slow=any(visit.now - request.at > SLOW_MS for request in open_),
        used=visit.house.watch.in_use.origin,
    )


def _acts(models: Mapping[str, Any], visit: Visit) -> list[tuple[str, str]]:
    """What this person may ask now, with the registered version that it is about."""
    there = [(action, alias) for action, alias in OF.items() if alias in models]
    if "previous" not in models:
        there = [(action, alias) for action, alias in there if action != "rollback"]
    return [
        (action, models[alias]["registered"])
        for action, alias in there
        if visit.may("POST", f"/review/models/{action}")
    ]


def _gate(known: Mapping[str, Any] | None, visit: Visit) -> Any:
    """What the gate says of the challenger, as the command says it."""
    if known is None or known.get("gate") is None:
        return None
    checks = [
        Check(c["name"], c["passed"], c["gain"] and _figure(c["gain"]), c["figures"]) for c in known["gate"]
    ]
    return {
        "passed": all(check.passed for check in checks),
        "table": gate_table(checks, visit.lang),
    }


def _figure(told: Mapping[str, float | None]) -> Figure:
    nan = float("nan")
    return Figure(
        *(nan if told[name] is None else float(told[name] or 0) for name in ("value", "low", "high"))
    )


ROUTES = (PageRoute("GET", "/models", show), PageRoute("POST", "/models/{action}", act))
