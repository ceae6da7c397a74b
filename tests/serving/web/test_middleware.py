"""The EdgeMiddleware: limits of requests, the form of responses, logs, and clients that misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message

from serving.web.api_keys import add
from serving.web.middleware import BENTOML_BYTES, FORM_BYTES, SIGN_IN_BYTES
from tests.helpers.service.guarded_service import (
    HOST_HEADER,
    LIMIT,
    SECRET,
    GuardedService,
    call_raw,
    is_problem,
    token_header,
)

DISCONNECT: Message = {"type": "http.disconnect"}
PART: Message = {"type": "http.request", "body": b"{", "more_body": True}


def test_too_many_requests_of_a_key_are_429(tmp_path: Path) -> None:
    service = GuardedService(tmp_path, rate_limit=0.001)
    first, second = service.key("crm"), service.key("crm")
    assert service.client().post("/v1/score", headers=first).status_code == 200
    answer = service.client().post("/v1/score", headers=first)
    assert is_problem(answer, 429)
    assert 900 < int(answer.headers["retry-after"]) <= 1000
    assert service.client().post("/v1/score", headers=second).status_code == 200
    assert service.client().get("/livez", headers=first).status_code == 200


def test_a_body_up_to_the_limit_is_accepted(service: GuardedService) -> None:
    answer = service.client().post("/v1/score", content=b"x" * LIMIT, headers=service.key("crm"))
    assert answer.json()["size"] == LIMIT


@pytest.mark.parametrize("length", [LIMIT + 1, 10**30])
def test_a_body_declared_too_large_is_not_read(service: GuardedService, length: int) -> None:
    request_headers = {**service.key("crm"), "Content-Length": str(length)}
    assert is_problem(service.client().post("/v1/score", content=b"x", headers=request_headers), 413)


class Chunks(httpx.AsyncByteStream):
    """A long body in parts, which says how many were taken."""

    taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(10_000):
            self.taken += 1
            yield b"x" * 100


@pytest.mark.parametrize("path", ["/v1/score", "/swallows"])
def test_a_chunked_body_is_cut_off_at_the_limit(service: GuardedService, path: str) -> None:
    body = Chunks()
    answer = service.client().post(path, content=body, headers=service.key("admin"))
    assert is_problem(answer, 413)
    assert body.taken == LIMIT / 100 + 1


def test_a_false_content_length_does_not_avoid_the_limit(service: GuardedService) -> None:
    request_headers = {**service.key("crm"), "Content-Length": "5"}
    answer = service.client().post("/v1/score", content=b"x" * (LIMIT + 1), headers=request_headers)
    assert is_problem(answer, 413)


@pytest.mark.parametrize("request_id", ["abc", "A-b_c.9", "x" * 64])
def test_the_senders_request_id_is_adopted(service: GuardedService, request_id: str) -> None:
    request_headers = {**service.key("crm"), "X-Request-ID": request_id}
    answer = service.client().post("/v1/score", headers=request_headers)
    assert answer.headers["x-request-id"] == answer.json()["id"] == request_id


@pytest.mark.parametrize(
    "request_id", [b"", b"x" * 65, b"a b", b"a\r\nSet-Cookie: x", b"a\n", b"\xff", b"x" * 1_000_000]
)
def test_an_invalid_request_id_is_replaced(service: GuardedService, request_id: bytes) -> None:
    answer = asyncio.run(call_raw(service.edge, [(b"x-request-id", request_id)], path="/livez"))
    (replaced_id,) = [value for name, value in answer[0]["headers"] if name == b"x-request-id"]
    assert len(replaced_id) == 32
    assert replaced_id.isalnum()


def test_every_response_has_security_headers(service: GuardedService) -> None:
    admin = service.key("admin")
    for path in ("/livez", "/nowhere", "/fails", "/bento?status=400"):
        headers = service.client().get(path, headers=admin).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert (headers["referrer-policy"], headers["x-frame-options"]) == ("no-referrer", "DENY")
        assert headers["server"] == "hotlead"
        assert (
            headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        )
        assert "camera=()" in headers["permissions-policy"]


def test_a_page_keeps_its_policy_and_no_other_header(service: GuardedService) -> None:
    headers = service.client().get("/page", headers=service.key("admin")).headers
    assert headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert headers.get_list("server") == ["hotlead"]
    assert headers.get_list("x-request-id") != ["x"]


def test_an_exception_is_a_500_without_values_in_the_log(
    service: GuardedService, caplog: pytest.LogCaptureFixture
) -> None:
    answer = service.client().get("/fails", headers=service.key("admin"))
    assert is_problem(answer, 500)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info
    assert service.count_answers()["other", "GET", "500"] == 1


def test_a_raised_problem_becomes_the_response(service: GuardedService) -> None:
    answer = service.client().get("/away", headers=service.key("admin"))
    assert is_problem(answer, 503)
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize("status", [400, 404, 415, 418, 422, 500, 503])
def test_errors_of_the_app_become_problems(service: GuardedService, status: int) -> None:
    answer = service.client().get(f"/bento?status={status}", headers=service.key("admin"))
    assert is_problem(answer, status)
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_head_has_the_headers_and_no_body(service: GuardedService) -> None:
    key = service.key("crm")
    answer = service.client().request("HEAD", "/v1/hot", headers=key)
    assert (answer.status_code, answer.content) == (200, b"")
    not_found = service.client().request("HEAD", "/nowhere", headers=key)
    assert (not_found.status_code, not_found.content) == (404, b"")
    assert int(not_found.headers["content-length"]) > 0


def test_options_lists_the_methods(service: GuardedService) -> None:
    answer = service.client().request("OPTIONS", "/v1/hot", headers=service.key("crm"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert is_problem(service.client().request("OPTIONS", "/v1/hot"), 401)


def test_the_access_log_has_route_and_key_but_no_query(
    service: GuardedService, caplog: pytest.LogCaptureFixture
) -> None:
    key, token = add(service.keys_file, "crm", "a")
    request_headers = {"X-API-Key": token}
    service.client().post(f"/v1/score?lead_id={SECRET}", headers=request_headers)
    service.client().post(f"/v1/leads/{SECRET}", headers=request_headers)
    service.client().get("/livez")
    entries = [vars(record) for record in caplog.records if record.name == "serving.access"]
    assert [(t["method"], t["route"], t["status"], t["key"], t["levelname"]) for t in entries] == [
        ("POST", "/v1/score", 200, key.id, "INFO"),
        ("POST", "other", 404, key.id, "INFO"),
        ("GET", "/livez", 200, None, "DEBUG"),
    ]
    assert all(t["ms"] > 0 for t in entries)
    assert service.count_answers()["/v1/score", "POST", "200"] == 1


@pytest.mark.parametrize("path", ["/v1/score", "/swallows"])
def test_a_disconnect_is_not_logged_as_an_error(
    service: GuardedService, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(call_raw(service.edge, token_header(service), [PART, DISCONNECT], path, "POST"))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_disconnect_is_counted_as_499(service: GuardedService) -> None:
    assert asyncio.run(call_raw(service.edge, token_header(service), [PART, DISCONNECT], method="POST")) == []
    assert service.count_answers() == {("/v1/score", "POST", "499"): 1}


def test_a_failure_midway_leaves_the_response_unfinished(
    service: GuardedService, caplog: pytest.LogCaptureFixture
) -> None:
    messages = asyncio.run(call_raw(service.edge, token_header(service), path="/half"))
    assert messages[0]["status"] == 200
    assert not any(m["type"] == "http.response.start" for m in messages[1:])
    assert messages[-1].get("more_body") is True  # so the server breaks the connection off
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_an_app_without_a_response_is_a_500(tmp_path: Path) -> None:
    async def silent(*_: Any) -> None: ...

    service = GuardedService(tmp_path, silent)
    messages = asyncio.run(call_raw(service.edge, token_header(service)))
    assert messages[0]["status"] == json.loads(messages[1]["body"])["status"] == 500


async def wait_forever(*_: Any) -> None:
    await asyncio.Event().wait()


def test_what_is_in_progress_at_the_stop_is_503(tmp_path: Path) -> None:
    service, messages = GuardedService(tmp_path, wait_forever), list[Message]()

    async def cancelled() -> None:
        call = call_raw(service.edge, token_header(service), method="POST", sent_messages=messages)
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert messages[0]["status"] == json.loads(messages[1]["body"])["status"] == 503
    assert (b"retry-after", b"5") in messages[0]["headers"]
    assert service.count_answers() == {("/v1/score", "POST", "503"): 1}


def test_a_request_that_takes_too_long_is_504(tmp_path: Path) -> None:
    service = GuardedService(tmp_path, wait_forever)
    service.edge.request_seconds = 0.05
    answer = service.client().post("/v1/score", headers=service.key("crm"))
    assert is_problem(answer, 504)
    assert answer.headers["retry-after"] == "5"


def test_a_timeout_of_the_app_itself_is_500(tmp_path: Path) -> None:
    async def times_out(*_: Any) -> None:
        raise TimeoutError

    service = GuardedService(tmp_path, times_out)
    assert is_problem(service.client().post("/v1/score", headers=service.key("crm")), 500)


@pytest.mark.parametrize(
    ("path", "limit"), [("/review/sign-in", SIGN_IN_BYTES), ("/review/calls", FORM_BYTES)]
)
def test_forms_are_smaller_than_bodies(tmp_path: Path, path: str, limit: int) -> None:
    service = GuardedService(tmp_path, body_limit=2 * FORM_BYTES)
    assert is_problem(service.client().post(path, content=b"x" * (limit + 1)), 413)
    assert service.client().post(path, content=b"x" * limit).status_code == 404  # no such page in this app


@pytest.mark.parametrize("media_type", ["multipart/form-data; boundary=x", "text/plain", "image/png"])
def test_bentomls_endpoints_read_json_alone(service: GuardedService, media_type: str) -> None:
    headers = {**service.key("crm"), "Content-Type": media_type}
    for path in ("/score", "/score_batch"):
        assert is_problem(service.client().post(path, content=b"x", headers=headers), 415)


def test_bentomls_endpoints_read_small_bodies(tmp_path: Path) -> None:
    service = GuardedService(tmp_path, body_limit=2 * BENTOML_BYTES)
    headers = {**service.key("crm"), "Content-Type": "application/json"}
    for path in ("/score", "/score_batch"):
        answer = service.client().post(path, content=b" " * (BENTOML_BYTES + 1), headers=headers)
        assert is_problem(answer, 413)


@pytest.mark.parametrize(
    "headers",
    [
        [HOST_HEADER],
        [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")],
        [(b"content-type", b"application/json"), (b"content-type", b"text/plain")],
    ],
)
def test_headers_that_contradict_each_other_are_400(
    service: GuardedService, headers: list[tuple[bytes, bytes]]
) -> None:
    messages = asyncio.run(call_raw(service.edge, headers, path="/livez"))
    assert messages[0]["status"] == json.loads(messages[1]["body"])["status"] == 400


def test_websockets_are_refused_and_the_lifespan_passes(tmp_path: Path) -> None:
    scope_types: list[str] = []

    async def app(scope: Any, *_: Any) -> None:
        scope_types.append(scope["type"])

    edge, message_types = GuardedService(tmp_path, app).edge, []

    async def send(message: Any) -> None:
        message_types.append(message["type"])

    for kind in ("websocket", "lifespan"):
        asyncio.run(edge({"type": kind}, None, send))  # type: ignore[arg-type]
    assert (scope_types, message_types) == (["lifespan"], ["websocket.close"])


@pytest.mark.parametrize("path", ["/livez", "/metrics"])
def test_a_wrong_method_without_a_key_gets_the_allowed_ones(service: GuardedService, path: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = service.client("127.0.0.1").request(method, path)
        assert is_problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
