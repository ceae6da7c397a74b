"""The door: every request to the service, BentoML's own endpoints too, comes in and goes out here."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping, MutableMapping
from time import perf_counter
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.observability.json_logging import log_event
from serving.observability.log_format import request_id as request_of_logs
from serving.observability.prometheus import Metrics
from serving.settings import ServiceSettings
from serving.web import headers, problems
from serving.web import permissions as access
from serving.web.authentication import Authenticator
from serving.web.key_cache import KeyCache
from serving.web.problems import Problem
from serving.web.rate_limit import RateLimiter

CLIENT_CLOSED_REQUEST = 499
"""What log and metrics tell of a client that went away before it had its answer."""

log = logging.getLogger(__name__)
access_log = logging.getLogger("serving.access")


class EdgeMiddleware:
    """An ASGI app around the service: who asks, what may come in, how every answer looks.

    Below it, `scope["state"]` has `request_id` (text) and `key` (the Key that asks; None for what
    needs none). A Problem that is raised below becomes the answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        key_cache: KeyCache,
        rate_limiter: RateLimiter,
        metrics: Metrics,
    ) -> None:
        self.app, self.metrics, self.body_limit = app, metrics, settings.body_limit
        self.authenticator = Authenticator(key_cache, rate_limiter, settings.open_on_loopback)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # there are none here
        else:
            await self.app(scope, receive, send)


class _Exchange:
    """One request on its way through the door."""

    __slots__ = (
        "_receive",
        "_send",
        "disconnected",
        "headers",
        "middleware",
        "received",
        "replacement",
        "request_id",
        "route",
        "scope",
        "started",
        "status",
        "too_large",
    )

    def __init__(self, middleware: EdgeMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = perf_counter()
        self.middleware, self.scope, self._receive, self._send = middleware, scope, receive, send
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.request_id = headers.read_request_id(self.headers) or secrets.token_hex(16)
        self.route = access.find_route(scope["path"])
        self.status, self.received = 0, 0  # the status is 0 until the answer has started
        self.disconnected = self.too_large = False
        self.replacement: Problem | None = None

    async def run(self) -> None:
        token = request_of_logs.set(self.request_id)
        try:
            await self._run_app()
        finally:
            self._log_and_count()
            request_of_logs.reset(token)

    async def _run_app(self) -> None:
        try:
            if self._admit():
                await self.middleware.app(self.scope, self.receive, self.send)
            else:
                await self._send_options()
            await self._send_problem()
        except Problem as problem:
            await self._send_problem(problem)
        except ClientDisconnect:
            self.disconnected = True
        except Exception as fault:
            final_problem = problems.internal_error()
            if self.too_large:  # somebody put our exception into one of their own
                final_problem = problems.content_too_large(self.middleware.body_limit)
            else:
                log.error("A request failed", exc_info=fault, extra={"route": self.route})
            await self._send_problem(final_problem)

    async def _send_problem(self, problem: Problem | None = None) -> None:
        """Answer with a problem, where there is one, nothing was sent, and somebody is there.

        Where half of an answer is out the server breaks the connection off, so the client knows.
        """
        problem = problem or self.replacement
        if self.status or self.disconnected:
            return
        if problem is None:
            log.error("The app gave no answer", extra={"route": self.route})
            problem = problems.internal_error()
        body = problems.problem_body(problem, self.request_id)
        header_pairs = [("content-type", problems.MEDIA_TYPE), *problem.headers.items()]
        await self._send_response(problem.status, header_pairs, body)

    def _admit(self) -> bool:
        """Whether the app is to answer (True), or we tell the methods (False).

        Raises Problem where neither: no key, the wrong one, too often, too large.
        """
        method, path = self.scope["method"], self.scope["path"]
        state: MutableMapping[str, Any] = self.scope.setdefault("state", {})
        state["request_id"], state["key"] = self.request_id, None
        if access.is_page(path):  # the site lets people in, and tells errors in HTML
            self._check_length()
            return True
        key = state["key"] = self.middleware.authenticator.authenticate(self.scope, self.headers)
        if key is not None:
            self.middleware.authenticator.authorize(key, method, path)
        self._check_length()
        return method != "OPTIONS" or path not in access.ALLOW

    def _check_length(self) -> None:
        if headers.read_content_length(self.headers) > self.middleware.body_limit:
            raise problems.content_too_large(self.middleware.body_limit)

    async def receive(self) -> Message:
        """The app's receive: counts the body, and sees the client go away."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.disconnected = True
            return message
        self.received += len(message.get("body", b""))
        if self.received > self.middleware.body_limit:
            self.too_large = True
            raise problems.content_too_large(self.middleware.body_limit)
        return message

    async def send(self, message: Message) -> None:
        """The app's send: every answer gets our headers, every error our shape.

        An error of another shape is held back: Starlette sends its 500 before the exception that
        says what it is about comes up.
        """
        if self.replacement is not None:
            return
        if message["type"] == "http.response.start":
            self.replacement = self._replacement_error(message)
            if self.replacement is not None:
                return
            self.status = message["status"]
            message["headers"] = headers.with_security_headers(message.get("headers", ()), self.request_id)
        await self._send(message)

    def _replacement_error(self, message: Message) -> Problem | None:
        """The problem that takes the place of an error that is not told as one."""
        status = message["status"]
        if status < 400:
            return None
        if self.too_large and status != 413:  # the app took our exception for one of its own
            return problems.content_too_large(self.middleware.body_limit)
        response_headers = dict(message.get("headers", ()))
        if response_headers.get(b"content-type", b"").startswith(problems.MEDIA_TYPE.encode()):
            return None
        if access.is_page(self.scope["path"]):
            return None  # the site tells its own, to people
        passed_headers = headers.error_headers(response_headers)
        if status == 405 and "Allow" not in passed_headers:
            passed_headers["Allow"] = access.ALLOW.get(self.scope["path"], "")
        return problems.from_status(status, passed_headers)

    async def _send_options(self) -> None:
        await self._send_response(204, [("allow", access.ALLOW[self.scope["path"]])], b"")

    async def _send_response(self, status: int, header_pairs: Iterable[tuple[str, str]], body: bytes) -> None:
        """Send an answer of our own."""
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in header_pairs]
        if status != 204:
            raw.append((b"content-length", str(len(body)).encode()))
        self.status = status
        final_headers = headers.with_security_headers(raw, self.request_id)
        await self._send({"type": "http.response.start", "status": status, "headers": final_headers})
        shown = b"" if self.scope["method"] == "HEAD" else body
        await self._send({"type": "http.response.body", "body": shown})

    def _log_and_count(self) -> None:
        """Metrics, and a line in the access log: never the query, nor a path that we do not know."""
        seconds, method = perf_counter() - self.started, self.scope["method"]
        status, key = self.status or CLIENT_CLOSED_REQUEST, self.scope.get("state", {}).get("key")
        self.middleware.metrics.observe_request(self.route, method, status, seconds)
        level = logging.DEBUG if self.route in access.OPEN_PATHS else logging.INFO
        log_event(
            access_log,
            level,
            "request",
            {
                "method": method[:10],
                "route": self.route,
                "status": status,
                "ms": round(seconds * 1000, 3),
                "key": key.id if key else None,
            },
        )
