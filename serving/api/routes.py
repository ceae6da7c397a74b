"""The API: one Starlette app, a thin function a path."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.api.openapi.document import build_openapi
from serving.api.openapi.downgrade import to_openapi_30
from serving.api.query_params import DocumentQuery, HistoryQuery, HotQuery, parse_query, score_options
from serving.api.responses import TREND_ROWS, format_call_list, format_history, format_live_model
from serving.components import Components
from serving.leads import bodies
from serving.leads.intake import MAX_INLINE_BYTES
from serving.leads.lead_facts import find_value_errors
from serving.leads.partial_parse import salvaged
from serving.predictions.call_list import read_call_list
from serving.predictions.predictor import Predictor, ScoredLead, ScoreOptions
from serving.review.site import Site
from serving.store.records import KINDS, RecordKind
from serving.store.store import StoreUnavailable
from serving.web.field_errors import FieldError, field_error
from serving.web.problems import (
    TITLES,
    Problem,
    from_validation_error,
    invalid_fields,
    not_found,
    problem_body,
    problem_response,
    store_unavailable,
    unsupported_media_type,
)


class Api:
    """The functions behind the paths, over the parts of one house."""

    def __init__(self, components: Components) -> None:
        self._components, self._predictor, self.site = components, components.predictor, Site(components)
        document = build_openapi(components.crm)
        documents = {"3.1": document, "3.0": to_openapi_30(document)}
        self._openapi_documents = {
            version: orjson.dumps(document_version) for version, document_version in documents.items()
        }

    def app(self) -> Starlette:
        """The Starlette app that carries the API."""
        routes = [
            Route("/v1/score", self.score, methods=["POST"]),
            Route("/v1/score/batch", self.score_batch, methods=["POST"]),
            *(Route(f"/v1/{kind}", partial(self.create_records, kind), methods=["POST"]) for kind in KINDS),
            Route("/v1/scores", self.scores),
            Route("/v1/hot", self.hot),
            Route("/v1/model", self.model),
            Route("/v1/openapi.json", self.openapi),
            Route("/metrics", self.metrics),
            *self.site.routes(),
        ]
        app = Starlette(routes=routes, exception_handlers={Problem: _handle_problem})
        app.router.redirect_slashes = False  # what is not there is a 404 for everybody
        return app

    async def score(self, request: Request) -> Response:
        raw = await _read_json(request)
        try:
            options = self._score_options(request)
        except Problem as problem:
            raise problem.with_errors(_find_lead_errors(raw, self._predictor)) from None
        read = partial(parse_lead, raw, self._predictor, options)
        lead = read() if len(raw) <= MAX_INLINE_BYTES else await asyncio.to_thread(read)
        answer = await self._predictor.predict(lead, options)
        return _json_response(answer.to_dict())

    async def score_batch(self, request: Request) -> Response:
        answers = await self._predictor.predict_batch(await _read_json(request), self._score_options(request))
        status, body = build_batch_response(answers, _request_id(request))
        return _json_response(body, status)

    async def create_records(self, kind: RecordKind, request: Request) -> Response:
        status, body = await self._components.intake.accept(kind, await _read_json(request))
        return _json_response(body, status)

    async def scores(self, request: Request) -> Response:
        query = parse_query(HistoryQuery, request.query_params)
        rows = await _read_store(self._components.store.scores, query.lead_id, TREND_ROWS)
        if not rows:
            raise not_found("This lead was not scored before. POST it to /v1/score.")
        return _json_response(format_history(query.lead_id, rows, query.limit))

    async def hot(self, request: Request) -> Response:
        query, now = parse_query(HotQuery, request.query_params), self._predictor.clock()
        components = self._components
        arguments = (components.store, components.overrides, query.owner, query.limit, now, query.after)
        page = await _read_store(read_call_list, *arguments)
        card = components.model_watcher.live_model.scorer.card
        return _json_response(format_call_list(page, query.owner, card, query.lang, now))

    async def model(self, request: Request) -> Response:
        return _json_response(format_live_model(self._components.model_watcher.live_model))

    async def openapi(self, request: Request) -> Response:
        query = parse_query(DocumentQuery, request.query_params)
        return Response(self._openapi_documents[query.version], media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        text, media_type = await asyncio.to_thread(self._components.metrics.render)
        return Response(text, headers={"content-type": media_type})

    def _score_options(self, request: Request) -> ScoreOptions:
        return score_options(request.query_params, self._predictor.clock(), _request_id(request))


def dump_json(value: object) -> bytes:
    """A value that was read from JSON, as JSON again. Raises Problem (422) where it holds more than we
    can read: whole numbers of more than 64 bits."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise invalid_fields([field_error("body", value, "whole numbers of at most 64 bits")]) from None


def unsupported_encoding() -> Problem:
    """415: the body is compressed."""
    detail = "Send the body as it is, without Content-Encoding."
    return Problem(415, TITLES[415], detail, headers={"Accept-Encoding": "identity"})


def parse_lead(raw: bytes, predictor: Predictor, options: ScoreOptions) -> bodies.Lead:
    """The lead of a body. Raises Problem: 400, 422."""
    try:
        return bodies.Lead.model_validate_json(raw)
    except ValidationError as error:
        problem = from_validation_error(error, model=bodies.Lead)
        now = predictor.clock() if options.as_of is None else None
        others = (find_value_errors(lead, predictor.schema, now) for lead in salvaged(bodies.Lead, raw))
        raise problem.with_errors(chain.from_iterable(others)) from None


def _find_lead_errors(raw: bytes, predictor: Predictor) -> Sequence[FieldError]:
    """What is wrong with a body, whatever its query asks for."""
    try:
        parse_lead(raw, predictor, ScoreOptions())
    except Problem as problem:
        return problem.errors
    return ()


def build_batch_response(
    answers: Sequence[ScoredLead | Problem], request_id: str | None
) -> tuple[int, dict[str, Any]]:
    """The answer to a batch: 200, or 207 where some leads have a problem of their own."""
    results = [_batch_result(answer, request_id) for answer in answers]
    failed = sum(isinstance(answer, Problem) for answer in answers)
    status = HTTPStatus.MULTI_STATUS if failed else HTTPStatus.OK
    return status, {"scored": len(results) - failed, "failed": failed, "results": results}


def _batch_result(answer: ScoredLead | Problem, request_id: str | None) -> dict[str, Any]:
    if isinstance(answer, Problem):
        problem = orjson.Fragment(problem_body(answer, request_id))
        return {"status": answer.status, "answer": None, "problem": problem}
    return {"status": 200, "answer": answer.to_dict(), "problem": None}


async def _read_json(request: Request) -> bytes:
    """The body, if it says that it is plain JSON. Raises Problem (415)."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise unsupported_encoding()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise unsupported_media_type()
    return await request.body()


async def _read_store(work: Any, *about: Any) -> Any:
    """Read from the store, beside the loop. Raises Problem (503)."""
    try:
        return await asyncio.to_thread(work, *about)
    except StoreUnavailable as problem:
        raise store_unavailable("The store is away. Try again later.", problem.retry_after) from None


def _request_id(request: Request) -> str | None:
    request_id: str | None = request.scope.get("state", {}).get("request_id")
    return request_id


def _json_response(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


async def _handle_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem_response(problem, _request_id(request))
