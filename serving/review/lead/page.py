"""A lead: its scores over time and why, what is unknown, what would make it hot, and a person's word."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType
from urllib.parse import quote

from starlette.responses import Response

from features.clock import MS_PER_DAY, from_ms, iso
from features.columns import to_text
from serving.review.charts.charts import Mark
from serving.review.common.sales_steps import FormState, end_of_day, parse_day, record_step
from serving.review.lead.charts import model_waterfall, rules_waterfall, score_history_chart
from serving.review.lead.load import LeadOnPage, load_lead
from serving.review.lead.queries import SalesRecord, read_sales_records
from serving.review.lead.rescore import LeadSnapshot, rescore
from serving.review.lead.what_if import build_fields, changed_values, improvements
from serving.review.web.forms import Fields
from serving.review.web.page_request import PageRequest, PageRoute
from serving.web.field_errors import InvalidFields

SCORES_LIMIT, TIMELINE_LIMIT, OVERRIDE_DAYS = 200, 60, 14
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_STEP = FormState()
_MOMENT = re.compile("[0-9]{1,15}")


async def find_lead(visit: PageRequest) -> Response:
    """To the page of the lead whose id was typed."""
    wanted = visit.request.query_params.get("lead_id", "").strip()
    return visit.redirect(_path(wanted) if wanted else "/review/calls")


def _path(lead_id: str) -> str:
    return f"/review/leads/{quote(lead_id, safe='')}"


async def show(visit: PageRequest) -> Response:
    return await _render_page(visit)


async def record_action(visit: PageRequest) -> Response:
    """What was done about a lead, or a person's word on it, by the form that was sent."""
    if "step" not in await visit.form():
        return await _record_override(visit)
    result = await record_step(visit)
    return await _render_page(visit, step=result, status=422) if isinstance(result, FormState) else result


async def _record_override(visit: PageRequest) -> Response:
    form, lead_id = await visit.form(), visit.request.path_params["lead_id"]
    submitted = {name: str(value) for name, value in form.items()}
    until = parse_day(submitted.get("until", ""))
    body = {
        "lead_id": lead_id,
        "verdict": submitted.get("verdict"),
        "reason": submitted.get("reason", "").strip(),
        "by": visit.key.name,
        "at": iso(visit.now),
        "expires_at": None if until is None else iso(end_of_day(until, visit)),
    }
    errors = _find_errors(submitted, until, visit)
    if not errors:
        try:
            await visit.store_record("overrides", body)
            await visit.rescore_lead(lead_id)
            return visit.redirect(_path(lead_id), message_key="lead_done_override")
        except InvalidFields as error:
            errors = visit.refusal_errors(error)
    return await _render_page(visit, submitted, errors, status=422)


async def _render_page(
    visit: PageRequest,
    submitted: Mapping[str, str] = _NOTHING,
    errors: Mapping[str, str] = _NOTHING,
    step: FormState = _NO_STEP,
    status: int = 200,
) -> Response:
    lead_id = visit.request.path_params["lead_id"]
    loaded = await load_lead(visit.components, lead_id, visit.now, _made_at(visit), SCORES_LIMIT)
    lead = loaded.now
    rows = await asyncio.to_thread(visit.store.scores, lead_id, SCORES_LIMIT)
    sales_records = await visit.read(lambda connection: read_sales_records(connection, lead_id))
    answers = rescore(visit.components, lead, {}, explain=True)
    score = answers.scores(visit.lang, visit.now, "all")[0]
    pictures = [score_history_chart(rows, _marks(loaded, sales_records, visit), visit)] if rows else []
    waterfalls = [*model_waterfall(answers, visit), rules_waterfall(score, visit)]
    await visit.draw_charts([*pictures, *waterfalls])
    today = from_ms(visit.now).astimezone(visit.zone).date()
    return visit.html(
        "lead.html",
        status,
        lead=lead,
        score=score,
        pictures=pictures,
        falls=waterfalls,
        rows=rows[:50],
        happened=_timeline(loaded, sales_records, visit),
        happened_in_all=sum(map(len, (lead.stored.events, lead.stored.changes, sales_records))),
        what_if=await _build_what_if(visit, loaded.in_form),
        told=Fields(submitted),
        wrong=Fields(errors),
        today=today.isoformat(),
        link=visit.crm_link(lead_id),
        typed=step,
        until=(today + timedelta(days=OVERRIDE_DAYS)).isoformat(),
        lead_id=lead_id,
        here=_path(lead_id),
    )


