"""The models: champion, challenger and the one before, the gate, and what reviewers ask of them.

What is asked is carried out by the follower, which alone reaches MLflow.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, get_args

from starlette.responses import Response

from features.errors import HotleadError
from features.moments import MIN_WINS
from scoring import review_requests
from scoring.evaluation.gate import Check
from scoring.evaluation.segments import SegmentQuality
from scoring.pages.gate import gate_table
from scoring.pages.page import Table
from scoring.pages.segments import segments_table
from scoring.review_requests import ReviewAction, ReviewRequest, read_models
from scoring.statistics.metrics import Estimate
from serving.review.web.forms import Fields
from serving.review.web.page_request import PageRequest, PageRoute
from serving.store.state.audit_log import Change, record_change
from serving.web.problems import not_found, store_unavailable

SLOW_MS = 10_000
FIGURES = ("log_loss", "roc_auc", "win_rate_top_10", "lift_top_10", "calibration_error")
ALIAS_BY_ACTION = {**dict.fromkeys(("approve", "reject", "promote"), "challenger"), "rollback": "champion"}


async def show(visit: PageRequest) -> Response:
    return await _render_page(visit, Fields(), Fields())


async def request_action(visit: PageRequest) -> Response:
    form, action = await visit.form(), visit.request.path_params["action"]
    if action not in get_args(ReviewAction):
        raise not_found("There is no such action.")
    submitted = Fields({name: str(value) for name, value in form.items()})
    if error := visit.note_error(submitted["note"], "models_wrong_note"):
        return await _render_page(visit, submitted, Fields({action: error["reason"]}), 422)
    request = ReviewRequest(
        action=action,
        registered=submitted["registered"],
        by=visit.key.name,
        note=submitted["note"].strip(),
        at=visit.now,
        override=bool(submitted["override"]),
    )
    detail = {"action": action, "note": request.note, "override": request.override}
    change = Change(visit.actor, "model_requested", request.registered, detail)
    await visit.write(lambda connection: record_change(connection, change))
    try:
        await asyncio.to_thread(review_requests.write_request, visit.settings.bundles, request)
    except HotleadError:
        problem = store_unavailable("The request cannot be written. Look at the disk, and try again.", 5)
        raise problem from None
    return visit.redirect("/review/models", message_key="models_done")


async def pending_challenger(visit: PageRequest) -> str | None:
    """The registered version of a challenger that nobody has approved or rejected yet."""
    snapshot = await asyncio.to_thread(read_models, visit.settings.bundles)
    challenger = {} if snapshot is None else snapshot["models"].get("challenger", {})
    tags: Mapping[str, str] = challenger.get("tags", {})
    decided = any(tags.get(f"{word}.by") for word in ("approved", "rejected"))
    return None if decided else challenger.get("registered")


async def _render_page(visit: PageRequest, submitted: Fields, errors: Fields, status: int = 200) -> Response:
    root = visit.settings.bundles
    snapshot = await asyncio.to_thread(read_models, root)
    open_requests = await asyncio.to_thread(review_requests.read_waiting, root)
    answered_requests = await asyncio.to_thread(review_requests.read_results, root)
    models: Mapping[str, Any] = {} if snapshot is None else snapshot["models"]
    return visit.html(
        "models.html",
        status,
        models=models,
        at=snapshot and snapshot["at"],
        figures=FIGURES,
        least=MIN_WINS,
        told=submitted,
        wrong=errors,
        segments=_segments(models, visit),
        gate=_gate(snapshot, visit),
        waiting=open_requests,
        answered=answered_requests[:20],
        acts=_allowed_actions(models, visit),
        slow=any(visit.now - request.at > SLOW_MS for request in open_requests),
        used=visit.live_model.origin,
    )


def _allowed_actions(models: Mapping[str, Mapping[str, object]], visit: PageRequest) -> list[tuple[str, str]]:
    """What this person may ask now, with the registered version that it is about."""
    actions = [action for action in ALIAS_BY_ACTION if visit.is_allowed("POST", f"/review/models/{action}")]
    if "previous" not in models and "rollback" in actions:
        actions.remove("rollback")
    candidates = ((action, models.get(ALIAS_BY_ACTION[action])) for action in actions)
    return [(action, str(model["registered"])) for action, model in candidates if model is not None]


def _segments(models: Mapping[str, Mapping[str, Any]], visit: PageRequest) -> Mapping[str, Table]:
    """By alias, how well the model does in each segment; a model of an earlier version does not say it."""
    vocabulary = visit.scorer.table.vocabulary
    described = {alias: model.get("about", {}).get("segments") for alias, model in models.items()}
    return {
        alias: segments_table([SegmentQuality.from_dict(s) for s in segments], vocabulary, visit.lang)
        for alias, segments in described.items()
        if segments
    }


def _gate(snapshot: Mapping[str, Any] | None, visit: PageRequest) -> Any:
    """What the gate says of the challenger, as the command says it."""
    if snapshot is None or snapshot.get("gate") is None:
        return None
    checks = [
        Check(c["name"], c["passed"], c["gain"] and _parse_estimate(c["gain"]), c["figures"])
        for c in snapshot["gate"]
    ]
    return {"passed": all(check.passed for check in checks), "table": gate_table(checks, visit.lang)}


def _parse_estimate(values: Mapping[str, float | None]) -> Estimate:
    figures = (values[name] for name in ("value", "low", "high"))
    return Estimate(*(math.nan if figure is None else float(figure) for figure in figures))


ROUTES = (PageRoute("GET", "/models", show), PageRoute("POST", "/models/{action}", request_action))
