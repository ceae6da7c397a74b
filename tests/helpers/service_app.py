"""The real service in this process: its API behind its door, with a store and keys of its own."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import warnings
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

BASE = "http://127.0.0.1"
T = TypeVar("T")

CRM_TOML = """
[crm]
name = "small"
time_zone = "Asia/Tokyo"
missing = ["", "NA"]

[leads]
source = "leads.csv"
id = "lead_id"
created_at = "created_at"
account = "account_id"

[activities]
source = "activities.csv"
lead = "lead_id"
type = "type"
at = "at"
value = "value"

[changes]
source = "changes.csv"
lead = "lead_id"
column = "column"
value = "value"
at = "at"

[roles]
budget = "budget"
authority = "authority"
need = "need"
timing = "months"

[features]
channel       = { kind = "attribute", column = "channel", known = "at_creation" }
employees     = { kind = "attribute", column = "employees", values = "number", known = "at_creation" }
budget        = { kind = "attribute", column = "budget", known = "history" }
authority     = { kind = "attribute", column = "authority", known = "history" }
need          = { kind = "attribute", column = "need", known = "history" }
months        = { kind = "attribute", column = "months", values = "number", known = "history" }
visits_7d     = { kind = "count", activity = "visit", days = 7 }
quotes_30d    = { kind = "count", activity = "quote", days = 30 }
quoted        = { kind = "sum", activity = "quote" }
interest      = { kind = "decayed", activity = ["visit", "download"], half_life_days = 7 }
account_7d    = { kind = "count", activity = "visit", days = 7, over = "account" }
age           = { kind = "age" }

[words]
channel = { en = "Channel", ja = "流入チャネル" }
employees = { en = "Employees", ja = "従業員数" }
"channel=referral" = { en = "referral", ja = "紹介" }
"""
"""A company; the service reads none of its tables, so there are none."""

CARD = """
[bands]
warm = 20
hot = 50

[fit.rows.referral]
when = [{ feature = "channel", one_of = ["referral"] }]
points = 20
because = { en = "Came by referral", ja = "紹介で来訪" }

[fit.rows.large]
when = [{ feature = "employees", at_least = 100 }]
points = 10
because = { en = "100 or more employees", ja = "従業員100名以上" }

[fit.rows.budget]
when = [{ feature = "budget", one_of = ["approved"] }]
points = 20
because = { en = "Budget approved", ja = "予算承認済み" }

[intent.rows.interest]
when = [{ feature = "interest", at_least = 1 }]
points = 10
because = { en = "Some interest", ja = "関心あり" }

[intent.rows.strong_interest]
when = [{ feature = "interest", at_least = 3 }]
points = 20
because = { en = "Strong interest", ja = "強い関心" }

[intent.rows.account]
when = [{ feature = "account_7d", at_least = 5 }]
points = 5
because = { en = "The whole account is interested", ja = "企業全体の関心" }

[triggers.quote]
when = [{ feature = "quotes_30d", at_least = 1 }]
because = { en = "Asked for a quote", ja = "見積を依頼" }

[exclusions.rival]
when = [{ feature = "channel", one_of = ["rival"] }]
because = { en = "Competitor", ja = "競合企業" }

[stages.cold]
kind = "inform"
owner = "marketing"
text = { en = "Inform.", ja = "情報を届けてください。" }

[stages.warm]
kind = "nurture"
owner = "inside_sales"
text = { en = "Nurture.", ja = "フォローしてください。" }

[stages.hot]
kind = "call"
owner = "inside_sales"
text = { en = "Call.", ja = "電話してください。" }
hours = 1
"""
"""Its scorecard."""


class App:
    """The service over one CRM. Requests are made as a key of `role` (None: without a key)."""

    def __init__(self, crm_toml: Path, out: Path, clock: Callable[[], int] = now_ms, **environ: str) -> None:
        environment = {"HOTLEAD_CRM": str(crm_toml), "HOTLEAD_OUT": str(out)}
        environment |= {"HOTLEAD_RATE_LIMIT": "0", **environ}
        self.settings = ServiceSettings.from_environment(environment)
        roles: tuple[Role, ...] = ("crm", "reviewer", "admin")
        self.tokens = {r: keys.add(self.settings.keys_file, r, r)[1] for r in roles}
        with preserve_logging():
            self.house = Components.build(self.settings, clock)
        self.site = Site(self.house)
        self.web_app = create_app(Api(self.house), self.site)
        self.asgi: ASGIApp = EdgeMiddleware(
            self.web_app, self.settings, self.house.key_cache, self.house.rate_limiter, self.house.metrics
        )
        self._runner = asyncio.Runner()

    def request(self, method: str, path: str, role: Role | None = "admin", **options: Any) -> httpx.Response:
        """Ask the service; `told` as httpx takes it."""
        headers = dict(options.pop("headers", {}))
        if role is not None:
            headers["X-API-Key"] = self.tokens[role]
        return self._runner.run(self._send(method, path, headers, options))

    def run_in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what the service does beside its requests."""
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
        """Post a body: bytes as they are, all else as JSON."""
        if isinstance(body, bytes):
            headers = {"Content-Type": "application/json", **options.pop("headers", {})}
            return self.request("POST", path, content=body, headers=headers, **options)
        return self.request("POST", path, json=body, **options)

    def close(self) -> None:
        self._runner.close()
        self.house.close()


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


@contextmanager
def preserve_logging() -> Iterator[None]:
    """What the service changes for its whole process is put back."""
    root, hooks = logging.root, (sys.excepthook, sys.unraisablehook, threading.excepthook)
    handlers, level, shown = root.handlers[:], root.level, warnings.showwarning
    try:
        yield
    finally:
        root.handlers[:], root.level, warnings.showwarning = handlers, level, shown
        sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
