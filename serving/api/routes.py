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

from serving.api.openapi.document import openapi
from serving.api.openapi.downgrade import simple_openapi
from serving.api.query_params import DocumentQuery, HistoryQuery, HotQuery, ask_of, asked
from serving.api.responses import TREND_ROWS, call_list, history, model_in_use
from serving.components import House
from serving.leads import bodies
from serving.leads.intake import LARGE
from serving.leads.lead_facts import wrong_values
from serving.leads.partial_parse import salvaged
from serving.predictions.call_list import calls
from serving.predictions.predictor import Answer, Ask, Desk
from serving.review.site import Site
from serving.store.records import KINDS, Kind
from serving.store.store import StoreAway
from serving.web.field_errors import Wrong, wrong
from serving.web.problems import (
    TITLES,
    Problem,
    away,
    not_found,
    of_validation,
    problem_body,
    problem_response,
    wrong_fields,
    wrong_media_type,
)


class Api:
    """The functions behind the paths, over the parts of one house."""

    def __init__(self, house: House) -> None:
        self._house, self._desk, self.site = house, house.desk, Site(house)
        document = openapi(house.crm)
        told = {"3.1": document, "3.0": simple_openapi(document)}
        self._described = {version: orjson.dumps(each) for version, each in told.items()}

    def app(self) -> Starlette:
        """The Starlette app that carries the API."""
        routes = [
            Route("/v1/score", self.score, methods=["POST"]),
            Route("/v1/score/batch", self.score_batch, methods=["POST"]),
            *(Route(f"/v1/{kind}", partial(self.take, kind), methods=["POST"]) for kind in KINDS),
            Route("/v1/scores", self.scores),
            Route("/v1/hot", self.hot),
            Route("/v1/model", self.model),
            Route("/v1/openapi.json", self.described),
            Route("/metrics", self.metrics),
            *self.site.routes(),
        ]
        app = Starlette(routes=routes, exception_handlers={Problem: _problem})
        app.router.redirect_slashes = False  # what is not there is a 404 for everybody
        return app

    async def score(self, request: Request) -> Response:
        raw = await _json(request)
        try:
            ask = self._ask(request)
        except Problem as problem:
            raise problem.beside(_wrong_lead(raw, self._desk)) from None
        read = partial(lead_of, raw, self._desk, ask)
        lead = read() if len(raw) <= LARGE else await asyncio.to_thread(read)
        answer = await self._desk.one(lead, ask)
        return _answer(answer.plain())

    async def score_batch(self, request: Request) -> Response:
        answers = await self._desk.many(await _json(request), self._ask(request))
        status, told = batch_answer(answers, _request_id(request))
        return _answer(told, status)

    async def take(self, kind: Kind, request: Request) -> Response:
        status, told = await self._house.intake.take(kind, await _json(request))
        return _answer(told, status)

    async def scores(self, request: Request) -> Response:
        query = asked(HistoryQuery, request.query_params)
        rows = await _read(self._house.store.scores, query.lead_id, TREND_ROWS)
        if not rows:
            raise not_found("This lead was not scored before. POST it to /v1/score.")
        return _answer(history(query.lead_id, rows, query.limit))

    async def hot(self, request: Request) -> Response:
        query, now = asked(HotQuery, request.query_params), self._desk.clock()
        house = self._house
        told = (house.store, house.said, query.owner, query.limit, now, query.after)
        page = await _read(calls, *told)
        card = house.watch.in_use.scorer.card
        return _answer(call_list(page, query.owner, card, query.lang, now))

    async def model(self, request: Request) -> Response:
        return _answer(model_in_use(self._house.watch.in_use))

    async def described(self, request: Request) -> Response:
        query = asked(DocumentQuery, request.query_params)
        return Response(self._described[query.version], media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        told, media_type = await asyncio.to_thread(self._house.metrics.exposition)
        return Response(told, headers={"content-type": media_type})

    def _ask(self, request: Request) -> Ask:
        return ask_of(request.query_params, self._desk.clock(), _request_id(request))


def json_of(told: object) -> bytes:
    """A value that was read from JSON, as JSON again. Raises Problem (422) where it holds more than we
    can read: whole numbers of more than 64 bits."""
    try:
        return orjson.dumps(told)
    except orjson.JSONEncodeError:
        raise wrong_fields([wrong("body", told, "whole numbers of at most 64 bits")]) from None


def wrong_coding() -> Problem:
    """415: the body is compressed."""
    told = "Send the body as it is, without Content-Encoding."
    return Problem(415, TITLES[415], told, headers={"Accept-Encoding": "identity"})


def lead_of(raw: bytes, desk: Desk, ask: Ask) -> bodies.Lead:
    """The lead of a body. Raises Problem: 400, 422."""
    try:
        return bodies.Lead.model_validate_json(raw)
    except ValidationError as error:
        problem = of_validation(error, model=bodies.Lead)
        now = desk.clock() if ask.as_of is None else None
        others = (wrong_values(each, desk.how, now) for each in salvaged(bodies.Lead, raw))
        raise problem.beside(chain.from_iterable(others)) from None


def _wrong_lead(raw: bytes, desk: Desk) -> Sequence[Wrong]:
    """What is wrong with a body, whatever its query asks for."""
    try:
        lead_of(raw, desk, Ask())
    except Problem as problem:
        return problem.errors
    return ()


def batch_answer(answers: Sequence[Answer | Problem], request_id: str | None) -> tuple[int, dict[str, Any]]:
    """The answer to a batch: 200, or 207 where some leads have a problem of their own."""
    results = [_result(each, request_id) for each in answers]
    failed = sum(isinstance(each, Problem) for each in answers)
    status = HTTPStatus.MULTI_STATUS if failed else HTTPStatus.OK
    return status, {"scored": len(results) - failed, "failed": failed, "results": results}


def _result(each: Answer | Problem, request_id: str | None) -> dict[str, Any]:
    if isinstance(each, Problem):
        problem = orjson.Fragment(problem_body(each, request_id))
        return {"status": each.status, "answer": None, "problem": problem}
    return {"status": 200, "answer": each.plain(), "problem": None}


async def _json(request: Request) -> bytes:
    """The body, if it says that it is plain JSON. Raises Problem (415)."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise wrong_coding()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise wrong_media_type()
    return await request.body()


async def _read(work: Any, *about: Any) -> Any:
    """Read from the store, beside the loop. Raises Problem (503)."""
    try:
        return await asyncio.to_thread(work, *about)
    except StoreAway as problem:
        raise away("The store is away. Try again later.", problem.retry_after) from None


def _request_id(request: Request) -> str | None:
    told: str | None = request.scope.get("state", {}).get("request_id")
    return told


def _answer(told: object, status: int = 200) -> Response:
    return Response(orjson.dumps(told), status, media_type="application/json")


async def _problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem_response(problem, _request_id(request))
