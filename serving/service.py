"""The BentoML service: the web app mounted in it, and `score` and `score_batch` as endpoints of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Mapping
from functools import cache
from typing import Any

import bentoml
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.error_responses import ERRORS
from serving.api.routes import Api, error_response
from serving.app import create_app
from serving.components import Components
from serving.observability.log_format import request_id
from serving.review.site import Site
from serving.runtime.import_guard import BLOCK_IMPORTS_VARIABLE, block_heavy_imports
from serving.settings import ServiceSettings
from serving.web.middleware import EdgeMiddleware

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
def _site() -> Site:
    return Site(components())


@cache
def _app() -> ASGIApp:
    return create_app(_api(), _site())


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """The web app, made in the process that serves."""
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
        coroutines = (self._components.run_maintenance(), _site().warm_cache())
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
        params = _query_params(explain, lang, as_of)
        return await _respond(_api().score_lead(lead, params, request_id.get()))

    @bentoml.api
    async def score_batch(
        self, leads: list[dict[str, Any]], explain: str = "top", lang: str = "en", as_of: str = ""
    ) -> dict[str, Any]:
        """The answers for up to 5,000 leads: as POST /v1/score/batch."""
        params = _query_params(explain, lang, as_of)
        return await _respond(_api().score_leads(leads, params, request_id.get()))


Hotlead.add_asgi_middleware(BentoMiddleware)  # type: ignore[attr-defined]


def _query_params(explain: str, lang: str, as_of: str) -> Mapping[str, str]:
    return {"explain": explain, "lang": lang} | ({"as_of": as_of} if as_of else {})


async def _respond(answer: Awaitable[Response]) -> dict[str, Any]:
    """An answer, or that to its error, which BentoML passes on as it is."""
    try:
        return await answer  # type: ignore[return-value]
    except ERRORS as error:
        return error_response(error, request_id.get())  # type: ignore[return-value]