async def _build_what_if(visit: PageRequest, lead: LeadSnapshot) -> dict[str, object]:
    """The form, what comes of it, and what would make the lead hot: all of the moment at which the form was
    made, for days since something go on while people look at it."""
    scorer, typed = visit.scorer, dict(visit.request.query_params)
    changed, invalid = changed_values(typed, lead, scorer.table)
    askable, behavior = build_fields(typed, lead, invalid, scorer, visit.lang)
    after = rescore(visit.components, lead, changed).scores(visit.lang, visit.now, "none")[0]
    hints = await asyncio.to_thread(improvements, visit.components, lead, visit.lang)
    return {
        "asked": askable,
        "does": behavior,
        "changed": changed,
        "wrong": invalid,
        "at": lead.moment,
        "after": after,
        "turns": hints,
    }


def _made_at(visit: PageRequest) -> int:
    """When the form was made (ms UTC): now, where it does not tell, or tells of more than a day ago."""
    text = visit.request.query_params.get("at", "")
    made_at = int(text) if _MOMENT.fullmatch(text) else visit.now
    return made_at if visit.now - MS_PER_DAY <= made_at <= visit.now else visit.now


def _marks(loaded: LeadOnPage, sales_records: list[SalesRecord], visit: PageRequest) -> list[Mark]:
    words = visit.crm.table.vocabulary
    acts = [Mark(float(a.time_ms), words.word(a.kind, visit.lang)) for a in loaded.newest_of_people]
    return acts + [Mark(float(r.happened_at), _describe_record(r, visit)) for r in sales_records]


def _timeline(
    loaded: LeadOnPage, sales_records: list[SalesRecord], visit: PageRequest
) -> list[tuple[int, str, str, str]]:
    """What happened, newest first: when, what, why, by whom."""
    words = visit.crm.table.vocabulary
    acts = [
        (
            activity.time_ms,
            words.word(activity.kind, visit.lang),
            "" if activity.rule is None else visit.translate(f"lead_{activity.rule}"),
            "",
        )
        for activity in loaded.newest
    ]
    record_rows = [(r.happened_at, _describe_record(r, visit), r.reason, r.author) for r in sales_records]
    changes = [
        (time_ms, _describe_change(column, value, visit), "", "")
        for column, time_ms, value in loaded.now.stored.changes
    ]
    return sorted([*acts, *record_rows, *changes], key=lambda entry: -entry[0])[:TIMELINE_LIMIT]


def _describe_change(column: str, value: object, visit: PageRequest) -> str:
    words, lang, missing = visit.crm.table.vocabulary, visit.lang, visit.translate("missing")
    text = missing if value is None else words.value(column, to_text(value), lang)
    return visit.translate("reason", label=words.word(column, lang), value=text)


def _describe_record(record: SalesRecord, visit: PageRequest) -> str:
    due = "" if record.due_at is None else f" {from_ms(record.due_at).astimezone(visit.zone):%Y-%m-%d}"
    if record.kind == "opportunities":
        return visit.translate("lead_opportunities")
    return visit.translate(f"lead_{record.kind}_{record.code}") + due


def _find_errors(submitted: Mapping[str, str], until: date | None, visit: PageRequest) -> dict[str, str]:
    errors = {}
    if submitted.get("verdict") not in ("hot", "not_hot"):
        errors["verdict"] = visit.translate("lead_wrong_verdict")
    errors |= visit.note_error(submitted.get("reason", ""), "lead_wrong_reason")
    if submitted.get("until") and (until is None or end_of_day(until, visit) <= visit.now):
        errors["until"] = visit.translate("lead_wrong_until")
    return errors


ROUTES = (
    PageRoute("GET", "/leads", find_lead),
    PageRoute("GET", "/leads/{lead_id:path}", show),
    PageRoute("POST", "/leads/{lead_id:path}", record_action),
)
