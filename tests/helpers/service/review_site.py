"""The review pages of the real service, as a signed-in person sees them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from features.clock import iso, now_ms
from features.kinds import Language
from serving.review.web.session import COOKIE, Session
from serving.web.api_keys import Role
from tests.helpers.service.service_app import App, small_app

_CSRF = re.compile(r'name="csrf" value="([^"]*)"')


class Reviewer:
    """A person at a browser without scripts, with a key of a role (None: nobody is signed in)."""

    def __init__(self, app: App, role: Role | None = "reviewer", lang: Language = "en") -> None:
        self.app, self.role, self.lang = app, role, lang
        self.cookies: dict[str, str] = {}
        if role is not None:
            self.sign_in(app.tokens[role])

    def sign_in(self, token: str, **fields: str) -> httpx.Response:
        """Fill in the form of the sign-in page."""
        return self.submit("/review/sign-in", {"key": token, **fields}, page="/review/sign-in")

    def page(self, path: str, **options: Any) -> httpx.Response:
        """A page, as the service answers it (redirects are not followed)."""
        return self._request("GET", path, **options)

    def submit(
        self, path: str, fields: Mapping[str, Any], page: str = "/review", csrf: str | None = None
    ) -> httpx.Response:
        """Send a form with the token that `page` holds, or with a `csrf` of one's own."""
        token = self.token(page) if csrf is None else csrf
        return self._request("POST", path, data={**fields, "csrf": token})

    def token(self, page: str = "/review") -> str:
        """The token in the forms of a page; empty where it has none."""
        match = _CSRF.search(self.page(page).text)
        return unescape(match[1]) if match else ""

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"accept-language": self.lang, **options.pop("headers", {})}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.app.request(method, path, None, headers=headers, **options)
        self.cookies.update(answer.cookies)
        return answer


@contextmanager
def review_app(
    folder: Path, clock: Callable[[], int] = now_ms, **environ: str
) -> Iterator[tuple[App, Reviewer]]:
    """The service of a small company, and a signed-in reviewer."""
    with small_app(folder, clock, **environ) as app:
        yield app, Reviewer(app)


def add_hot_lead(app: App, lead_id: str = "L1", **attributes: Any) -> None:
    """A lead that asked for a quote, sent and scored."""
    timestamp = iso(now_ms() - 3_600_000)
    lead_attributes = {"channel": "referral", "budget": "approved", **attributes}
    lead = {
        "lead_id": lead_id,
        "updated_at": timestamp,
        "created_at": timestamp,
        "attributes": lead_attributes,
    }
    assert app.post("/v1/leads", lead, role="crm").status_code == 201
    activity = {"lead_id": lead_id, "type": "quote", "at": timestamp, "value": 5}
    assert app.post("/v1/activities", activity, role="crm").status_code == 201
    assert app.post("/v1/score", {"lead_id": lead_id}, role="crm").json()["stage"] == "hot"


__all__ = ["COOKIE", "Reviewer", "Session", "add_hot_lead", "review_app"]
