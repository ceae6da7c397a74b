"""Where model and rules differ, why each says so, and who was right by a reviewer's word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy.engine import Connection
from starlette.responses import JSONResponse, Response

from features.clock import iso
from scoring.decision.score import Reason
from scoring.scorecard.scorecard import STAGES
from serving.review.charts.charts import Step, Waterfall
from serving.review.common.reasons import both_reasons
from serving.review.disagreements import queries
from serving.review.disagreements.queries import UNJUDGED, DisagreementRows, Side
from serving.review.web.csv_download import csv_response
from serving.review.web.forms import Fields, query_string, return_path
from serving.review.web.page_request import PageRequest, PageRoute
from serving.store.queries import ResultRow
from serving.web.field_errors import InvalidFields

PAGE_SIZE, MAX_STEPS, COUNTED_SECONDS = 20, 8, 60.0
_LIST_PATH, _FILTERS = "/review/disagreements", ("model", "rules", "higher")
_HIGHER: Mapping[str, Side] = {"model": "model", "rules": "rules"}
SIDES = ("model", "rules", "both", "neither")
_START = re.compile(r"[0-9]{1,9}")
COLUMNS = ("lead_id", "right_side", "reason", "by", "at", "model_version", "card_version")


@dataclass(frozen=True)
class Disagreement:
    """A lead on which the sides differ: what was told, its reasons by side, and the verdicts on it."""

    row: ResultRow
    why: Mapping[str, list[Reason]]
    waterfalls: list[Waterfall]
    verdicts: list[ResultRow]

    @property
    def right(self) -> str:
        """Which side the outcome of a closed lead speaks for."""
        higher = "model" if self.row.model_score > self.row.rules_score else "rules"
        lower = "rules" if higher == "model" else "model"
        return higher if self.row.outcome == "won" else lower


async def show(visit: PageRequest) -> Response:
    return await _render_page(visit, "", Fields(), Fields())


async def record_verdict(visit: PageRequest) -> Response:
    form, lead_id = await visit.form(), visit.request.path_params["lead_id"]
    submitted = Fields({name: str(value) for name, value in form.items()})
    errors = _find_errors(submitted, visit)
    if not errors:
        body = {
            "lead_id": lead_id,
            "right_side": submitted["right_side"],
            "reason": submitted["reason"].strip(),
            "by": visit.key.name,
            "at": iso(visit.now),
            "model_version": submitted["model_version"] or None,
            "card_version": submitted["card_version"] or None,
        }
        try:
            await visit.store_record("verdicts", body)
            path = return_path(submitted["back"], _LIST_PATH)
            return visit.redirect(path, message_key="disagreements_done")
        except InvalidFields as error:
            errors = Fields(visit.refusal_errors(error))
    return await _render_page(visit, lead_id, submitted, errors, 422)


async def export(visit: PageRequest) -> Response:
    """All verdicts, as CSV or JSON."""
    rows = await visit.read(queries.read_verdicts)
    records = [{**{name: getattr(row, name) for name in COLUMNS}, "at": iso(row.at)} for row in rows]
    if visit.path.endswith(".json"):
        return JSONResponse(records)
    return csv_response("verdicts", COLUMNS, [list(row.values()) for row in records])


async def _render_page(
    visit: PageRequest, lead_id: str, submitted: Fields, errors: Fields, status: int = 200
) -> Response:
    query = visit.request.query_params
    model = requested if (requested := query.get("model")) in (*STAGES, UNJUDGED) else None
    rules = requested if (requested := query.get("rules")) in STAGES else None
    higher = _HIGHER.get(query.get("higher", ""), "both")
    start = int(query["start"]) if _START.fullmatch(query.get("start", "")) else 0
    read, cache = visit.store.read, visit.cache
    closed, _ = await cache.get("closed-disputes", COUNTED_SECONDS, lambda: read(queries.read_closed_deals))
    ids = [row.lead_id for row in closed]
    rows, counts, verdicts = await visit.read(
        lambda connection: _read_open(connection, higher, model, rules, start, ids)
    )
    missed, made_at = await cache.get("never-hot", COUNTED_SECONDS, lambda: read(queries.read_never_hot))
    disputes = [_to_disagreement(row, verdicts, visit) for row in rows[:PAGE_SIZE]]
    closed_disputes = [_to_disagreement(row, verdicts, visit) for row in closed]
    opened = lead_id or query.get("lead", "")
    shown = [dispute for dispute in (*disputes, *closed_disputes) if dispute.row.lead_id == opened]
    await visit.draw_charts(chart for dispute in shown for chart in dispute.waterfalls)
    return visit.html(
        "disagreements.html",
        status,
        disputes=disputes,
        closed=closed_disputes,
        missed=missed,
        made_at=made_at,
        counts=counts,
        sides=SIDES,
        model=model,
        rules=rules,
        higher=higher,
        apart=queries.MIN_SCORE_GAP,
        here=_LIST_PATH + _query_string(visit, start),
        query=_query_string(visit, start),
        judged=lead_id,
        opened=opened,
        told=submitted,
        wrong=errors,
        elsewhere=lead_id and lead_id not in {*ids, *(row.lead_id for row in rows[:PAGE_SIZE])},
        next=_LIST_PATH + _query_string(visit, start + PAGE_SIZE) if len(rows) > PAGE_SIZE else "",
        previous=_LIST_PATH + _query_string(visit, max(0, start - PAGE_SIZE)) if start else "",
    )


def _read_open(
    connection: Connection, higher: Side, model: str | None, rules: str | None, start: int, closed: list[str]
) -> tuple[DisagreementRows, Mapping[str, int], DisagreementRows]:
    """The open leads of a page, the number of verdicts for each side, and the verdicts on the leads shown."""
    rows = queries.read_open_leads(connection, higher, model, rules, start, PAGE_SIZE + 1)
    ids = [*(row.lead_id for row in rows), *closed]
    return rows, queries.verdict_counts(connection), queries.read_verdicts(connection, ids)


def _to_disagreement(row: ResultRow, verdicts: DisagreementRows, visit: PageRequest) -> Disagreement:
    why = both_reasons(orjson.loads(row.detail), visit.scorer, visit.lang)
    waterfalls = [_reason_waterfall(side, why[side], row, visit) for side in ("model", "rules") if why[side]]
    return Disagreement(row, why, waterfalls, [v for v in verdicts if v.lead_id == row.lead_id])


def _reason_waterfall(side: str, why: list[Reason], row: ResultRow, visit: PageRequest) -> Waterfall:
    """A side's reasons as they were remembered: the strongest of the model, the points of the rules."""
    steps = [Step(reason.text, reason.weight) for reason in why[:MAX_STEPS]]
    if side == "rules":
        steps.append(Step(visit.translate("lead_points"), float(row.points), True))
    title = visit.translate(f"disagreements_fall_{side}")
    return Waterfall(title=title, steps=tuple(steps), digits=2 if side == "model" else 0)


def _find_errors(submitted: Fields, visit: PageRequest) -> Fields:
    errors = Fields()
    if submitted["right_side"] not in SIDES:
        errors["right_side"] = visit.translate("disagreements_wrong_side")
    errors |= visit.note_error(submitted["reason"], "disagreements_wrong_reason")
    return errors


def _query_string(visit: PageRequest, start: int) -> str:
    filters = {name: visit.request.query_params.get(name) for name in _FILTERS}
    return query_string(**filters, start=str(start) if start else None)


ROUTES = (
    PageRoute("GET", "/disagreements", show),
    PageRoute("GET", "/disagreements/verdicts.csv", export),
    PageRoute("GET", "/disagreements/verdicts.json", export),
    PageRoute("POST", "/disagreements/{lead_id:path}", record_verdict),
)
