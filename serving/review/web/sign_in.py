"""Signing in and out, with the same keys that programs use."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from serving.review.web.page_request import PageRequest
from serving.review.web.session import Session, SessionRedirect, Sessions
from serving.web import permissions as access
from serving.web.api_keys import KeyCache

HOME = "/review"


async def show_form(visit: PageRequest) -> Response:
    return visit.html("sign_in.html", wrong=None, next=_local_path(visit.request.query_params.get("next")))


async def enter(key_cache: KeyCache, visit: PageRequest) -> Response:
    """Begin a session of the key's holder; a wrong key is told beside its field."""
    form = await visit.form()
    wanted = _local_path(form.get("next"))
    if wait := visit.components.rate_limiter.retry_after(f"sign-in {_client_address(visit)}"):
        error = visit.translate("sign_in_often", seconds=wait)
        return visit.html("sign_in.html", 429, wrong=error, next=wanted)
    key = key_cache.find(str(form.get("key", "")).strip())
    if key is None:
        return visit.html("sign_in.html", 401, wrong=visit.translate("sign_in_unknown"), next=wanted)
    if not access.is_allowed(key.role, "GET", HOME):
        return visit.html("sign_in.html", 403, wrong=visit.translate("sign_in_role"), next=wanted)
    return SessionRedirect(Session.begin(key), wanted)


async def sign_out(sessions: Sessions, visit: PageRequest) -> Response:
    """End the session, for good."""
    await visit.form()
    await asyncio.to_thread(sessions.end, visit.session)
    return SessionRedirect(Session.begin(None), access.SIGN_IN)


def _client_address(visit: PageRequest) -> str:
    """Whose tries are counted together: those of one address, as what stands in front on this machine
    tells it."""
    client = visit.request.client
    host = "" if client is None else client.host
    forwarded = visit.request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded if forwarded and host in ("127.0.0.1", "::1") else host


def _local_path(value: object) -> str:
    """Where to go afterwards: a page of ours."""
    path = value if isinstance(value, str) else HOME
    ours = access.is_page(path.partition("?")[0]) and "\\" not in path
    return path if ours else HOME
