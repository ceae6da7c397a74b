"""A lead: its scores over time and why, what is unknown, what would make it hot, and a person's word."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from features.clock import MS_PER_DAY, from_ms, iso
from features.columns import plain_text
from serving.review.calls.page import crm_link
from serving.review.charts.charts import Mark
from serving.review.common.sales_steps import Typed, day_of, end_of, take_step
from serving.review.lead.charts import model_waterfall, over_time, rules_waterfall
from serving.review.lead.queries import Deed, deeds
from serving.review.lead.rescore import Known, judged, known_at, known_lead
from serving.review.lead.what_if import changed_values, fields, turns
from serving.review.web.forms import Fields
from serving.review.web.page_request import PageRoute, Visit
from serving.store.store import StoreAway
from serving.web.problems import Problem, away

SHOWN, HAPPENED, DAYS = 200, 60, 14
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_STEP = Typed()
_MOMENT = re.compile("[0-9]{1,15}")


async def find(visit: Visit) -> Response:
    """To the page of the lead whose id was typed."""
    wanted = visit.request.query_params.get("lead_id", "").strip()
    return visit.back(f"/review/leads/{quote(wanted, safe='')}" if wanted else "/review/calls")


async def show(visit: Visit) -> Response:
    """The page of a lead."""
    return await _page(visit)


async def act(visit: Visit) -> Response:
    """What was done about a lead, or a person's word on it, by the form that was sent."""
    if "step" not in await visit.form():
        return await _override(visit)
    told = await take_step(visit)
    return await _page(visit, step=told, status=422) if isinstance(told, Typed) else told


async def _override(visit: Visit) -> Response:
    form, lead_id = await visit.form(), visit.request.path_params["lead_id"]
    told = {name: str(value) for name, value in form.items()}
    until = day_of(told.get("until", ""))
    body = {
        "lead_id": lead_id,
        "verdict": told.get("verdict"),
        "reason": told.get("reason", "").strip(),
        "by": visit.key.name,
        "at": iso(visit.now),
        "expires_at": None if until is None else iso(end_of(until, visit)),
    }
    wrong = _wrong(told, until, visit)
    if not wrong:
        try:
            await visit.send("overrides", body)
            await visit.score_anew(lead_id)
            return visit.back(f"/review/leads/{quote(lead_id, safe='')}", done="lead_done_override")
        except Problem as problem:
            wrong = visit.refused(problem)
    return await _page(visit, told, wrong, status=422)


async def _page(
    visit: Visit,
    told: Mapping[str, str] = _NOTHING,
    wrong: Mapping[str, str] = _NOTHING,
    step: Typed = _NO_STEP,
    status: int = 200,
) -> Response:
    lead_id = visit.request.path_params["lead_id"]
    lead, rows = await _read(visit, lead_id)
    done = await visit.see(lambda at: deeds(at, lead_id))
    answers = judged(visit.house, lead, {}, explain=True)
    score = answers.scores(visit.lang, visit.now, "all")[0]
    pictures = [over_time(rows, _marks(lead, done, visit), visit)] if rows else []
    falls = [model_waterfall(answers, visit), rules_waterfall(score, visit)]
    today = from_ms(visit.now).astimezone(visit.house.crm.zone).date()
    return visit.html(
        "lead.html",
        status,
        lead=lead,
        score=score,
        pictures=pictures,
        falls=[f for f in falls if f],
        rows=rows[:50],
        happened=_happened(lead, done, visit),
        what_if=await _what_if(visit, lead),
        told=Fields(told),
        wrong=Fields(wrong),
        today=today.isoformat(),
        link=crm_link(visit, lead_id),
        typed=step,
        until=(today + timedelta(days=DAYS)).isoformat(),
        lead_id=lead_id,
        here=f"/review/leads/{quote(lead_id, safe='')}",
    )


