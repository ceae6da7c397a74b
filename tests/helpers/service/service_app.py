"""The real service in this process: the API behind its middleware, with a store and API keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from starlette.types import ASGIApp

from features.clock import now_ms
from serving.api.routes import Api
from serving.app import create_app
from serving.components import Components
from serving.review.site import Site
from serving.settings import ServiceSettings
from serving.web import api_keys as keys
from serving.web.api_keys import Role
from serving.web.middleware import EdgeMiddleware
from tests.helpers.process_state import preserve_process_state
from tests.helpers.toml_files import toml_text

BASE = "http://127.0.0.1"
T = TypeVar("T")

CRM_TOML = toml_text("service_crm")
"""A company; the service reads none of its CSV files, so they do not exist."""
CARD = toml_text("service_scorecard")


class App:
    """The service over one CRM. Requests are made as a key of `role` (None: without a key)."""

    def __init__(self, crm_toml: Path, out: Path, clock: Callable[[], int] = now_ms, **environ: str) -> None:
        environment = {"HOTLEAD_CRM": str(crm_toml), "HOTLEAD_OUT": str(out)}
        environment |= {"HOTLEAD_RATE_LIMIT": "0", **environ}
        self.settings = ServiceSettings.from_environment(environment)
        roles: tuple[Role, ...] = ("crm", "reviewer", "admin")
        self.tokens = {r: keys.add(self.settings.keys_file, r, r)[1] for r in roles}
        with preserve_process_state():
            self.components = Components(self.settings, clock)
        self.site = Site(self.components)
        self.web_app = create_app(Api(self.components), self.site)
        self.asgi: ASGIApp = EdgeMiddleware(
            self.web_app,
            self.settings,
            self.components.authenticator,
            self.components.metrics,
            self.components.overrides,
        )
        self._runner = asyncio.Runner()

    def request(self, method: str, path: str, role: Role | None = "admin", **options: Any) -> httpx.Response:
        """Send a request; `options` as for httpx."""
        headers = dict(options.pop("headers", {}))
        if role is not None:
            headers["X-API-Key"] = self.tokens[role]
        return self._runner.run(self._send(method, path, headers, options))

    def run_in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a background task of the service."""
        return self._runner.run(work)

    async def _send(
        self, method: str, path: str, headers: dict[str, str], options: dict[str, Any]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.asgi, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.request(method, path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Post a body: bytes unchanged, other values as JSON."""
        if isinstance(body, bytes):
            headers = {"Content-Type": "application/json", **options.pop("headers", {})}
            return self.request("POST", path, content=body, headers=headers, **options)
        return self.request("POST", path, json=body, **options)

    def close(self) -> None:
        self._runner.close()
        self.components.close()


@contextmanager
def small_app(
    folder: Path, clock: Callable[[], int] = now_ms, crm: str = CRM_TOML, card: str = CARD, **environ: str
) -> Iterator[App]:
    """The service of a small company with a scorecard and without a model."""
    crm_toml = folder / "crm.toml"
    crm_toml.write_text(crm, encoding="utf-8")
    (folder / "scorecard.toml").write_text(card, encoding="utf-8")
    app = App(crm_toml, folder / "out", clock, **environ)
    try:
        yield app
    finally:
        app.close()
