"""The outermost layer of the service, around BentoML's own endpoints too: every request passes through it.

It authenticates, limits the rate and the size of the body, adds the headers that every response has, turns
errors into problems (RFC 9457), and writes the access log and the request metrics.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping
from time import perf_counter
from typing import Any, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.observability.json_logging import request_id as request_of_logs
from serving.observability.prometheus import Metrics
from serving.settings import ServiceSettings
from serving.web import problems
from serving.web.authentication import Authenticator
from serving.web.permissions import ALLOW, BENTOML_PATHS, OPEN_PATHS, SIGN_IN, find_route, is_known, is_page
from serving.web.problems import Problem

REQUEST_SECONDS = 60.0
"""The time within which a request is answered; afterwards the answer is 504."""
FORM_BYTES, SIGN_IN_BYTES = 2**20, 2**14
"""The largest form of a page, and of the one that needs nobody to be signed in."""
BENTOML_BYTES = 2**20
"""The largest body at BentoML's own paths, which it parses on the event loop."""

CLIENT_CLOSED_REQUEST = 499
"""The status in log and metrics when the client disconnected before it had the response."""

RawHeaders = Iterable[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# These replace what the app sets.
_FORCED_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"server", b"hotlead"),  # neither the server's name nor its version
]
# These apply unless the app sets its own.
_DEFAULT_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_REPLACED_NAMES = frozenset({*dict(_FORCED_HEADERS), b"x-request-id"})
_SINGLE_HEADERS = frozenset({b"host", b"authorization", b"x-api-key", b"content-type"})
_PASSED_THROUGH = {b"allow": "Allow", b"retry-after": "Retry-After", b"www-authenticate": "WWW-Authenticate"}

log = logging.getLogger(__name__)
access_log = logging.getLogger("serving.access")


class Mirror(Protocol):
    """What a process holds in memory of the store."""

    @property
    def is_outdated(self) -> bool: ...
    def catch_up(self) -> None: ...