async def _read(visit: Visit, lead_id: str) -> tuple[Known, list[dict[str, Any]]]:
    """The lead and its remembered scores, newest first. Raises Problem: 404, 503."""
    store = visit.house.store
    try:
        lead = await asyncio.to_thread(known_lead, visit.house, lead_id, visit.now)
        return lead, await asyncio.to_thread(store.scores, lead_id, SHOWN)
    except StoreAway as problem:
        raise away("The store is away. Try again later.", problem.retry_after) from None


async def _what_if(visit: Visit, lead: Known) -> dict[str, Any]:
    """The form, what comes of it, and what would make the lead hot: all of the moment at which the form was
    made, for days since something go on while people look at it."""
    lead = known_at(visit.house, lead.stored, _made_at(visit))
    scorer, typed = visit.house.watch.in_use.scorer, dict(visit.request.query_params)
    changed, wrong = changed_values(typed, lead, scorer.table)
    asked, does = fields(typed, lead, wrong, scorer.card, scorer.table, visit.lang)
    after = judged(visit.house, lead, changed).scores(visit.lang, visit.now, "none")[0]
    hints = await asyncio.to_thread(turns, visit.house, lead, visit.lang)
    return {
        "asked": asked,
        "does": does,
        "changed": changed,
        "wrong": wrong,
        "at": lead.moment,
        "after": after,
        "turns": hints,
    }


def _made_at(visit: Visit) -> int:
    """When the form was made (ms UTC): now, where it does not tell, or tells of more than a day ago."""
    told = visit.request.query_params.get("at", "")
    made = int(told) if _MOMENT.fullmatch(told) else visit.now
    return made if visit.now - MS_PER_DAY <= made <= visit.now else visit.now


def _marks(lead: Known, done: list[Deed], visit: Visit) -> list[Mark]:
    words = visit.house.crm.table.vocabulary
    acts = [Mark(float(at), words.word(kind, visit.lang)) for kind, at, _ in lead.stored.events[-SHOWN:]]
    return acts + [Mark(float(deed.at), _in_words(deed, visit)) for deed in done]


def _happened(lead: Known, done: list[Deed], visit: Visit) -> list[tuple[int, str, str, str]]:
    """What happened, newest first: when, what, why, by whom."""
    words = visit.house.crm.table.vocabulary
    acts = [(at, words.word(kind, visit.lang), "", "") for kind, at, _ in lead.stored.events]
    told = [(deed.at, _in_words(deed, visit), deed.why, deed.by) for deed in done]
    changes = [
        (
            at,
            visit.say("reason", label=words.word(column, visit.lang), value=_value(column, value, visit)),
            "",
            "",
        )
        for column, at, value in lead.stored.changes
    ]
    return sorted([*acts, *told, *changes], key=lambda each: -each[0])[:HAPPENED]


def _value(column: str, value: object, visit: Visit) -> str:
    words, key = visit.house.crm.table.vocabulary, f"{column}={value}"
    if value is None:
        return visit.say("missing")
    return words.word(key, visit.lang) if key in words.words else plain_text(value)


def _in_words(deed: Deed, visit: Visit) -> str:
    due = "" if deed.due_at is None else f" {from_ms(deed.due_at).astimezone(visit.house.crm.zone):%Y-%m-%d}"
    if deed.kind == "opportunities":
        return visit.say("lead_opportunities")
    return visit.say(f"lead_{deed.kind}_{deed.what}") + due


def _wrong(told: Mapping[str, str], until: date | None, visit: Visit) -> dict[str, str]:
    wrong = {}
    if told.get("verdict") not in ("hot", "not_hot"):
        wrong["verdict"] = visit.say("lead_wrong_verdict")
    if not told.get("reason", "").strip():
        wrong["reason"] = visit.say("lead_wrong_reason")
    elif long := visit.too_long(told["reason"].strip()):
        wrong["reason"] = long
    if told.get("until") and (until is None or end_of(until, visit) <= visit.now):
        wrong["until"] = visit.say("lead_wrong_until")
    return wrong


ROUTES = (
    PageRoute("GET", "/leads", find),
    PageRoute("GET", "/leads/{lead_id:path}", show),
    PageRoute("POST", "/leads/{lead_id:path}", act),
)
