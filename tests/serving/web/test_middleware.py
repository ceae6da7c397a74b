"""The door: who comes in, what may come in, and how every answer looks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from serving.observability.prometheus import Metrics
from serving.settings import ServiceSettings
from serving.web import api_keys as keys
from serving.web import problems
from serving.web.api_keys import Role
from serving.web.key_cache import KeyCache
from serving.web.middleware import EdgeMiddleware
from serving.web.rate_limit import RateLimiter

SECRET = "anna@example.com"
LIMIT = 2000


async def score(request: Request) -> JSONResponse:
    body = await request.body()
    state = request.state
    return JSONResponse({"size": len(body), "id": state.request_id, "key": state.key.name})


async def health(request: Request) -> PlainTextResponse:
    return PlainTextResponse("well" if request.state.key is None else "who?")


async def fails(request: Request) -> PlainTextResponse:
    raise ValueError(SECRET)


async def half(request: Request) -> StreamingResponse:
    async def parts() -> Any:
        yield "half"
        raise ValueError(SECRET)

    return StreamingResponse(parts())


async def store_unavailable(request: Request) -> PlainTextResponse:
    raise problems.store_unavailable("The store is away.", 3)


async def bento(request: Request) -> JSONResponse:
    """As BentoML answers: its own shape, with what was sent in it."""
    return JSONResponse([{"error": SECRET}], int(request.query_params["status"]))


async def swallows(request: Request) -> JSONResponse:
    """As BentoML's endpoints do: every exception is a 500."""
    try:
        await request.body()
    except Exception:
        return JSONResponse({"error": SECRET}, 500)
    raise AssertionError("the body came in")


async def page(request: Request) -> HTMLResponse:
    headers = {"Content-Security-Policy": "default-src 'self'", "Server": "x/1", "X-Request-ID": "x"}
    return HTMLResponse("<p>", headers=headers)


ROUTES = [
    Route("/v1/score", score, methods=["POST"]),
    Route("/livez", health),
    Route("/fails", fails),
    Route("/half", half),
    Route("/away", store_unavailable),
    Route("/bento", bento),
    Route("/page", page),
    Route("/swallows", swallows, methods=["POST"]),
    Route("/v1/hot", health),
    Route("/metrics", health),
    Route("/v1/overrides", score, methods=["POST"]),
]


class Client:
    """Asks an app from `host`."""

    def __init__(self, app: ASGIApp, host: str, base: str) -> None:
        self._app, self._host, self._base = app, host, base

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, options))

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=(self._host, 5000))
        async with httpx.AsyncClient(transport=transport, base_url=self._base) as client:
            return await client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


