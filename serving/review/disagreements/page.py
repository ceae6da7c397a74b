"""Where model and rules differ, why each says so, and who was right by a reviewer's word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from sqlalchemy.engine import Connection
from starlette.responses import JSONResponse, Response

from features.clock import iso
from scoring.scorecard.scorecard import STAGES
from serving.review.charts.charts import Step, Waterfall
from serving.review.common.reasons import Why, both_reasons
from serving.review.disagreements.queries import (
    LEAST_APART,
    UNJUDGED,
    closed_deals,
    counted,
    never_hot,
    open_leads,
    verdicts,
)
from serving.review.web.csv_download import csv_answer
from serving.review.web.forms import Fields
from serving.review.web.page_request import PageRoute, Visit
from serving.web.problems import Problem

A_PAGE, CLOSED, MISSED, MOST_STEPS, COUNTED_SECONDS = 20, 25, 25, 8, 60.0
SIDES = ("model", "rules", "both", "neither")
_START = re.compile(r"[0-9]{1,9}")
COLUMNS = ("lead_id", "right_side", "reason", "by", "at", "model_version", "card_version")


@dataclass(frozen=True)
class Dispute:
    """A lead on which the sides differ: what was told, its reasons by side, and the verdicts on it."""

    row: Any
    why: Mapping[str, list[Why]]
    falls: list[Waterfall]
    verdicts: list[Any]

    @property
    def right(self) -> str:
        """Which side the outcome of a closed lead speaks for."""
        higher = "model" if self.row.model_score > self.row.rules_score else "rules"
        other = "rules" if higher == "model" else "model"
        return higher if self.row.outcome == "won" else other


async def show(visit: Visit) -> Response:
    """The list."""
    return await _page(visit, "", Fields(), Fields())


async def judge(visit: Visit) -> Response:
    """A reviewer says who was right, and why."""
    form, lead_id = await visit.form(), visit.request.path_params["lead_id"]
    told = Fields({name: str(value) for name, value in form.items()})
    wrong = _wrong(told, visit)
    if not wrong:
        body = {
            "lead_id": lead_id,
            "right_side": told["right_side"],
            "reason": told["reason"].strip(),
            "by": visit.key.name,
            "at": iso(visit.now),
            "model_version": told["model_version"] or None,
            "card_version": told["card_version"] or None,
        }
        try:
            await visit.send("verdicts", body)
            return visit.back(_place(told["back"]), done="disagreements_done")
        except Problem as problem:
            wrong = Fields(visit.refused(problem))
    return await _page(visit, lead_id, told, wrong, 422)


async def export(visit: Visit) -> Response:
    """All verdicts, as CSV or JSON."""
    rows = await visit.see(verdicts)
    told = [{**{name: getattr(row, name) for name in COLUMNS}, "at": iso(row.at)} for row in rows]
    if visit.path.endswith(".json"):
        return JSONResponse(told)
    return csv_answer("verdicts", COLUMNS, [list(row.values()) for row in told])


async def _page(visit: Visit, lead_id: str, told: Fields, wrong: Fields, status: int = 200) -> Response:
    query = visit.request.query_params
    model = asked if (asked := query.get("model")) in (*STAGES, UNJUDGED) else None
    rules = asked if (asked := query.get("rules")) in STAGES else None
    higher = query.get("higher", "both")
    higher = higher if higher in ("model", "rules") else "both"
    start = int(query["start"]) if _START.fullmatch(query.get("start", "")) else 0
    closed, _ = await visit.kept("closed-disputes", COUNTED_SECONDS, lambda: visit.house.store.see(_closed))
    found = await visit.see(lambda at: _read(at, higher, model, rules, start, closed))
    missed, made_at = await visit.kept("never-hot", COUNTED_SECONDS, lambda: visit.house.store.see(_missed))
    return visit.html(
        "disagreements.html",
        status,
        disputes=[_dispute(row, found, visit) for row in found["rows"][:A_PAGE]],
        closed=[_dispute(row, found, visit) for row in closed],
        missed=missed,
        made_at=made_at,
        counts=found["counts"],
        sides=SIDES,
        model=model,
        rules=rules,
        higher=higher,
        apart=LEAST_APART,
        here=_address(visit, start),
        query=_query(visit, start),
        judged=lead_id,
        told=told,
        wrong=wrong,
        elsewhere=lead_id and lead_id not in {row.lead_id for row in [*found["rows"][:A_PAGE], *closed]},
        next=_address(visit, start + A_PAGE) if len(found["rows"]) > A_PAGE else "",
        previous=_address(visit, max(0, start - A_PAGE)) if start else "",
    )


def _read(
    connection: Connection,
    higher: Any,
    model: str | None,
    rules: str | None,
    start: int,
    closed: Any,
) -> dict[str, Any]:
    rows = open_leads(connection, higher, model, rules, start, A_PAGE + 1)
    ids = [row.lead_id for row in [*rows, *closed]]
    return {"rows": rows, "counts": counted(connection), "verdicts": verdicts(connection, ids)}


def _closed(connection: Connection) -> Any:
    return closed_deals(connection, CLOSED)


def _missed(connection: Connection) -> Any:
    return never_hot(connection, MISSED)


def _dispute(row: Any, found: Mapping[str, Any], visit: Visit) -> Dispute:
    why = both_reasons(orjson.loads(row.detail), visit.house.watch.in_use.scorer, visit.lang)
    falls = [_fall(side, why[side], row, visit) for side in ("model", "rules") if why[side]]
    said = [each for each in found["verdicts"] if each.lead_id == row.lead_id]
    return Dispute(row, why, falls, said)


def _fall(side: str, why: list[Why], row: Any, visit: Visit) -> Waterfall:
    """A side's reasons as they were remembered: the strongest of the model, the points of the rules."""
    steps = [Step(each.text, each.weight) for each in why[:MOST_STEPS]]
    if side == "rules":
        steps.append(Step(visit.say("lead_points"), float(row.points), True))
    return Waterfall(visit.say(f"disagreements_fall_{side}"), steps, digits=2 if side == "model" else 0)


def _wrong(told: Fields, visit: Visit) -> Fields:
    wrong = Fields()
    if told["right_side"] not in SIDES:
        wrong["right_side"] = visit.say("disagreements_wrong_side")
    if not told["reason"].strip():
        wrong["reason"] = visit.say("disagreements_wrong_reason")
    elif long := visit.too_long(told["reason"].strip()):
        wrong["reason"] = long
    return wrong


def _address(visit: Visit, start: int) -> str:
    return "/review/disagreements" + _query(visit, start)


def _query(visit: Visit, start: int) -> str:
    kept = {k: v for k, v in visit.request.query_params.items() if k in ("model", "rules", "higher")}
    told = {**kept, "start": str(start)} if start else kept
    return f"?{urlencode(told, quote_via=quote)}" if told else ""


def _place(told: str) -> str:
    return told if told.startswith("/review/disagreements") else "/review/disagreements"


ROUTES = (
    PageRoute("GET", "/disagreements", show),
    PageRoute("GET", "/disagreements/verdicts.csv", export),
    PageRoute("GET", "/disagreements/verdicts.json", export),
    PageRoute("POST", "/disagreements/{lead_id:path}", judge),
)
