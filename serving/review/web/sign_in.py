"""Signing in and out, with the same keys that programs use."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from serving.review.web.page_request import PageRequest
from serving.review.web.session import Session, SessionRedirect, Sessions
from serving.web import permissions as access
from serving.web.problems import Problem

HOME = "/review"


async def show_form(visit: PageRequest) -> Response:
    return visit.html("sign_in.html", wrong=None, next=_local_path(visit.request.query_params.get("next")))


async def enter(visit: PageRequest) -> Response:
    """Begin a session of the key's holder; a wrong key is named beside its field."""
    form = await visit.form()
    wanted, token = _local_path(form.get("next")), str(form.get("key", "")).strip()
    scope, headers = visit.request.scope, dict(visit.request.headers.raw)
    try:
        key = visit.components.authenticator.find_key(token, "page", scope, headers)
    except Problem as problem:
        return _show_refusal(visit, problem, wanted)
    if not access.is_allowed(key.role, "GET", HOME):
        return visit.html("sign_in.html", 403, wrong=visit.translate("sign_in_role"), next=wanted)
    return SessionRedirect(Session.begin(key), wanted)


async def sign_out(sessions: Sessions, visit: PageRequest) -> Response:
    """End the session, for good."""
    await visit.form()
    await asyncio.to_thread(sessions.end, visit.session)
    return SessionRedirect(Session.begin(None), access.SIGN_IN)


def _show_refusal(visit: PageRequest, problem: Problem, wanted: str) -> Response:
    """The form again, after a wrong key (401) or many of them (429, with the time to wait)."""
    wait = problem.headers.get("Retry-After")
    if wait is None:
        return visit.html("sign_in.html", 401, wrong=visit.translate("sign_in_unknown"), next=wanted)
    refusal = visit.translate("sign_in_often", seconds=wait)
    response = visit.html("sign_in.html", problem.status, wrong=refusal, next=wanted)
    response.headers["Retry-After"] = wait
    return response


def _local_path(value: object) -> str:
    """Where to go afterwards: a page of ours."""
    path = value if isinstance(value, str) else HOME
    ours = access.is_page(path.partition("?")[0]) and "\\" not in path
    return path if ours else HOME