class GuardedService:
    """A service with a door, and the keys to it."""

    def __init__(self, folder: Path, app: ASGIApp | None = None, **settings: Any) -> None:
        defaults = ServiceSettings.from_environment({"HOTLEAD_OUT": str(folder)})
        self.settings = replace(defaults, body_limit=LIMIT, **settings)
        self.metrics = Metrics()
        self.keys_file = defaults.keys_file
        self.door = EdgeMiddleware(
            app or Starlette(routes=ROUTES),
            self.settings,
            KeyCache(defaults.keys_file),
            RateLimiter(self.settings.rate_limit),
            self.metrics,
        )

    def key(self, role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {keys.add(self.keys_file, role, role)[1]}"}

    def client(self, host: str = "10.0.0.7", base: str = "http://127.0.0.1:3000") -> Client:
        return Client(self.door, host, base)

    def count_answers(self) -> dict[tuple[str, str, str], float]:
        """Answers by route, method and status."""
        text = self.metrics.render()[0].decode()
        return {
            (s.labels["route"], s.labels["method"], s.labels["status"]): s.value
            for family in text_string_to_metric_families(text)
            for s in family.samples
            if s.name == "hotlead_requests_total"
        }


@pytest.fixture
def house(tmp_path: Path) -> GuardedService:
    return GuardedService(tmp_path)


@pytest.fixture(autouse=True)
def _check_logs_for_secret(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every line is kept, and none holds the secret."""
    caplog.set_level(logging.DEBUG, "serving")
    yield
    for record in caplog.records:
        fields = {k: v for k, v in vars(record).items() if k not in ("exc_info", "exc_text")}
        assert SECRET not in str(fields)


def is_problem(answer: Any, status: int) -> bool:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert SECRET not in answer.text
    return bool(answer.status_code == body["status"] == status and body["detail"])


# Who comes in


def test_the_right_key_comes_in_and_the_app_knows_whose_it_is(house: GuardedService) -> None:
    key = house.key("crm")
    token = key["Authorization"].removeprefix("Bearer ")
    for request_headers in (key, {"X-API-Key": token}, {"authorization": f"bearer  {token} "}):
        answer = house.client().post("/v1/score", content=b"{}", headers=request_headers)
        assert (answer.status_code, answer.json()["key"]) == (200, "crm")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer hl_a_b"},
        {"X-API-Key": ""},
        {"Authorization": "Basic aGw6aGw="},
        {"X-API-Key": "x" * 1_000_000},
        {"Authorization": "Bearer " + "x" * 1_000_000},
        {"Cookie": "key=TOKEN"},
        {"Authorization": "TOKEN"},
        {"Authorization": "Bearer TOKEN,TOKEN"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/score", "/nowhere", "/page"])
def test_without_a_valid_key_nobody_comes_in(
    house: GuardedService, headers: dict[str, str], path: str
) -> None:
    token = house.key("admin")["Authorization"].removeprefix("Bearer ")
    request_headers = {name: value.replace("TOKEN", token) for name, value in headers.items()}
    answer = house.client("127.0.0.1").post(path, content=b"{}", headers=request_headers)
    assert is_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert len(answer.content) < 1000


def test_a_key_in_the_query_is_none_and_is_not_logged(
    house: GuardedService, caplog: pytest.LogCaptureFixture
) -> None:
    token = house.key("admin")["Authorization"].removeprefix("Bearer ")
    for name in ("key", "api_key", "access_token", "X-API-Key"):
        answer = house.client().post(f"/v1/score?{name}={token}", content=b"{}")
        assert is_problem(answer, 401)
    assert token not in str([vars(record) for record in caplog.records])


def test_a_key_of_another_role_does_not_do(house: GuardedService) -> None:
    crm, reviewer = house.key("crm"), house.key("reviewer")
    assert is_problem(house.client().post("/v1/overrides", headers=crm), 403)
    assert house.client().post("/v1/overrides", headers=reviewer).status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/v1/score/", "/v1//score", "/page", "/v1/score%00"])
def test_a_path_that_is_not_for_the_role_is_a_404(house: GuardedService, path: str) -> None:
    assert is_problem(house.client().get(path, headers=house.key("crm")), 404)


def test_an_admin_reaches_everything(house: GuardedService) -> None:
    admin = house.key("admin")
    assert house.client().get("/page", headers=admin).status_code == 200
    assert is_problem(house.client().get("/nowhere", headers=admin), 404)


@pytest.mark.parametrize("role", ["crm", "admin"])
def test_a_wrong_method_is_told_the_right_ones(house: GuardedService, role: Role) -> None:
    key = house.key(role)
    for method in ("GET", "DELETE", "PATCH", "HEAD", "TRACE"):
        answer = house.client().request(method, "/v1/score", headers=key)
        assert answer.status_code == 405
        assert "POST" in answer.headers["allow"]


def test_a_revoked_key_is_out(tmp_path: Path) -> None:
    house = GuardedService(tmp_path)
    key, token = keys.add(house.keys_file, "crm", "a")
    keys.revoke(house.keys_file, key.id)
    answer = house.client().post("/v1/score", headers={"X-API-Key": token})
    assert is_problem(answer, 401)


@pytest.mark.parametrize("path", ["/livez", "/metrics"])
def test_probes_and_local_metrics_need_no_key(house: GuardedService, path: str) -> None:
    house.key("crm")
    assert house.client("127.0.0.1").get(path).text == "well"


def test_metrics_need_a_key_from_elsewhere(house: GuardedService) -> None:
    key = house.key("reviewer")
    assert is_problem(house.client().get("/metrics"), 401)
    through = house.client("127.0.0.1").get("/metrics", headers={"X-Forwarded-For": "10.0.0.7"})
    assert is_problem(through, 401)
    assert house.client().get("/metrics", headers=key).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_the_demo_is_open_on_this_machine_while_there_are_no_keys(tmp_path: Path, host: str) -> None:
    client = GuardedService(tmp_path, open_on_loopback=True).client(host)
    assert client.post("/v1/score").json()["key"] == "local user"


@pytest.mark.parametrize(
    ("host", "base", "headers"),
    [
        ("10.0.0.7", "http://127.0.0.1:3000", {}),
        ("testclient", "http://localhost", {}),
        ("127.0.0.1", "http://localhost", {"X-Forwarded-For": "10.0.0.7"}),
        ("127.0.0.1", "http://localhost", {"Forwarded": "for=10.0.0.7"}),
        ("127.0.0.1", "http://evil.example", {}),
        ("127.0.0.1", "http://localhost.evil.example", {}),
        ("127.0.0.1", "http://localhost", {"Origin": "https://evil.example"}),
        ("127.0.0.1", "http://localhost", {"Origin": "null"}),
        ("127.0.0.1", "http://localhost", {"Sec-Fetch-Site": "cross-site"}),
        ("127.0.0.1", "http://localhost", {"X-API-Key": "hl_a_b"}),
    ],
)
def test_the_open_demo_is_closed_to_all_others(
    tmp_path: Path, host: str, base: str, headers: dict[str, str]
) -> None:
    client = GuardedService(tmp_path, open_on_loopback=True).client(host, base)
    assert is_problem(client.post("/v1/score", headers=headers), 401)


def test_the_first_key_closes_the_demo(tmp_path: Path) -> None:
    house = GuardedService(tmp_path, open_on_loopback=True)
    house.key("crm")
    assert is_problem(house.client("127.0.0.1").post("/v1/score"), 401)


def test_a_broken_file_of_keys_does_not_open_the_demo(tmp_path: Path) -> None:
    house = GuardedService(tmp_path, open_on_loopback=True)
    house.keys_file.write_text("{")
    assert is_problem(house.client("127.0.0.1").post("/v1/score"), 401)


def test_it_is_closed_unless_told_otherwise(house: GuardedService) -> None:
    assert is_problem(house.client("127.0.0.1").post("/v1/score"), 401)


# What may come in


def test_who_asks_too_often_waits(tmp_path: Path) -> None:
    house = GuardedService(tmp_path, rate_limit=0.001)
    first, second = house.key("crm"), house.key("crm")
    assert house.client().post("/v1/score", headers=first).status_code == 200
    answer = house.client().post("/v1/score", headers=first)
    assert is_problem(answer, 429)
    assert 900 < int(answer.headers["retry-after"]) <= 1000
    assert house.client().post("/v1/score", headers=second).status_code == 200
    assert house.client().get("/livez", headers=first).status_code == 200


def test_a_body_up_to_the_limit_comes_in(house: GuardedService) -> None:
    answer = house.client().post("/v1/score", content=b"x" * LIMIT, headers=house.key("crm"))
    assert answer.json()["size"] == LIMIT


@pytest.mark.parametrize("length", [LIMIT + 1, 10**30])
def test_a_body_that_says_to_be_too_large_is_not_read(house: GuardedService, length: int) -> None:
    request_headers = {**house.key("crm"), "Content-Length": str(length)}
    assert is_problem(house.client().post("/v1/score", content=b"x", headers=request_headers), 413)


class Chunks(httpx.AsyncByteStream):
    """A long body in parts, which says how many were taken."""

    taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(10_000):
            self.taken += 1
            yield b"x" * 100


@pytest.mark.parametrize("path", ["/v1/score", "/swallows"])
def test_a_chunked_body_is_cut_off_at_the_limit(house: GuardedService, path: str) -> None:
    body = Chunks()
    answer = house.client().post(path, content=body, headers=house.key("admin"))
    assert is_problem(answer, 413)
    assert body.taken == LIMIT / 100 + 1


def test_a_false_content_length_does_not_help(house: GuardedService) -> None:
    request_headers = {**house.key("crm"), "Content-Length": "5"}
    answer = house.client().post("/v1/score", content=b"x" * (LIMIT + 1), headers=request_headers)
    assert is_problem(answer, 413)


# How every answer looks


@pytest.mark.parametrize("request_id", ["abc", "A-b_c.9", "x" * 64])
def test_the_senders_request_id_is_taken_over(house: GuardedService, request_id: str) -> None:
    request_headers = {**house.key("crm"), "X-Request-ID": request_id}
    answer = house.client().post("/v1/score", headers=request_headers)
    assert answer.headers["x-request-id"] == answer.json()["id"] == request_id


@pytest.mark.parametrize(
    "request_id", [b"", b"x" * 65, b"a b", b"a\r\nSet-Cookie: x", b"a\n", b"\xff", b"x" * 1_000_000]
)
def test_another_request_id_is_replaced(house: GuardedService, request_id: bytes) -> None:
    answer = asyncio.run(call_raw(house.door, [(b"x-request-id", request_id)], path="/livez"))
    (replaced_id,) = [value for name, value in answer[0]["headers"] if name == b"x-request-id"]
    assert len(replaced_id) == 32
    assert replaced_id.isalnum()


def test_every_answer_has_secure_headers(house: GuardedService) -> None:
    admin = house.key("admin")
    for path in ("/livez", "/nowhere", "/fails", "/bento?status=400"):
        headers = house.client().get(path, headers=admin).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert (headers["referrer-policy"], headers["x-frame-options"]) == ("no-referrer", "DENY")
        assert headers["server"] == "hotlead"


def test_a_page_keeps_its_policy_and_nothing_else(house: GuardedService) -> None:
    headers = house.client().get("/page", headers=house.key("admin")).headers
    assert headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert headers.get_list("server") == ["hotlead"]
    assert headers.get_list("x-request-id") != ["x"]


def test_an_exception_is_a_500_whose_log_holds_no_value(
    house: GuardedService, caplog: pytest.LogCaptureFixture
) -> None:
    answer = house.client().get("/fails", headers=house.key("admin"))
    assert is_problem(answer, 500)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info
    assert house.count_answers()["other", "GET", "500"] == 1


def test_a_problem_that_is_raised_becomes_the_answer(house: GuardedService) -> None:
    answer = house.client().get("/away", headers=house.key("admin"))
    assert is_problem(answer, 503)
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize("status", [400, 404, 415, 418, 422, 500, 503])
def test_errors_of_others_take_our_shape(house: GuardedService, status: int) -> None:
    answer = house.client().get(f"/bento?status={status}", headers=house.key("admin"))
    assert is_problem(answer, status)
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_head_has_the_headers_and_no_body(house: GuardedService) -> None:
    key = house.key("crm")
    answer = house.client().request("HEAD", "/v1/hot", headers=key)
    assert (answer.status_code, answer.content) == (200, b"")
    not_found = house.client().request("HEAD", "/nowhere", headers=key)
    assert (not_found.status_code, not_found.content) == (404, b"")
    assert int(not_found.headers["content-length"]) > 0


def test_options_tells_the_methods(house: GuardedService) -> None:
    answer = house.client().request("OPTIONS", "/v1/hot", headers=house.key("crm"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert is_problem(house.client().request("OPTIONS", "/v1/hot"), 401)


def test_the_access_log_tells_route_and_key_but_no_query(
    house: GuardedService, caplog: pytest.LogCaptureFixture
) -> None:
    key, token = keys.add(house.keys_file, "crm", "a")
    request_headers = {"X-API-Key": token}
    house.client().post(f"/v1/score?lead_id={SECRET}", headers=request_headers)
    house.client().post(f"/v1/leads/{SECRET}", headers=request_headers)
    house.client().get("/livez")
    entries = [vars(record) for record in caplog.records if record.name == "serving.access"]
    assert [(t["method"], t["route"], t["status"], t["key"], t["levelname"]) for t in entries] == [
        ("POST", "/v1/score", 200, key.id, "INFO"),
        ("POST", "other", 404, key.id, "INFO"),
        ("GET", "/livez", 200, None, "DEBUG"),
    ]
    assert all(t["ms"] > 0 for t in entries)
    assert house.count_answers()["/v1/score", "POST", "200"] == 1


# Clients and servers that misbehave


DISCONNECT: Message = {"type": "http.disconnect"}
REQUEST: tuple[Message, ...] = ({"type": "http.request"},)
PART: Message = {"type": "http.request", "body": b"{", "more_body": True}


async def call_raw(
    app: ASGIApp,
    headers: Iterable[tuple[bytes, bytes]] = (),
    messages: Iterable[Message] = REQUEST,
    path: str = "/v1/score",
    method: str = "GET",
) -> list[Message]:
    """What an app sends, told message by message."""
    remaining: Iterator[Message] = iter(messages)
    sent_messages: list[Message] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("10.0.0.7", 1),
        "http_version": "1.1",
        "scheme": "http",
        "server": ("h", 1),
    }

    async def receive() -> Message:
        for message in remaining:
            return message
        await asyncio.Event().wait()  # the client waits for its answer
        raise AssertionError

    async def send(message: Message) -> None:
        sent_messages.append(message)

    await app(scope, receive, send)
    return sent_messages


def token_header(house: GuardedService) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", house.key("admin")["Authorization"].encode())]


@pytest.mark.parametrize("path", ["/v1/score", "/swallows"])
def test_a_client_that_goes_away_is_no_error(
    house: GuardedService, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(call_raw(house.door, token_header(house), [PART, DISCONNECT], path, "POST"))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_client_that_went_away_is_counted_as_such(house: GuardedService) -> None:
    assert asyncio.run(call_raw(house.door, token_header(house), [PART, DISCONNECT], method="POST")) == []
    assert house.count_answers() == {("/v1/score", "POST", "499"): 1}


def test_a_failure_in_the_middle_of_an_answer_leaves_it_unfinished(
    house: GuardedService, caplog: pytest.LogCaptureFixture
) -> None:
    messages = asyncio.run(call_raw(house.door, token_header(house), path="/half"))
    assert messages[0]["status"] == 200
    assert not any(m["type"] == "http.response.start" for m in messages[1:])
    assert messages[-1].get("more_body") is True  # so the server breaks the connection off
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_an_app_that_says_nothing_is_a_500(tmp_path: Path) -> None:
    async def silent(*_: Any) -> None: ...

    house = GuardedService(tmp_path, silent)
    messages = asyncio.run(call_raw(house.door, token_header(house)))
    assert messages[0]["status"] == json.loads(messages[1]["body"])["status"] == 500


def test_being_cancelled_passes_through_and_is_counted(tmp_path: Path) -> None:
    async def slow(*_: Any) -> None:
        await asyncio.Event().wait()

    house = GuardedService(tmp_path, slow)

    async def cancelled() -> None:
        task = asyncio.ensure_future(call_raw(house.door, token_header(house)))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert house.count_answers() == {("/v1/score", "GET", "499"): 1}


def test_websockets_are_refused_and_the_lifespan_passes(tmp_path: Path) -> None:
    scope_types: list[str] = []

    async def app(scope: Any, *_: Any) -> None:
        scope_types.append(scope["type"])

    door, message_types = GuardedService(tmp_path, app).door, []

    async def send(message: Any) -> None:
        message_types.append(message["type"])

    for kind in ("websocket", "lifespan"):
        asyncio.run(door({"type": kind}, None, send))  # type: ignore[arg-type]
    assert (scope_types, message_types) == (["lifespan"], ["websocket.close"])
