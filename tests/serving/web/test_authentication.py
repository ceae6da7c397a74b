"""Authentication and authorization of requests by the EdgeMiddleware."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.web.api_keys import Role, add, revoke
from tests.helpers.service.guarded_service import GuardedService, is_problem


def test_a_valid_key_is_accepted_and_passed_to_the_app(service: GuardedService) -> None:
    key = service.key("crm")
    token = key["Authorization"].removeprefix("Bearer ")
    for request_headers in (
        key,
        {"X-API-Key": token},
        {"X-API-Key": f" {token} "},
        {"authorization": f"bearer  {token} "},
    ):
        answer = service.client().post("/v1/score", content=b"{}", headers=request_headers)
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
def test_without_a_valid_key_the_answer_is_401(
    service: GuardedService, headers: dict[str, str], path: str
) -> None:
    token = service.key("admin")["Authorization"].removeprefix("Bearer ")
    request_headers = {name: value.replace("TOKEN", token) for name, value in headers.items()}
    answer = service.client("127.0.0.1").post(path, content=b"{}", headers=request_headers)
    assert is_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert len(answer.content) < 1000


def test_a_key_in_the_query_is_ignored_and_not_logged(
    service: GuardedService, caplog: pytest.LogCaptureFixture
) -> None:
    token = service.key("admin")["Authorization"].removeprefix("Bearer ")
    for name in ("key", "api_key", "access_token", "X-API-Key"):
        answer = service.client().post(f"/v1/score?{name}={token}", content=b"{}")
        assert is_problem(answer, 401)
    assert token not in str([vars(record) for record in caplog.records])


def test_a_key_of_another_role_is_forbidden(service: GuardedService) -> None:
    crm, reviewer = service.key("crm"), service.key("reviewer")
    assert is_problem(service.client().post("/v1/overrides", headers=crm), 403)
    assert service.client().post("/v1/overrides", headers=reviewer).status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/v1/score/", "/v1//score", "/page", "/v1/score%00"])
def test_a_path_that_is_not_for_the_role_is_a_404(service: GuardedService, path: str) -> None:
    assert is_problem(service.client().get(path, headers=service.key("crm")), 404)


def test_an_admin_reaches_everything(service: GuardedService) -> None:
    admin = service.key("admin")
    assert service.client().get("/page", headers=admin).status_code == 200
    assert is_problem(service.client().get("/nowhere", headers=admin), 404)


@pytest.mark.parametrize("role", ["crm", "admin"])
def test_a_wrong_method_gets_the_allowed_ones(service: GuardedService, role: Role) -> None:
    key = service.key(role)
    for method in ("GET", "DELETE", "PATCH", "HEAD", "TRACE"):
        answer = service.client().request(method, "/v1/score", headers=key)
        assert answer.status_code == 405
        assert "POST" in answer.headers["allow"]


def test_a_revoked_key_is_rejected(tmp_path: Path) -> None:
    service = GuardedService(tmp_path)
    key, token = add(service.keys_file, "crm", "a")
    revoke(service.keys_file, key.id)
    answer = service.client().post("/v1/score", headers={"X-API-Key": token})
    assert is_problem(answer, 401)


@pytest.mark.parametrize("path", ["/livez", "/metrics"])
def test_probes_and_local_metrics_need_no_key(service: GuardedService, path: str) -> None:
    service.key("crm")
    assert service.client("127.0.0.1").get(path).text == "well"


def test_metrics_need_a_key_from_another_machine(service: GuardedService) -> None:
    key = service.key("reviewer")
    assert is_problem(service.client().get("/metrics"), 401)
    through = service.client("127.0.0.1").get("/metrics", headers={"X-Forwarded-For": "10.0.0.7"})
    assert is_problem(through, 401)
    assert service.client().get("/metrics", headers=key).status_code == 200


def test_metrics_are_not_for_pages_of_other_sites(service: GuardedService) -> None:
    foreign_name = service.client("127.0.0.1", "http://evil.example").get("/metrics")
    assert is_problem(foreign_name, 401)
    origin = service.client("127.0.0.1").get("/metrics", headers={"Origin": "https://evil.example"})
    assert is_problem(origin, 401)


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
    service = GuardedService(tmp_path, open_on_loopback=True)
    service.key("crm")
    assert is_problem(service.client("127.0.0.1").post("/v1/score"), 401)


def test_the_demo_stays_closed_without_the_last_key(tmp_path: Path) -> None:
    service = GuardedService(tmp_path, open_on_loopback=True)
    service.key("crm")
    service.keys_file.unlink()
    assert is_problem(service.client("127.0.0.1").post("/v1/score"), 401)


def test_a_broken_file_of_keys_does_not_open_the_demo(tmp_path: Path) -> None:
    service = GuardedService(tmp_path, open_on_loopback=True)
    service.keys_file.write_text("{")
    assert is_problem(service.client("127.0.0.1").post("/v1/score"), 401)


def test_without_the_setting_it_is_closed(service: GuardedService) -> None:
    assert is_problem(service.client("127.0.0.1").post("/v1/score"), 401)
