"""The call list: whom to call first and why, who is nearly hot, and what is due."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import orjson
from sqlalchemy.engine import Connection
from starlette.responses import Response

from features.clock import from_ms
from scoring.decision.actions import ACCEPTED, FOLLOW_UP, action_of
from scoring.decision.score import Reason
from scoring.scorecard.scale import HOT_SCORE
from scoring.scorecard.scorecard import HOT
from serving.api.query_params import HotQuery, parse_query
from serving.predictions.call_list import is_overdue, read_call_list
from serving.review.calls.queries import CallRows, read_due_steps, read_nearly_hot
from serving.review.common.reasons import StoredDetail, both_reasons
from serving.review.common.sales_steps import FormState, end_of_day, record_step
from serving.review.web.forms import query_string
from serving.review.web.page_request import PageRequest, PageRoute
from serving.store.queries import ResultRow
from serving.store.records import HotRow

PAGE_SIZE, NEARLY_HOT_LIMIT, DUE_LIMIT = 25, 15, 50
_LIST_PATH = "/review/calls"
_LIST_PARAMS = frozenset({"owner", "after"})


@dataclass(frozen=True, kw_only=True)
class CallCard:
    """A lead to call, as its card shows it; `expected` is its expected value."""

    row: HotRow
    late: bool
    text: str
    detail: StoredDetail
    why: dict[str, list[Reason]]
    amount: float | None
    expected: float | None


@dataclass(frozen=True)
class NearlyHotLead:
    """A warm lead: how many points of the scale it lacks, and what nobody knows of it yet."""

    lead_id: str
    score: int
    lacks: int
    unknown: list[str]
    why: list[Reason]


async def show(visit: PageRequest) -> Response:
    return await _render_page(visit, FormState())


async def submit_step(visit: PageRequest) -> Response:
    result = await record_step(visit)
    return await _render_page(visit, result, 422) if isinstance(result, FormState) else result


async def _render_page(visit: PageRequest, typed: FormState, status: int = 200) -> Response:
    params = {k: v for k, v in visit.request.query_params.items() if k in _LIST_PARAMS}
    query = parse_query(HotQuery, params)
    read_page = partial(read_call_list, owner=query.owner, limit=PAGE_SIZE, now=visit.now, after=query.after)
    page = await asyncio.to_thread(read_page, visit.store, visit.overrides)
    today = from_ms(visit.now).astimezone(visit.zone).date()
    warm_leads, due = await visit.read(
        lambda connection: _read_side_lists(connection, visit, end_of_day(today, visit))
    )
    return visit.html(
        "calls.html",
        status,
        calls=[_call_card(row, visit) for row in page.rows],
        page=page,
        owner=query.owner,
        total=sum(page.owners.values()),
        near=[_nearly_hot_lead(row, visit) for row in warm_leads],
        due=due,
        typed=typed,
        here=_LIST_PATH + query_string(owner=query.owner, after=query.after),
        query=query_string(owner=query.owner, after=query.after),
        next=page.next and _LIST_PATH + query_string(owner=query.owner, after=page.next),
        elsewhere=typed.lead_id and typed.lead_id not in {row.lead_id for row in page.rows},
        started=query.after is not None,
        today=today.isoformat(),
        link=visit.crm_link,
    )


def _read_side_lists(connection: Connection, visit: PageRequest, until: int) -> tuple[CallRows, CallRows]:
    warm_leads = read_nearly_hot(connection, NEARLY_HOT_LIMIT, visit.overrides, visit.now)
    return warm_leads, read_due_steps(connection, until, DUE_LIMIT)


def _call_card(row: HotRow, visit: PageRequest) -> CallCard:
    scorer, detail = visit.scorer, orjson.loads(row.detail)
    accepted = row.action == FOLLOW_UP
    text = action_of(scorer.card, ACCEPTED if accepted else HOT).text.text(visit.lang)
    return CallCard(
        row=row,
        late=is_overdue(row, visit.now),
        text=text,
        detail=detail,
        why=both_reasons(detail, scorer, visit.lang),
        amount=detail.get("amount"),
        expected=detail.get("expected_value"),
    )


def _nearly_hot_lead(row: ResultRow, visit: PageRequest) -> NearlyHotLead:
    detail = orjson.loads(row.detail)
    why = both_reasons(detail, visit.scorer, visit.lang)
    unknown = [visit.translate(role) for role in detail.get("unknown") or ()]
    return NearlyHotLead(
        row.lead_id, row.score, HOT_SCORE - row.score, unknown, [*why["rules"], *why["model"]][:3]
    )


ROUTES = (PageRoute("GET", "/calls", show), PageRoute("POST", "/calls/{lead_id:path}", submit_step))
