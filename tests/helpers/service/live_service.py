"""The real API behind its middleware, served on loopback by a thread of the test process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.routes import Api
from serving.app import create_app
from serving.components import Components
from serving.review.site import Site
from serving.settings import ServiceSettings
from serving.web.middleware import EdgeMiddleware

Wrap = Callable[[ASGIApp], ASGIApp]


@dataclass(frozen=True)
class LiveService:
    """A running service: its URL and its components."""

    url: str
    components: Components


def settings_of(crm_toml: Path, **environ: str) -> ServiceSettings:
    """The settings of the service, independent of the environment of the tests."""
    return ServiceSettings.from_environment({"HOTLEAD_CRM": str(crm_toml), **environ})


@contextmanager
def served(crm_toml: Path, wrap: Wrap = lambda app: app, **environ: str) -> Iterator[LiveService]:
    """Serve a CRM; `wrap` adds an outer ASGI app, such as injected faults."""
    settings = settings_of(crm_toml, **environ)
    components = Components(settings)
    edge = EdgeMiddleware(
        create_app(Api(components), Site(components)),
        settings,
        components.authenticator,
        components.metrics,
        components.overrides,
    )
    try:
        with running(wrap(edge)) as url:
            yield LiveService(url, components)
    finally:
        components.close()


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """Serve an ASGI app on loopback; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def free_port() -> int:
    """A free TCP port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class FaultInjector:
    """Replaces the app for the first requests, one fault per request (None: the app answers)."""

    def __init__(self, *faults: ASGIApp | None) -> None:
        self.faults: list[Any] = list(faults)
        self.app: ASGIApp | None = None
        self.requests = 0

    def __call__(self, app: ASGIApp) -> ASGIApp:
        self.app = app

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            self.requests += 1
            fault = self.faults.pop(0) if self.faults else None
            await (app(scope, receive, send) if fault is None else fault(scope, receive, send))

        return answer

    async def break_connection(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process the request, then close the connection in the middle of the response."""

        async def nowhere(message: Any) -> None:
            pass

        await self.app(scope, receive, nowhere)  # type: ignore[misc]
        header_pairs = [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": header_pairs})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise ConnectionError  # the response has begun, so the server closes the connection

    @staticmethod
    def status(status: int, **headers: str) -> ASGIApp:
        """Answer with a status and an empty body."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            header_pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": header_pairs})
            await send({"type": "http.response.body", "body": b""})

        return answer