class EdgeMiddleware:
    """An ASGI app around the app of the service.

    Inside, `scope["state"]` has `request_id` (text) and `key` (the Key of the sender; None where none is
    needed). A Problem that is raised inside becomes the response.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        authenticator: Authenticator,
        metrics: Metrics,
        mirror: Mirror | None = None,
    ) -> None:
        self.app, self.metrics, self.body_limit, self.mirror = app, metrics, settings.body_limit, mirror
        self.request_seconds, self.authenticator = REQUEST_SECONDS, authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # not supported
        else:
            await self.app(scope, receive, send)


class _Exchange:
    """One request and its response."""

    def __init__(self, middleware: EdgeMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = perf_counter()
        self.middleware, self.scope, self._receive, self._send = middleware, scope, receive, send
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.body_limit = middleware.body_limit
        sent_id = self.headers.get(b"x-request-id", b"")
        self.request_id = sent_id.decode() if _REQUEST_ID.fullmatch(sent_id) else secrets.token_hex(16)
        self.route = find_route(scope["path"])
        self.status, self.received = 0, 0  # the status is 0 until the answer has started
        self.disconnected = self.too_large = False
        self.replacement: Problem | None = None
        self.time_limit: asyncio.Timeout | None = None

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
                async with asyncio.timeout(self.middleware.request_seconds) as self.time_limit:
                    mirror = self.middleware.mirror
                    if mirror is not None and mirror.is_outdated:
                        await asyncio.to_thread(mirror.catch_up)
                    await self.middleware.app(self.scope, self.receive, self.send)
            else:
                await self._send_response(204, [("allow", ALLOW[self.scope["path"]])], b"")
            if self.status == 0:
                await self._send_problem()
        except Problem as problem:
            await self._send_problem(problem)
        except ClientDisconnect:
            self.disconnected = True
        except asyncio.CancelledError:  # the service stops, and its grace is over
            await self._send_problem(problems.stopping())
            raise
        except Exception as fault:
            await self._send_problem(self._describe_fault(fault))

    def _describe_fault(self, fault: Exception) -> Problem:
        """The problem that answers an exception of the app, which is logged unless the sender caused it."""
        if self.too_large:  # the app wrapped the exception of `receive`
            return problems.content_too_large(self.body_limit)
        if self.time_limit is not None and self.time_limit.expired():
            log.error("A request took too long", extra={"route": self.route})
            return problems.timed_out()
        log.error("A request failed", exc_info=fault, extra={"route": self.route})
        return problems.internal_error()

    async def _send_problem(self, problem: Problem | None = None) -> None:
        """Respond with a problem, unless the response has started or the client has disconnected.

        When a response breaks off midway the server closes the connection, so the client notices.
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
        """Whether the app responds (True) or this layer lists the allowed methods (False).

        Raises Problem for a missing or wrong key, too many requests, or too large a body.
        """
        method, path = self.scope["method"], self.scope["path"]
        state: MutableMapping[str, Any] = self.scope.setdefault("state", {})
        state["request_id"], state["key"] = self.request_id, None
        if is_page(path):  # the site signs people in, and shows errors as HTML
            self.body_limit = min(self.body_limit, SIGN_IN_BYTES if path == SIGN_IN else FORM_BYTES)
            self._check_headers()
            return True
        key = state["key"] = self.middleware.authenticator.authenticate(self.scope, self.headers)
        if key is not None:
            self.middleware.authenticator.authorize(key, method, path)
        elif method != "OPTIONS" and path in ALLOW and not is_known(method, path):
            raise problems.method_not_allowed(ALLOW[path])  # BentoML says 404
        if path in BENTOML_PATHS and method == "POST":
            self.body_limit = min(self.body_limit, BENTOML_BYTES)
            if not self._is_json():
                raise problems.unsupported_media_type()  # BentoML reads other types, forms among them
        self._check_headers()
        return method != "OPTIONS" or path not in ALLOW

    def _check_headers(self) -> None:
        """Raise Problem: 400 unless there is one Host (RFC 9112, section 3.2) and at most one key, 413 for a
        body that is declared too large."""
        names = Counter(name for name, _ in self.scope["headers"] if name in _SINGLE_HEADERS)
        if self.scope["http_version"] == "1.1" and not names[b"host"]:
            raise problems.bad_request("The header Host is missing.")
        repeated = next((name for name, count in names.items() if count > 1), None)
        if repeated is not None:
            raise problems.bad_request(f"The header {repeated.decode().title()} is there more than once.")
        declared = self.headers.get(b"content-length", b"")
        # Twenty digits are beyond any limit, and no work to read.
        if declared.isdigit() and int(declared[:20]) > self.body_limit:
            raise problems.content_too_large(self.body_limit)

    def _is_json(self) -> bool:
        media_type = self.headers.get(b"content-type", b"application/json").partition(b";")[0]
        return media_type.strip().lower() == b"application/json"

    async def receive(self) -> Message:
        """The app's `receive`: counts the body's bytes, and notices when the client disconnects."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.disconnected = True
            return message
        self.received += len(message.get("body", b""))
        if self.received > self.body_limit:
            self.too_large = True
            raise problems.content_too_large(self.body_limit)
        return message

    async def send(self, message: Message) -> None:
        """The app's `send`: adds the common headers, and turns every error into a problem.

        An error of another form is held back, because Starlette sends its 500 before the exception that
        tells the cause reaches this layer.
        """
        if self.replacement is not None:
            return
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                self.replacement = self._replacement_error(message)
            if self.replacement is not None:
                return
            self.status = message["status"]
            message["headers"] = with_security_headers(message.get("headers", ()), self.request_id)
        await self._send(message)

    def _replacement_error(self, message: Message) -> Problem | None:
        """The problem to send instead of an error of another form; None to pass the response on."""
        status = message["status"]
        if self.too_large and status != 413:  # the app handled the exception of `receive`
            return problems.content_too_large(self.body_limit)
        response_headers = dict(message.get("headers", ()))
        media_type = response_headers.get(b"content-type", b"")
        if media_type.startswith(problems.MEDIA_TYPE.encode()):
            return None
        if is_page(self.scope["path"]) and media_type.startswith(b"text/html"):
            return None  # an error page of the site
        passed_headers = {
            name: response_headers[raw].decode("latin-1")
            for raw, name in _PASSED_THROUGH.items()
            if raw in response_headers
        }
        if status == 405:
            methods = passed_headers.get("Allow", ALLOW.get(self.scope["path"], ""))
            passed_headers["Allow"] = ", ".join(sorted(methods.split(", ")))  # a route's are in no order
        return problems.from_status(status, passed_headers)

    async def _send_response(self, status: int, header_pairs: Iterable[tuple[str, str]], body: bytes) -> None:
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in header_pairs]
        if status != 204:
            raw.append((b"content-length", str(len(body)).encode()))
        self.status = status
        final_headers = with_security_headers(raw, self.request_id)
        await self._send({"type": "http.response.start", "status": status, "headers": final_headers})
        shown = b"" if self.scope["method"] == "HEAD" else body
        await self._send({"type": "http.response.body", "body": shown})

    def _log_and_count(self) -> None:
        """Update metrics and access log, with neither the query nor an unknown path."""
        seconds, method = perf_counter() - self.started, self.scope["method"]
        status, key = self.status or CLIENT_CLOSED_REQUEST, self.scope.get("state", {}).get("key")
        self.middleware.metrics.observe_request(self.route, method, status, seconds)
        level = logging.DEBUG if self.route in OPEN_PATHS else logging.INFO
        fields = {
            "method": method[:10],
            "route": self.route,
            "status": status,
            "ms": round(seconds * 1000, 3),
            "key": key.id if key else None,
        }
        access_log.log(level, "request", extra=fields)


def with_security_headers(headers: RawHeaders, request_id: str) -> list[tuple[bytes, bytes]]:
    """A response's headers (names in lower case, as in ASGI) with those that every response has."""
    result = [pair for pair in headers if pair[0] not in _REPLACED_NAMES]
    names = {name for name, _ in result}
    result += _FORCED_HEADERS
    result += [pair for pair in _DEFAULT_HEADERS if pair[0] not in names]
    result.append((b"x-request-id", request_id.encode()))
    return result
