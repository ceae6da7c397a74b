"""Signing in and out, with the same keys that programs use."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from serving.review.web.page_request import Visit
from serving.review.web.session import Begins, Session, Sessions
from serving.web import permissions as access
from serving.web.api_keys import Key
from serving.web.key_cache import Keyring

HOME = "/review"


async def show(visit: Visit) -> Response:
    """The page where a key is typed."""
    return visit.html("sign_in.html", wrong=None, next=_next(visit.request.query_params.get("next")))


async def enter(keyring: Keyring, visit: Visit) -> Response:
    """Begin a session of the key's holder; a wrong key is told beside its field."""
    form = await visit.form()
    wanted = _next(form.get("next"))
    if wait := visit.house.limits.wait(f"sign-in {_from(visit)}"):
        return visit.html("sign_in.html", 429, wrong=visit.say("sign_in_often", seconds=wait), next=wanted)
    key = keyring.who(str(form.get("key", "")).strip())
    if key is None or not access.may(key.role, "GET", HOME):
        return visit.html("sign_in.html", 403 if key else 401, wrong=_wrong(visit, key), next=wanted)
    return Begins(Session.begin(key), wanted)


async def leave(sessions: Sessions, visit: Visit) -> Response:
    """End the session, for good."""
    await visit.form()
    await asyncio.to_thread(sessions.end, visit.session)
    return Begins(Session.begin(None), access.SIGN_IN)


def _from(visit: Visit) -> str:
    """Whose tries are counted together: those of one address, as what stands in front on this machine
    tells it."""
    client = visit.request.client
    host = "" if client is None else client.host
    told = visit.request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return told if told and host in ("127.0.0.1", "::1") else host


def _wrong(visit: Visit, key: Key | None) -> str:
    return visit.say("sign_in_unknown" if key is None else "sign_in_role")


def _next(told: object) -> str:
    """Where to go afterwards: a page of ours."""
    path = told if isinstance(told, str) else HOME
    ours = access.is_page(path.partition("?")[0]) and "\\" not in path
    return path if ours else HOME
