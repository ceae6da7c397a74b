"""The API at /v1: one function for each path, from the request to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from features.clock import iso
from serving.api.body_pool import MAX_INLINE_BYTES, BodyPool
from serving.api.openapi.document import build_openapi
from serving.api.openapi.downgrade import to_openapi_30
from serving.api.query_params import DocumentQuery, HistoryQuery, HotQuery, parse_query, score_options
from serving.api.responses import (
    TREND_ROWS,
    format_accepted,
    format_call_list,
    format_history,
    format_live_model,
    format_score,
)
from serving.components import Components
from serving.leads.batch import LeadError, parse_batch
from serving.leads.intake import AcceptedRecord
from serving.leads.lead_facts import LeadNotCreated, UnknownLead, parse_lead
from serving.leads.to_records import parse_records
from serving.predictions.call_list import read_call_list
from serving.predictions.predictor import ScoredLead
from serving.store.records import KINDS, RecordKind
from serving.store.store import StoreUnavailable
from serving.web.field_errors import FieldError, InvalidFields, NotJson, field_error
from serving.web.problems import (
    Problem,
    conflict,
    invalid_fields,
    not_found,
    not_json,
    problem_body,
    problem_response,
    store_unavailable,
    unsupported_media_type,
)

ERRORS: tuple[type[Exception], ...] = (
    Problem,
    InvalidFields,
    NotJson,
    UnknownLead,
    LeadNotCreated,
    StoreUnavailable,
)
"""The errors that have an answer of their own; any other is a fault of the service (500)."""


class Api:
    """The functions behind the paths."""

    def __init__(self, components: Components) -> None:
        self._components, self._predictor = components, components.predictor
        self._body_pool = BodyPool()
        document = build_openapi(components.crm)
        documents = {"3.1": document, "3.0": to_openapi_30(document)}
        self._openapi_documents = {version: orjson.dumps(body) for version, body in documents.items()}

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/score", self.score, methods=["POST"]),
            Route("/v1/score/batch", self.score_batch, methods=["POST"]),
            *(Route(f"/v1/{kind}", partial(self.create_records, kind), methods=["POST"]) for kind in KINDS),
            Route("/v1/scores", self.scores),
            Route("/v1/hot", self.hot),
            Route("/v1/model", self.model),
            Route("/v1/openapi.json", self.openapi),
            Route("/metrics", self.metrics),
        ]

    async def score(self, request: Request) -> Response:
        body = await _read_json(request)
        return await self.score_lead(body, request.query_params, request.state.request_id)

    async def score_batch(self, request: Request) -> Response:
        body = await _read_json(request)
        return await self.score_leads(body, request.query_params, request.state.request_id)

    async def score_lead(
        self, body: bytes | Mapping[str, object], params: Mapping[str, str], request_id: str | None
    ) -> Response:
        """The answer for one lead, from JSON or parsed JSON. Raises one of ERRORS."""
        now, schema = self._components.clock(), self._components.schema
        try:
            options = score_options(params, now, request_id)
        except InvalidFields as error:
            find = partial(_find_errors, partial(parse_lead, body, schema, now))
            body_errors = await self._body_pool.parse(find, len(body))
            raise InvalidFields([*error.errors, *body_errors], error.omitted) from None
        parse = partial(parse_lead, body, schema, options.live_now, as_of=options.as_of)
        size = len(body)
        lead = parse() if size <= MAX_INLINE_BYTES else await self._body_pool.parse(parse, size)
        return _json_response(format_score(await self._predictor.predict(lead, options)))

    async def score_leads(
        self, body: bytes | Sequence[object], params: Mapping[str, str], request_id: str | None
    ) -> Response:
        """The answer for a batch: 200, or 207 if some leads have errors. Raises one of ERRORS."""
        options = score_options(params, self._components.clock(), request_id)
        parse = partial(parse_batch, body, self._components.schema, options.live_now, options.as_of)
        with self._body_pool.hold(len(body)):
            async with self._predictor.batch_slot:
                batch = await self._body_pool.run(parse)
        results = await self._predictor.predict_batch(batch, options)
        failed = sum(not isinstance(result, ScoredLead) for result in results)
        content = {
            "scored": len(results) - failed,
            "failed": failed,
            "results": [_batch_result(result, request_id) for result in results],
        }
        return _json_response(content, HTTPStatus.MULTI_STATUS if failed else HTTPStatus.OK)

    async def create_records(self, kind: RecordKind, request: Request) -> Response:
        raw = await _read_json(request)
        is_list = raw.lstrip()[:1] == b"["
        parse = partial(parse_records, kind, raw, self._components.schema, self._components.clock())
        bodies = await self._body_pool.parse(parse, len(raw))
        accepted = await self._components.intake.accept(kind, bodies, request.state.key)
        _check_conflicts(accepted, is_list)
        results = [format_accepted(*pair, self._components.schema) for pair in accepted]
        is_created = any(outcome == "stored" for _, outcome in accepted)
        content = {"results": results} if is_list else results[0]
        return _json_response(content, HTTPStatus.CREATED if is_created else HTTPStatus.OK)

    async def scores(self, request: Request) -> Response:
        query = parse_query(HistoryQuery, request.query_params)
        rows = await asyncio.to_thread(self._components.store.scores, query.lead_id, TREND_ROWS)
        if not rows:
            raise not_found("This lead was not scored before. POST it to /v1/score.")
        return _json_response(format_history(query.lead_id, rows, query.limit))

    async def hot(self, request: Request) -> Response:
        components, now = self._components, self._components.clock()
        query = parse_query(HotQuery, request.query_params)
        page = await asyncio.to_thread(
            read_call_list,
            components.store,
            components.overrides,
            owner=query.owner,
            limit=query.limit,
            now=now,
            after=query.after,
        )
        card = components.model_watcher.live_model.scorer.card
        return _json_response(format_call_list(page, query.owner, card, query.lang, now))

    async def model(self, request: Request) -> Response:
        live_model = self._components.model_watcher.live_model
        return _json_response(format_live_model(live_model, self._components.clock()))

    async def openapi(self, request: Request) -> Response:
        query = parse_query(DocumentQuery, request.query_params)
        return Response(self._openapi_documents[query.version], media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        text, media_type = await asyncio.to_thread(self._components.metrics.render)
        return Response(text, headers={"content-type": media_type})


def to_problem(error: Exception) -> Problem:
    """The problem that answers one of ERRORS: 422, 400, 404 or 503."""
    match error:
        case Problem():
            return error
        case InvalidFields():
            return invalid_fields(error.errors, error.omitted)
        case NotJson():
            return not_json()
        case UnknownLead():
            return not_found(
                "Nothing was sent of this lead before. Send its attributes and activities "
                "in the body, or POST them to /v1/leads and /v1/activities."
            )
        case LeadNotCreated():
            allowed = f"a moment when the lead was there: it came at {iso(error.created)}"
            return invalid_fields([field_error("query.as_of", iso(error.as_of), allowed)])
        case StoreUnavailable():
            return store_unavailable(
                "The store is away. Try again later; a lead with attributes or activities in the body can be "
                "scored meanwhile.",
                error.retry_after,
            )
    raise error


def error_response(error: Exception, request_id: str | None) -> Response:
    return problem_response(to_problem(error), request_id)


async def handle_error(request: Request, error: Exception) -> Response:
    return error_response(error, request.state.request_id)


def _find_errors(parse: Callable[[], object]) -> Sequence[FieldError]:
    try:
        parse()
    except InvalidFields as error:
        return error.errors
    except NotJson:
        pass
    return ()


def _batch_result(result: ScoredLead | LeadError, request_id: str | None) -> dict[str, object]:
    if isinstance(result, ScoredLead):
        return {"status": 200, "answer": format_score(result), "problem": None}
    problem = to_problem(result)
    body = orjson.Fragment(problem_body(problem, request_id))
    return {"status": problem.status, "answer": None, "problem": body}


def _check_conflicts(accepted: Sequence[AcceptedRecord], is_list: bool) -> None:
    """Raise Problem (409) if an id was sent before with other content; the other records are stored."""
    errors = [
        field_error(
            f"body[{i}].id" if is_list else "body.id",
            record.key,
            "the content that was sent first, or a higher version",
        )
        for i, (record, outcome) in enumerate(accepted)
        if outcome == "conflict"
    ]
    if errors:
        others = f" The other {len(accepted) - len(errors):,} of the list are stored." if is_list else ""
        raise conflict(
            "What was sent is at odds with what was sent before under the same id. To correct it, send "
            f"it with a higher version.{others}",
            errors,
        )


async def _read_json(request: Request) -> bytes:
    """The body, if its headers say that it is plain JSON. Raises Problem (415)."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        detail = "Send the body as it is, without Content-Encoding."
        raise Problem(415, detail, {"Accept-Encoding": "identity"})
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise unsupported_media_type()
    return await request.body()


def _json_response(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
