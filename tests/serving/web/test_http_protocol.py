"""HTTP as the workers speak it, over real connections to a real server."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from benchmarks.support.load import wait_for
from benchmarks.support.served import free_port
from serving.web import http_protocol
from serving.web.http_protocol import BoundedHttpProtocol

HOST = b"Host: hotlead\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhl\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the method, the path and the body of the request; at /later not at once."""
    body, is_complete = b"", False
    while not is_complete:
        message = await receive()
        body += message.get("body", b"")
        is_complete = not message.get("more_body")
    await asyncio.sleep(0.1 if scope["path"] == "/later" else 0)
    text = b" ".join([scope["method"].encode(), scope["path"].encode(), body])
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_port()
    config = uvicorn.Config(echo, port=number, http=BoundedHttpProtocol, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    yield number
    server.should_exit = True
    thread.join(30)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def receive_response(connection: socket.socket) -> tuple[int, bytes]:
    """The status and the body of the next response."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65_536)
        if not part:
            raise EOFError(received)
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65_536)
    return int(head.split(b" ")[1]), body


def send(port: int, parts: Sequence[bytes]) -> tuple[int, bytes]:
    """Send the parts one after another; the response."""
    with connect(port) as connection:
        for part in parts:
            connection.sendall(part)
            if len(parts) > 1:
                time.sleep(0.05)
        return receive_response(connection)


def is_problem(response: tuple[int, bytes], status: int) -> bool:
    problem = json.loads(response[1])
    return response[0] == status == problem["status"] and len(problem["request_id"]) == 32


@pytest.mark.parametrize("upgrade", [b"", H2C, WEBSOCKET], ids=["none", "h2c", "websocket"])
@pytest.mark.parametrize("is_split", [False, True])
def test_an_upgrade_is_ignored_and_the_body_read(port: int, upgrade: bytes, is_split: bool) -> None:
    parts = [b"POST /a HTTP/1.1\r\n" + HOST, upgrade + b"Content-Length: 6\r\n\r\n", b"hi", b" you"]
    assert send(port, parts if is_split else [b"".join(parts)]) == (200, b"POST /a hi you")


def test_an_upgrade_of_a_body_in_chunks_is_ignored(port: int) -> None:
    head = b"POST /a HTTP/1.1\r\n" + HOST + H2C + b"Transfer-Encoding: chunked\r\n\r\n"
    assert send(port, [head, b"2\r\nhi\r\n", b"0\r\n\r\n"]) == (200, b"POST /a hi")


def test_requests_on_one_connection_are_answered_in_order(port: int) -> None:
    with connect(port) as connection:
        for number in range(3):
            upgrade = H2C if number == 1 else b""
            connection.sendall(b"GET /%d HTTP/1.1\r\n" % number + HOST + upgrade + b"\r\n")
            assert receive_response(connection) == (200, b"GET /%d " % number)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
        b"GET http:///:x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request_is_400(port: int, request_bytes: bytes) -> None:
    assert is_problem(send(port, [request_bytes]), 400)


@pytest.mark.parametrize(
    "headers",
    [
        b"a: " + b"x" * http_protocol.MAX_HEADER_BYTES + b"\r\n\r\n",
        b"a: " + b"x" * http_protocol.MAX_HEADER_BYTES,
        b"".join(b"a%d: b\r\n" % n for n in range(http_protocol.MAX_HEADERS)) + b"\r\n",
    ],
    ids=["one long header", "one that does not end", "many headers"],
)
def test_too_large_headers_are_431(port: int, headers: bytes) -> None:
    assert is_problem(send(port, [b"GET / HTTP/1.1\r\n" + HOST + headers]), 431)
    assert is_problem(send(port, [b"GET / HTTP/1.1\r\n" + HOST, headers[:1000], headers[1000:]]), 431)


def test_a_large_body_is_no_large_header(port: int) -> None:
    body = b"x" * 3 * http_protocol.MAX_HEADER_BYTES
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body)
    assert send(port, [head + body]) == (200, b"POST / " + body)


def test_headers_have_a_time_limit(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.2)
    assert is_problem(send(port, [b"GET / HT"]), 408)
    with connect(port) as silent:
        assert silent.recv(10) == b""
    with connect(port) as later:  # also on a connection that had an answer
        later.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert receive_response(later)[0] == 200
        later.sendall(b"GET / HT")
        assert is_problem(receive_response(later), 408)


def test_idle_connections_do_not_keep_others_out(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = BoundedHttpProtocol.table
    wait_for(lambda: len(table) == 0)
    monkeypatch.setattr(table, "_limit", 50)
    idle = [connect(port) for _ in range(200)]
    try:
        assert send(port, [b"GET /honest HTTP/1.1\r\n" + HOST + b"\r\n"]) == (200, b"GET /honest ")
        assert len(table) <= 50
    finally:
        for connection in idle:
            connection.close()
    wait_for(lambda: len(table) == 0)


def test_a_client_that_closes_its_half_gets_its_answer(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"POST /later HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab")
        connection.shutdown(socket.SHUT_WR)
        assert receive_response(connection) == (200, b"POST /later ab")
        assert connection.recv(1) == b"", "then the connection ends"


@pytest.mark.parametrize(
    "part", [b"", b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"]
)
def test_a_client_that_closes_its_half_too_early_is_left(port: int, part: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        assert b" 200 " not in connection.recv(65_536)
