"""The BentoML service: the API mounted in it, and `score` and `score_batch` as its own endpoints."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from functools import cache
from typing import Any

import bentoml
import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from features.clock import now_ms
from serving.api.query_params import score_options
from serving.api.routes import Api, build_batch_response, dump_json, parse_lead
from serving.components import Components
from serving.observability.log_format import request_id
from serving.runtime.import_guard import BLOCK_IMPORTS_VARIABLE, block_heavy_imports
from serving.settings import ServiceSettings
from serving.web.middleware import EdgeMiddleware
from serving.web.problems import Problem, problem_response

SWITCH_SECONDS = 0.0005
"""So soon a thread that computes (a batch) lets another go on: with Python's 5 ms, one lead would wait
for that at each step of its way to the store and back."""

GC_THRESHOLDS = (50_000, 20, 50)
"""When the garbage collector looks: a batch makes tens of thousands of objects, none of them in circles,
and with Python's own thresholds it would look through all of them again and again."""

API_PREFIX = "/v1/"
"""Below this BentoML has no endpoints of its own."""


@cache
def components() -> Components:
    """The house of this process, opened when the first part of the service asks for it."""
    block_heavy_imports(os.environ)
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GC_THRESHOLDS)
    return Components.build(ServiceSettings.from_environment(os.environ))


@cache
def _api() -> Api:
    return Api(components())


@cache
def _app() -> ASGIApp:
    return _api().app()


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """The API, made in the process that serves."""
    await _app()(scope, receive, send)


class BentoMiddleware:
    """The door as BentoML takes it in: around all that the service answers, its own endpoints too.

    What is asked under /v1 goes straight to the API, past BentoML's routes; BentoML's time limit and
    lifespan lie around this.
    """

    def __init__(self, app: ASGIApp) -> None:
        async def inside(scope: Scope, receive: Receive, send: Send) -> None:
            ours = scope["type"] == "http" and scope["path"].startswith(API_PREFIX)
            await (_app() if ours else app)(scope, receive, send)

        h = components()
        self._door = EdgeMiddleware(inside, h.settings, h.key_cache, h.rate_limiter, h.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)


@bentoml.service(
    name="hotlead",
    workers=int(os.environ.get("HOTLEAD_WORKERS", "1")),
    metrics={"enabled": False},  # ours are at /metrics; BentoML's keep a series for each path
    logging={"access": {"enabled": False}},
    traffic={"timeout": 60},
    tracing={"excluded_urls": ".*"},  # our log and metrics tell what its spans would, for less
    envs=[{"name": BLOCK_IMPORTS_VARIABLE, "value": "1"}],
)
@bentoml.asgi_app(api, path="/", name="api")
class Hotlead:
    """Scores leads by model and rules; see docs/api.md."""

    def __init__(self) -> None:
        self._components = components()

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin to look for what changes, and to get the pages ready."""
        coroutines = (self._components.run_maintenance(), _api().site.warm_cache())
        self._background_tasks = [asyncio.create_task(work) for work in coroutines]

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Write what waits."""
        for task in self._background_tasks:
            task.cancel()
        await asyncio.to_thread(self._components.close)

    @bentoml.api
    async def score(
        self, lead: dict[str, Any], explain: str = "top", lang: str = "en", as_of: str = ""
    ) -> dict[str, Any]:
        """The answer for one lead: as POST /v1/score."""
        try:
            options = _parse_options(explain, lang, as_of)
            answer = await self._components.predictor.predict(
                parse_lead(dump_json(lead), self._components.predictor, options), options
            )
        except Problem as problem:
            return problem_response(problem, request_id.get())  # type: ignore[return-value]
        return _json_response(answer.to_dict())

    @bentoml.api
    async def score_batch(
        self, leads: list[dict[str, Any]], explain: str = "top", lang: str = "en", as_of: str = ""
    ) -> dict[str, Any]:
        """The answers for up to 5,000 leads: as POST /v1/score/batch."""
        try:
            options = _parse_options(explain, lang, as_of)
            answers = await self._components.predictor.predict_batch(dump_json({"leads": leads}), options)
        except Problem as problem:
            return problem_response(problem, request_id.get())  # type: ignore[return-value]
        status, body = build_batch_response(answers, request_id.get())
        return _json_response(body, status)


Hotlead.add_asgi_middleware(BentoMiddleware)  # type: ignore[attr-defined]


def _parse_options(explain: str, lang: str, as_of: str) -> Any:
    params = {"explain": explain, "lang": lang} | ({"as_of": as_of} if as_of else {})
    return score_options(params, now_ms(), request_id.get())


def _json_response(content: object, status: int = 200) -> Any:
    """An answer that BentoML passes on as it is."""
    return Response(orjson.dumps(content), status, media_type="application/json")
