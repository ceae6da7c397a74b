"""What people record about a lead in one step: contacted, accepted, sent back, the next action's date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from starlette.datastructures import FormData
from starlette.responses import Response

from features.clock import iso, to_ms
from serving.review.web.forms import Fields
from serving.review.web.page_request import Visit
from serving.web.problems import Problem

_END = 2200
STEPS = ("first_contact", "accepted", "sent_back", "next_action")


@dataclass(frozen=True)
class Typed:
    """What was typed into a lead's form, and what is wrong with it, by field."""

    lead_id: str = ""
    values: Fields = field(default_factory=Fields)
    wrong: Fields = field(default_factory=Fields)


async def take_step(visit: Visit) -> Typed | Response:
    """Store the step of the form; what is wrong with it, where something is."""
    form, lead_id = await visit.form(), visit.request.path_params["lead_id"]
    step = str(form.get("step", ""))
    wrong = _wrong(step, form, visit)
    if wrong:
        return _typed(lead_id, form, wrong)
    try:
        await visit.send("handovers", _body(lead_id, step, form, visit))
    except Problem as problem:
        return _typed(lead_id, form, visit.refused(problem))
    await visit.score_anew(lead_id)
    return visit.back(_place(form), done=f"steps_done_{step}")


def _typed(lead_id: str, form: FormData, wrong: Mapping[str, str]) -> Typed:
    return Typed(lead_id, Fields({k: str(v) for k, v in form.items()}), Fields(wrong))


def end_of(day: date, visit: Visit) -> int:
    """The last moment of a day in the company's time zone (ms UTC)."""
    return to_ms(datetime.combine(day + timedelta(days=1), time(), visit.house.crm.zone)) - 1


def _wrong(step: str, form: FormData, visit: Visit) -> dict[str, str]:
    if step not in STEPS:
        return {"step": visit.say("steps_wrong_step")}
    if step == "sent_back" and not str(form.get("reason", "")).strip():
        return {"reason": visit.say("steps_wrong_reason")}
    if step == "sent_back" and (long := visit.too_long(str(form.get("reason")).strip())):
        return {"reason": long}
    day = day_of(str(form.get("due", "")))
    if step == "next_action" and (day is None or end_of(day, visit) < visit.now):
        return {"due": visit.say("steps_wrong_due")}
    return {}


def _body(lead_id: str, step: str, form: FormData, visit: Visit) -> dict[str, Any]:
    body: dict[str, Any] = {
        "lead_id": lead_id,
        "step": step,
        "at": iso(visit.now),
        "by": visit.key.name,
    }
    if step == "sent_back":
        body["reason"] = str(form["reason"]).strip()
    day = day_of(str(form.get("due", "")))
    if step == "next_action" and day is not None:
        body["due_at"] = iso(end_of(day, visit))
    return body


def day_of(text: str) -> date | None:
    """The day that was typed; None for what is none, or lies beyond what anybody plans."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year < _END else None


def _place(form: FormData) -> str:
    """Back to the page that the form stood on: one of ours."""
    place = str(form.get("back", ""))
    return place if place.startswith(("/review/calls", "/review/leads/")) else "/review/calls"
