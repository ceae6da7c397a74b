"""HTTP/1.1 as the workers speak it: uvicorn's protocol with limits, so that no proxy in front is needed.

It bounds the size of the headers, the time until they are complete and the connections of an address, answers
what is no HTTP as every other error, and ignores requests to upgrade to another protocol (RFC 9110, section
7.8).
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, ClassVar

import httptools
import uvicorn.config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.web import problems
from serving.web.connections import ConnectionTable
from serving.web.middleware import with_security_headers
from serving.web.problems import Problem

MAX_HEADER_BYTES, MAX_HEADERS = 65_536, 200
HEADER_SECONDS = 10.0
"""The time from the first byte of a request, or the opening of the connection, to the end of its headers."""

_UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings", b"connection"})


def use_bounded_protocol() -> None:
    """Let every uvicorn server of this process speak `BoundedHttpProtocol`. BentoML passes no protocol on."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedHttpProtocol.__name__}"


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection."""

    table: ClassVar[ConnectionTable] = ConnectionTable()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_timer: asyncio.TimerHandle | None = None
        self._header_bytes, self._in_headers, self._is_upgrade = 0, True, False

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def close(self) -> None:
        """End the connection."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_header_timer()
        self.table.open(self._address, self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header_timer()
        self.table.closed(self._address, self)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends nothing more; whether it may still read the answer to what it has sent."""
        is_answered = self.cycle is None or self.cycle.response_complete
        if is_answered or not self._in_headers:  # nothing is asked, or only a part of a request was sent
            return False
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_headers:
            self._header_bytes += len(data)
            self._start_header_timer()
        self._feed(data)
        if self._in_headers and self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(problems.from_status(431))

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.scope["method"] == "CONNECT":
                self._refuse(problems.from_status(400))
                return
            self._continue_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            is_too_large = isinstance(error.__context__, _HeadersTooLarge)
            self._refuse(problems.from_status(431 if is_too_large else 400))

    def _should_upgrade(self) -> bool:
        return False

    def _continue_without_upgrade(self, rest: bytes) -> None:
        """Read the request again as one that asks for no upgrade, with its body."""
        head = [self.scope["method"].encode(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name not in _UPGRADE_HEADERS:
                head += [name, b": ", value, b"\r\n"]
        self.parser, self._is_upgrade = httptools.HttpRequestParser(self), False
        self._feed(b"".join([*head, b"\r\n", rest]))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            raise _HeadersTooLarge

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEADER_BYTES:
            raise _HeadersTooLarge
        self._in_headers, self._header_bytes = False, 0
        self._stop_header_timer()
        self.table.mark_busy(self._address, self)
        self._is_upgrade = self.parser.should_upgrade()
        if self._is_upgrade:
            self.scope["method"] = self.parser.get_method().decode("ascii")
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_upgrade:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_headers = True
        if not self._is_upgrade:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self.table.mark_waiting(self._address, self)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for what it cannot read; `msg` is not passed on."""
        self._refuse(problems.from_status(400))

    def _refuse(self, problem: Problem) -> None:
        """Answer a request that never reaches the app, and end the connection."""
        if self.transport.is_closing():
            return
        self._stop_header_timer()
        request_id = secrets.token_hex(16)
        body = problems.problem_body(problem, request_id)
        headers = [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        lines = [name + b": " + value + b"\r\n" for name, value in with_security_headers(headers, request_id)]
        self.transport.write(b"".join([STATUS_LINE[problem.status], *lines, b"\r\n", body]))
        self.transport.close()

    def _start_header_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._time_out)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _time_out(self) -> None:
        self._header_timer = None
        if self._header_bytes:
            self._refuse(problems.from_status(408))
        else:
            self.close()


class _HeadersTooLarge(Exception):
    """The headers exceed the limits."""
