"""The pages at /review: who comes in, what answers, and errors as people read them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import get_args
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from features.kinds import Language
from serving.api.routes import ERRORS, to_problem
from serving.components import Components
from serving.review.calls import page as calls
from serving.review.definition import page as definition
from serving.review.disagreements import page as disagreements
from serving.review.kpis import page as figures
from serving.review.lead import page as lead
from serving.review.models import page as models
from serving.review.overview import page as overview
from serving.review.web import sign_in
from serving.review.web.cache import StaleWhileRevalidateCache
from serving.review.web.page_request import Handler, PageRequest, PageRoute
from serving.review.web.session import Session, SessionRedirect, Sessions
from serving.review.web.sign_in import HOME
from serving.review.web.static_files import Static
from serving.review.web.warm_up import warm_cache
from serving.web import permissions as access
from serving.web.authentication import LOOPBACK
from serving.web.problems import Problem, forbidden, from_status, internal_error, not_found, too_many_requests

LANG_COOKIE, _YEAR = "hotlead_lang", 365 * 86_400
_LANGUAGES: tuple[Language, ...] = get_args(Language)

PAGES: tuple[PageRoute, ...] = (
    *overview.ROUTES,
    *calls.ROUTES,
    *lead.ROUTES,
    *definition.ROUTES,
    *disagreements.ROUTES,
    *figures.ROUTES,
    *models.ROUTES,
)
"""What people see and do, once they are signed in."""

log = logging.getLogger(__name__)


class Site:
    """The pages over the components of a process."""

    def __init__(self, components: Components) -> None:
        self._components, self._cache = components, StaleWhileRevalidateCache(components.clock)
        settings = components.settings
        self._sessions = Sessions(components.key_cache, settings.session_key, settings.open_on_loopback)

    def routes(self) -> list[BaseRoute]:
        leave = partial(sign_in.sign_out, self._sessions)
        return [
            Route(access.ROOT, _redirect_home, methods=["GET"]),
            Route(access.SIGN_IN, self._public_page(sign_in.show_form), methods=["GET"]),
            Route(access.SIGN_IN, self._public_page(sign_in.enter), methods=["POST"]),
            Route(access.SIGN_OUT, self._public_page(leave), methods=["POST"]),
            Mount(access.STATIC, Static()),
            *(Route(HOME + p.path, self._signed_in_page(p.handler), methods=[p.method]) for p in PAGES),
            Route(HOME + "/{rest:path}", self._signed_in_page(_not_found), methods=["GET", "POST"]),
        ]

    async def warm_cache(self) -> None:
        """Render the pages before anybody opens them, until cancelled (see `warm_up`)."""
        await warm_cache(self._components, PAGES, HOME, self._render_for_warm_up)

    async def _render_for_warm_up(self, request: Request, page: PageRoute) -> Response:
        """The response of a page that is sent to nobody."""
        now, nobody = self._components.clock(), Session.begin(LOOPBACK)
        visit = PageRequest(self._components, self._cache, request, nobody, "en", now)
        return await _handle(visit, page.handler)

    def _public_page(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """A page that needs nobody to be signed in."""

        async def answer(request: Request) -> Response:
            visit = self._page_request(request)
            return self._with_cookies(visit, await _handle(visit, handler))

        return answer

    def _signed_in_page(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """A page for those who may see it; others are sent to sign in first."""

        async def answer(request: Request) -> Response:
            visit = self._page_request(request)
            if visit.session.key is None:
                return self._with_cookies(visit, _redirect_to_sign_in(request))
            response = await _handle(visit, partial(self._handle_permitted, handler))
            return self._with_cookies(visit, response)

        return answer

    async def _handle_permitted(self, handler: Handler, visit: PageRequest) -> Response:
        """What the handler answers to somebody who may. Raises Problem: 403, 404, 429."""
        method, path = visit.request.method, visit.path
        if "\0" in path:
            raise not_found("There is no such page.")
        if wait := self._components.rate_limiter.retry_after(visit.key.id):
            raise too_many_requests(wait)
        if not access.is_known(method, access.find_route(path)):
            raise not_found("There is no such page.")
        if not visit.is_allowed(method, path):
            raise forbidden(visit.key.role)
        return await handler(visit)

    def _page_request(self, request: Request) -> PageRequest:
        session = self._sessions.load(request)
        request.scope.setdefault("state", {})["key"] = session.key
        lang, now = _choose_language(request), self._components.clock()
        return PageRequest(self._components, self._cache, request, session, lang, now)

    def _with_cookies(self, visit: PageRequest, response: Response) -> Response:
        """The answer with the cookies of the visit: its session, and the language that was chosen."""
        session = response.session if isinstance(response, SessionRedirect) else visit.session
        self._sessions.write(session, visit.request, response)
        if visit.request.query_params.get("lang") in _LANGUAGES:
            response.set_cookie(LANG_COOKIE, visit.lang, max_age=_YEAR, path="/review", samesite="lax")
        return response


async def _handle(visit: PageRequest, handler: Handler) -> Response:
    """What a handler answers; what goes wrong is a page too."""
    try:
        return await handler(visit)
    except ERRORS as error:
        return _problem_page(visit, to_problem(error))
    except ClientDisconnect:
        raise
    except HTTPException as problem:
        return _problem_page(visit, from_status(problem.status_code))
    except Exception as fault:
        log.error("A page failed", exc_info=fault)
        return _problem_page(visit, internal_error())


def _problem_page(visit: PageRequest, problem: Problem) -> Response:
    response = visit.html("problem.html", problem.status, problem=problem)
    response.headers.update(problem.headers)
    return response


async def _redirect_home(request: Request) -> Response:
    return RedirectResponse(HOME)


async def _not_found(visit: PageRequest) -> Response:
    raise not_found("There is no such page.")


def _redirect_to_sign_in(request: Request) -> Response:
    """To the sign-in page, which leads back here afterwards."""
    wanted = HOME
    if request.method == "GET":
        query = request.scope["query_string"].decode("latin-1")
        wanted = request.scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"{access.SIGN_IN}?next={quote(wanted, safe='')}", 303)


def _choose_language(request: Request) -> Language:
    """The language asked for, chosen before, or that the browser prefers."""
    wanted = (request.query_params.get("lang"), request.cookies.get(LANG_COOKIE))
    accepted = (part.strip()[:2] for part in request.headers.get("accept-language", "").split(","))
    chosen = (lang for candidate in (*wanted, *accepted) for lang in _LANGUAGES if candidate == lang)
    return next(chosen, "en")
