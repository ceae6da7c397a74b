"""A small app behind the EdgeMiddleware, with keys, and clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from serving.observability.prometheus import Metrics
from serving.settings import ServiceSettings
from serving.web import permissions, problems
from serving.web.api_keys import KeyCache, Role, add
from serving.web.authentication import Authenticator, RateLimiter
from serving.web.failed_sign_ins import FailedSignIns
from serving.web.middleware import EdgeMiddleware

SECRET = "anna@example.com"
LIMIT = 2000
HOST_HEADER = (b"host", b"hotlead.example")


async def score(request: Request) -> JSONResponse:
    body = await request.body()
    state = request.state
    return JSONResponse({"size": len(body), "id": state.request_id, "key": state.key.name})


async def health(request: Request) -> PlainTextResponse:
    return PlainTextResponse("well" if request.state.key is None else "who?")


async def fails(request: Request) -> PlainTextResponse:
    raise ValueError(SECRET)


async def half(request: Request) -> StreamingResponse:
    async def parts() -> Any:
        yield "half"
        raise ValueError(SECRET)

    return StreamingResponse(parts())


async def store_unavailable(request: Request) -> PlainTextResponse:
    raise problems.store_unavailable("The store is away.", 3)


async def bento(request: Request) -> JSONResponse:
    """An error as BentoML sends it, with values of the request."""
    return JSONResponse([{"error": SECRET}], int(request.query_params["status"]))


async def swallows(request: Request) -> JSONResponse:
    """An endpoint as BentoML's, which turn every exception into a 500."""
    try:
        await request.body()
    except Exception:
        return JSONResponse({"error": SECRET}, 500)
    raise AssertionError("the body came in")


async def page(request: Request) -> HTMLResponse:
    headers = {"Content-Security-Policy": "default-src 'self'", "Server": "x/1", "X-Request-ID": "x"}
    return HTMLResponse("<p>", headers=headers)


ROUTES = [
    Route("/v1/score", score, methods=["POST"]),
    Route("/livez", health),
    Route("/fails", fails),
    Route("/half", half),
    Route("/away", store_unavailable),
    Route("/bento", bento),
    Route("/page", page),
    Route("/swallows", swallows, methods=["POST"]),
    Route("/v1/hot", health),
    Route("/metrics", health),
    Route("/v1/overrides", score, methods=["POST"]),
]


class Client:
    """Sends requests to an app, from `host`."""

    def __init__(self, app: ASGIApp, host: str, base: str) -> None:
        self._app, self._host, self._base = app, host, base

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, options))

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=(self._host, 5000))
        async with httpx.AsyncClient(transport=transport, base_url=self._base) as client:
            return await client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


class GuardedService:
    """An app behind the EdgeMiddleware, with a file of keys."""

    def __init__(self, folder: Path, app: ASGIApp | None = None, **settings: Any) -> None:
        defaults = ServiceSettings.from_environment({"HOTLEAD_OUT": str(folder)})
        self.settings = defaults.model_copy(update={"body_limit": LIMIT, **settings})
        self.metrics = Metrics(permissions.ROUTES)
        self.keys_file = defaults.keys_file
        self.edge = EdgeMiddleware(
            app or Starlette(routes=ROUTES),
            self.settings,
            Authenticator(
                KeyCache(defaults.keys_file),
                RateLimiter(self.settings.rate_limit),
                FailedSignIns(self.metrics),
                self.settings.open_on_loopback,
            ),
            self.metrics,
        )

    def key(self, role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {add(self.keys_file, role, role)[1]}"}

    def client(self, host: str = "10.0.0.7", base: str = "http://127.0.0.1:3000") -> Client:
        return Client(self.edge, host, base)

    def count_answers(self) -> dict[tuple[str, str, str], float]:
        """The number of responses by route, method and status."""
        text = self.metrics.render()[0].decode()
        return {
            (s.labels["route"], s.labels["method"], s.labels["status"]): s.value
            for family in text_string_to_metric_families(text)
            for s in family.samples
            if s.name == "hotlead_requests_total"
        }


def is_problem(answer: Any, status: int) -> bool:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert SECRET not in answer.text
    return bool(answer.status_code == body["status"] == status and body["detail"])


REQUEST: tuple[Message, ...] = ({"type": "http.request"},)


async def call_raw(
    app: ASGIApp,
    headers: Iterable[tuple[bytes, bytes]] = (),
    messages: Iterable[Message] = REQUEST,
    path: str = "/v1/score",
    method: str = "GET",
    sent_messages: list[Message] | None = None,
) -> list[Message]:
    """The messages that an app sends in response to `messages`; added to `sent_messages` as they come."""
    remaining: Iterator[Message] = iter(messages)
    sent_messages = [] if sent_messages is None else sent_messages
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "root_path": "",
        "headers": [HOST_HEADER, *headers],
        "client": ("10.0.0.7", 1),
        "http_version": "1.1",
        "scheme": "http",
        "server": ("h", 1),
    }

    async def receive() -> Message:
        for message in remaining:
            return message
        await asyncio.Event().wait()  # the client waits for its answer
        raise AssertionError

    async def send(message: Message) -> None:
        sent_messages.append(message)

    await app(scope, receive, send)
    return sent_messages


def token_header(service: GuardedService) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", service.key("admin")["Authorization"].encode())]
