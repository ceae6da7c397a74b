"""What people record about a lead in one step: contacted, accepted, sent back, the next action's date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from starlette.datastructures import FormData
from starlette.responses import Response

from features.clock import iso, to_ms
from serving.review.web.forms import Fields, return_path
from serving.review.web.page_request import PageRequest
from serving.web.field_errors import InvalidFields

_MAX_YEAR = 2200
STEPS = ("first_contact", "accepted", "sent_back", "next_action")


@dataclass(frozen=True)
class FormState:
    """What was typed into a lead's form, and what is wrong with it, by field."""

    lead_id: str = ""
    values: Fields = field(default_factory=Fields)
    errors: Fields = field(default_factory=Fields)


async def record_step(visit: PageRequest) -> FormState | Response:
    """Store the step of the form; what is wrong with it, where something is."""
    form, lead_id = await visit.form(), visit.request.path_params["lead_id"]
    step = str(form.get("step", ""))
    errors = _find_errors(step, form, visit)
    if errors:
        return _form_state(lead_id, form, errors)
    try:
        await visit.store_record("handovers", _body(lead_id, step, form, visit))
    except InvalidFields as error:
        return _form_state(lead_id, form, visit.refusal_errors(error))
    await visit.rescore_lead(lead_id)
    path = return_path(str(form.get("back", "")), "/review/calls", "/review/leads/")
    return visit.redirect(path, message_key=f"steps_done_{step}")


def _form_state(lead_id: str, form: FormData, errors: Mapping[str, str]) -> FormState:
    return FormState(lead_id, Fields({k: str(v) for k, v in form.items()}), Fields(errors))


def end_of_day(day: date, visit: PageRequest) -> int:
    """The last moment of a day in the company's time zone (ms UTC)."""
    return to_ms(datetime.combine(day + timedelta(days=1), time(), visit.zone)) - 1


def _find_errors(step: str, form: FormData, visit: PageRequest) -> dict[str, str]:
    if step not in STEPS:
        return {"step": visit.translate("steps_wrong_step")}
    if step == "sent_back":
        return visit.note_error(str(form.get("reason", "")), "steps_wrong_reason")
    day = parse_day(str(form.get("due", "")))
    if step == "next_action" and (day is None or end_of_day(day, visit) < visit.now):
        return {"due": visit.translate("steps_wrong_due")}
    return {}


def _body(lead_id: str, step: str, form: FormData, visit: PageRequest) -> dict[str, str]:
    body = {"lead_id": lead_id, "step": step, "at": iso(visit.now), "by": visit.key.name}
    if step == "sent_back":
        body["reason"] = str(form["reason"]).strip()
    day = parse_day(str(form.get("due", "")))
    if step == "next_action" and day is not None:
        body["due_at"] = iso(end_of_day(day, visit))
    return body


def parse_day(text: str) -> date | None:
    """The day that was typed; None for what is none, or lies beyond what anybody plans."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year < _MAX_YEAR else None
