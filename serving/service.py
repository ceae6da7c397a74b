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
from serving.api.query_params import ask_of
from serving.api.routes import Api, batch_answer, json_of, lead_of
from serving.components import House
from serving.observability.log_format import request_id
from serving.runtime.import_guard import SWITCH, stay_light
from serving.settings import ServiceSettings
from serving.web.middleware import Door
from serving.web.problems import Problem, problem_response

SWITCH_SECONDS = 0.0005
"""So soon a thread that computes (a batch) lets another go on: with Python's 5 ms, one lead would wait
for that at each step of its way to the store and back."""

GARBAGE = (50_000, 20, 50)
"""When the garbage collector looks: a batch makes tens of thousands of objects, none of them in circles,
and with Python's own thresholds it would look through all of them again and again."""

OURS = "/v1/"
"""Below this BentoML has no endpoints of its own."""


@cache
def house() -> House:
    """The house of this process, opened when the first part of the service asks for it."""
    stay_light(os.environ)
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GARBAGE)
    return House.open(ServiceSettings.from_environment(os.environ))


@cache
def _api() -> Api:
    return Api(house())


@cache
def _app() -> ASGIApp:
    return _api().app()


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """The API, made in the process that serves."""
    await _app()(scope, receive, send)


class Entrance:
    """The door as BentoML takes it in: around all that the service answers, its own endpoints too.

    What is asked under /v1 goes straight to the API, past BentoML's routes; BentoML's time limit and
    lifespan lie around this.
    """

    def __init__(self, app: ASGIApp) -> None:
        async def inside(scope: Scope, receive: Receive, send: Send) -> None:
            ours = scope["type"] == "http" and scope["path"].startswith(OURS)
            await (_app() if ours else app)(scope, receive, send)

        h = house()
        self._door = Door(inside, h.settings, h.keyring, h.limits, h.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)


@bentoml.service(
    name="hotlead",
    workers=int(os.environ.get("HOTLEAD_WORKERS", "1")),
    metrics={"enabled": False},  # ours are at /metrics; BentoML's keep a series for each path
    logging={"access": {"enabled": False}},
    traffic={"timeout": 60},
    tracing={"excluded_urls": ".*"},  # our log and metrics tell what its spans would, for less
    envs=[{"name": SWITCH, "value": "1"}],
)
@bentoml.asgi_app(api, path="/", name="api")
class Hotlead:
    """Scores leads by model and rules; see docs/api.md."""

    def __init__(self) -> None:
        self._house = house()

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin to look for what changes, and to get the pages ready."""
        beside = (self._house.keep_house(), _api().site.look_ahead())
        self._beside = [asyncio.create_task(work) for work in beside]

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Write what waits."""
        for task in self._beside:
            task.cancel()
        await asyncio.to_thread(self._house.close)

    @bentoml.api
    async def score(
        self, lead: dict[str, Any], explain: str = "top", lang: str = "en", as_of: str = ""
    ) -> dict[str, Any]:
        """The answer for one lead: as POST /v1/score."""
        try:
            ask = _ask(explain, lang, as_of)
            answer = await self._house.desk.one(lead_of(json_of(lead), self._house.desk, ask), ask)
        except Problem as problem:
            return problem_response(problem, request_id.get())  # type: ignore[return-value]
        return _raw(answer.plain())

    @bentoml.api
    async def score_batch(
        self, leads: list[dict[str, Any]], explain: str = "top", lang: str = "en", as_of: str = ""
    ) -> dict[str, Any]:
        """The answers for up to 5,000 leads: as POST /v1/score/batch."""
        try:
            ask = _ask(explain, lang, as_of)
            answers = await self._house.desk.many(json_of({"leads": leads}), ask)
        except Problem as problem:
            return problem_response(problem, request_id.get())  # type: ignore[return-value]
        status, told = batch_answer(answers, request_id.get())
        return _raw(told, status)


Hotlead.add_asgi_middleware(Entrance)  # type: ignore[attr-defined]


def _ask(explain: str, lang: str, as_of: str) -> Any:
    told = {"explain": explain, "lang": lang} | ({"as_of": as_of} if as_of else {})
    return ask_of(told, now_ms(), request_id.get())


def _raw(told: object, status: int = 200) -> Any:
    """An answer that BentoML passes on as it is."""
    return Response(orjson.dumps(told), status, media_type="application/json")
