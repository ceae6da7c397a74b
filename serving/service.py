"""The BentoML service. Everything that concerns BentoML is in this file.

BentoML starts the workers, passes requests on and drains them at the end; `score` and `score_batch` are its
own endpoints, for its clients. The rest of what it offers is switched off or replaced:

* routes: paths below /v1/ go straight to the API, because BentoML's router costs time at every request;
* metrics: BentoML keeps a series for each path, ids included; ours are at /metrics;
* access log, other logs: they contain paths and values of requests; see serving/observability;
* tracing: its spans repeat what log and metrics have, and cost time;
* errors: BentoML answers an invalid body with its values; EdgeMiddleware replaces errors by problems;
* body limit, keys, permissions and the time of a request: EdgeMiddleware lies around BentoML's app;
* headers and connections: serving/web/http_protocol.py, which uvicorn uses instead of its own protocol;
* pandas and scikit-learn: see serving/runtime/import_guard.py.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Mapping
from functools import cache

import bentoml
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.routes import ERRORS, Api, error_response
from serving.app import create_app
from serving.components import Components
from serving.observability.json_logging import request_id
from serving.review.site import Site
from serving.runtime.file_access import restrict_new_files
from serving.runtime.import_guard import BLOCK_IMPORTS_VARIABLE, block_heavy_imports
from serving.runtime.orphans import stop_without_parent
from serving.settings import ServiceSettings
from serving.web.http_protocol import use_bounded_protocol
from serving.web.middleware import EdgeMiddleware

SWITCH_SECONDS = 0.0005
"""How long one thread may compute before another runs. With Python's 5 ms a single lead would wait for a
batch that long at each step."""

GC_THRESHOLDS = (50_000, 20, 50)
"""A batch makes tens of thousands of objects without cycles; with Python's thresholds the garbage collector
would scan them repeatedly."""

LAST_RESORT_SECONDS = 600
"""BentoML's own time limit, far above that of the edge, whose answer has the documented form."""

API_PREFIX = "/v1/"
"""Paths with this prefix go to the API, past BentoML's router."""


@cache
def components() -> Components:
    """The components of this process, built at first use."""
    restrict_new_files(os.environ)
    block_heavy_imports(os.environ)
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GC_THRESHOLDS)
    return Components(ServiceSettings.from_environment(os.environ))


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
    """The app as BentoML mounts it; built at the first request."""
    await _app()(scope, receive, send)


class BentoMiddleware:
    """EdgeMiddleware in the form that BentoML accepts, around BentoML's endpoints too.

    Only BentoML's timeout and lifespan lie further out.
    """

    def __init__(self, app: ASGIApp) -> None:
        async def route(scope: Scope, receive: Receive, send: Send) -> None:
            is_api = scope["type"] == "http" and scope["path"].startswith(API_PREFIX)
            await (_app() if is_api else app)(scope, receive, send)

        parts = components()
        self._edge = EdgeMiddleware(
            route, parts.settings, parts.authenticator, parts.metrics, parts.overrides
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)


@bentoml.service(
    name="hotlead",
    workers=int(os.environ.get("HOTLEAD_WORKERS", "1")),
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    traffic={"timeout": LAST_RESORT_SECONDS},
    tracing={"excluded_urls": ".*"},
    envs=[{"name": BLOCK_IMPORTS_VARIABLE, "value": "1"}],
)
@bentoml.asgi_app(api, path="/", name="api")
class Hotlead:
    """Scores leads by model and rules; see docs/api.md."""

    def __init__(self) -> None:
        self._components = components()

    @bentoml.on_startup
    async def start(self) -> None:
        coroutines = (self._components.run_maintenance(), _site().warm_cache(), stop_without_parent())
        self._background_tasks = [asyncio.create_task(work) for work in coroutines]

    @bentoml.on_shutdown
    async def stop(self) -> None:
        for task in self._background_tasks:
            task.cancel()
        await asyncio.to_thread(self._components.close)

    @bentoml.api
    async def score(
        self, lead: dict[str, object], explain: str = "top", lang: str = "en", as_of: str = ""
    ) -> dict[str, object]:
        """The answer for one lead: as POST /v1/score."""
        params = _query_params(explain, lang, as_of)
        return await _respond(_api().score_lead(lead, params, request_id.get()))

    @bentoml.api
    async def score_batch(
        self, leads: list[dict[str, object]], explain: str = "top", lang: str = "en", as_of: str = ""
    ) -> dict[str, object]:
        """The answers for up to 5,000 leads: as POST /v1/score/batch."""
        params = _query_params(explain, lang, as_of)
        return await _respond(_api().score_leads(leads, params, request_id.get()))


Hotlead.add_asgi_middleware(BentoMiddleware)  # type: ignore[attr-defined]
use_bounded_protocol()  # here, because uvicorn chooses its protocol before anything of the service is built


def _query_params(explain: str, lang: str, as_of: str) -> Mapping[str, str]:
    return {"explain": explain, "lang": lang} | ({"as_of": as_of} if as_of else {})


async def _respond(answer: Awaitable[Response]) -> dict[str, object]:
    """An answer, or that to its error, which BentoML passes on as it is."""
    try:
        return await answer  # type: ignore[return-value]
    except ERRORS as error:
        return error_response(error, request_id.get())  # type: ignore[return-value]
