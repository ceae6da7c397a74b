"""The call list: whom to call first and why, who is nearly hot, and what is due."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from sqlalchemy.engine import Connection
from starlette.responses import Response

from features.clock import from_ms
from scoring.decision.actions import ACCEPTED, FOLLOW_UP, action_of
from scoring.scorecard.scale import HOT_SCORE
from scoring.scorecard.scorecard import HOT
from serving.api.query_params import HotQuery, asked
from serving.predictions.call_list import Calls, calls
from serving.review.calls.queries import due_steps, nearly_hot
from serving.review.common.reasons import Why, both_reasons
from serving.review.common.sales_steps import Typed, end_of, take_step
from serving.review.web.page_request import PageRoute, Visit
from serving.store.rows import HotRow
from serving.store.store import StoreAway
from serving.web.problems import away

A_PAGE, NEAR, DUE = 25, 15, 50
_OPENED = frozenset({"owner", "after"})


@dataclass(frozen=True)
class Call:
    """A lead to call, as its card shows it."""

    row: HotRow
    late: bool
    text: str
    detail: dict[str, Any]
    why: dict[str, list[Why]]


@dataclass(frozen=True)
class Near:
    """A warm lead: how many points of the scale it lacks, and what nobody knows of it yet."""

    lead_id: str
    score: int
    lacks: int
    unknown: list[str]
    why: list[Why]


async def show(visit: Visit) -> Response:
    """The list."""
    return await _page(visit, Typed())


async def step(visit: Visit) -> Response:
    """Record what was done about a lead."""
    told = await take_step(visit)
    return await _page(visit, told, 422) if isinstance(told, Typed) else told


async def _page(visit: Visit, typed: Typed, status: int = 200) -> Response:
    told = {k: v for k, v in visit.request.query_params.items() if k in _OPENED}
    query = asked(HotQuery, told)
    page = await _listed(visit, query)
    today = from_ms(visit.now).astimezone(visit.house.crm.zone).date()
    near, due = await visit.see(lambda at: _others(at, visit, end_of(today, visit)))
    return visit.html(
        "calls.html",
        status,
        calls=[_call(row, visit) for row in page.rows],
        page=page,
        owner=query.owner,
        total=sum(page.owners.values()),
        near=[_near(row, visit) for row in near],
        due=due,
        typed=typed,
        here=_address(query.owner, query.after),
        query=_query(query.owner, query.after),
        next=page.next and _address(query.owner, page.next),
        elsewhere=typed.lead_id and typed.lead_id not in {row.lead_id for row in page.rows},
        started=query.after is not None,
        today=today.isoformat(),
        link=crm_link,
    )


async def _listed(visit: Visit, query: HotQuery) -> Calls:
    house = visit.house
    try:
        return await asyncio.to_thread(
            calls, house.store, house.said, query.owner, A_PAGE, visit.now, query.after
        )
    except StoreAway as problem:
        raise away("The store is away. Try again later.", problem.retry_after) from None


def _others(connection: Connection, visit: Visit, until: int) -> tuple[Any, Any]:
    near = nearly_hot(connection, NEAR, visit.house.said, visit.now)
    return near, due_steps(connection, until, DUE)


def _call(row: HotRow, visit: Visit) -> Call:
    scorer, detail = visit.house.watch.in_use.scorer, orjson.loads(row.detail)
    accepted = row.action == FOLLOW_UP
    past = row.deadline is not None and row.deadline < visit.now
    late = past and (accepted or row.first_contact_at is None)
    text = action_of(scorer.card, ACCEPTED if accepted else HOT).text.text(visit.lang)
    return Call(row, late, text, detail, both_reasons(detail, scorer, visit.lang))


def _near(row: Any, visit: Visit) -> Near:
    detail = orjson.loads(row.detail)
    why = both_reasons(detail, visit.house.watch.in_use.scorer, visit.lang)
    unknown = [visit.say(role) for role in detail.get("unknown") or ()]
    return Near(row.lead_id, row.score, HOT_SCORE - row.score, unknown, [*why["rules"], *why["model"]][:3])


def crm_link(visit: Visit, lead_id: str) -> str | None:
    """Where the CRM shows a lead, where crm.toml says so."""
    told = visit.house.crm.review.lead_link
    return told and told.replace("{lead_id}", quote(lead_id, safe=""))


def _address(owner: str | None, after: str | None) -> str:
    return "/review/calls" + _query(owner, after)


def _query(owner: str | None, after: str | None) -> str:
    told = {name: value for name, value in (("owner", owner), ("after", after)) if value}
    return f"?{urlencode(told)}" if told else ""


ROUTES = (PageRoute("GET", "/calls", show), PageRoute("POST", "/calls/{lead_id:path}", step))
