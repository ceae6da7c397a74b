"""Wrong keys: counted by address, named in the log without the secret, and asked to wait."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.observability.prometheus import Metrics
from serving.web import failed_sign_ins
from serving.web.api_keys import add
from serving.web.failed_sign_ins import FailedSignIns
from tests.helpers.clock import Clock
from tests.helpers.service.guarded_service import GuardedService, is_problem
from tests.helpers.service.review_site import Reviewer, review_app

UNKNOWN_KEY = {"X-API-Key": "hl_ffffffff_not-the-secret-of-anybody"}


def count_by_door(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.render()[0].decode())
    samples = (sample for family in families for sample in family.samples)
    return {s.labels["door"]: s.value for s in samples if s.name == "hotlead_failed_sign_ins_total"}


def test_the_eleventh_wrong_key_of_a_minute_waits_and_each_further_one_waits_longer() -> None:
    clock = Clock(100.0)
    table = FailedSignIns(Metrics(), clock)
    waits = [table.record("10.0.0.7", "api", None) for _ in range(13)]
    assert waits == [0.0] * 10 + [6.0, 12.0, 18.0]
    clock.now += 18
    assert table.record("10.0.0.7", "page", None) == 6.0, "the doors share the count"
    clock.now += 120
    assert table.record("10.0.0.7", "api", None) == 0.0


def test_nobody_waits_longer_than_nine_minutes() -> None:
    table = FailedSignIns(Metrics(), Clock(100.0))
    assert max(table.record("10.0.0.7", "api", None) for _ in range(5_000)) == 540.0


def test_addresses_do_not_disturb_each_other_but_those_of_one_ipv6_network_are_one() -> None:
    table = FailedSignIns(Metrics(), Clock(100.0))
    for number in range(20):
        table.record(f"2001:db8::{number:x}", "api", None)
    assert table.record("2001:db8::ffff", "api", None) > 0
    assert table.record("2001:db8:0:1::1", "api", None) == 0
    assert [table.record(f"::ffff:10.0.0.{number}", "api", None) for number in range(20)] == [0.0] * 20
    assert table.record("fe80::1%eth0", "api", None) == table.record("", "api", None) == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_sign_ins, "MAX_ADDRESSES", 3)
    table = FailedSignIns(Metrics(), Clock(100.0))
    for _ in range(11):
        table.record("10.0.0.1", "api", None)
    for number in (2, 3, 1, 4, 5):
        table.record(f"10.0.0.{number}", "api", None)
    assert len(table) == 3
    assert table.record("10.0.0.1", "api", None) > 0, "it failed lately, so it is still remembered"


def test_a_flood_is_not_a_flood_of_lines(caplog: pytest.LogCaptureFixture) -> None:
    table = FailedSignIns(Metrics(), Clock(100.0))
    for _ in range(4_096):
        table.record("10.0.0.7", "api", None)
    assert [vars(r)["failures"] for r in caplog.records] == [*range(1, 11), *(2**n for n in range(4, 13))]


def test_wrong_keys_of_an_address_are_429_and_its_right_key_is_taken(service: GuardedService) -> None:
    right, client = service.key("crm"), service.client()
    answers = [client.post("/v1/score", headers=UNKNOWN_KEY) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert is_problem(answers[-1], 429)
    assert answers[-1].headers["retry-after"] == "12"
    assert client.post("/v1/score", headers=right).status_code == 200
    assert service.client("10.0.0.8").post("/v1/score", headers=UNKNOWN_KEY).status_code == 401
    assert is_problem(client.post("/v1/score"), 401), "no key is no wrong key"
    assert count_by_door(service.metrics) == {"api": 13}


def test_the_log_names_the_address_and_the_key_that_exists_but_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = GuardedService(tmp_path)
    key, token = add(service.keys_file, "crm", "CRM")
    for token_sent in (f"{token}x", UNKNOWN_KEY["X-API-Key"], "not-the-secret-of-anybody", ""):
        service.client().post("/v1/score", headers={"X-API-Key": token_sent})
    lines = [vars(record) for record in caplog.records if record.getMessage() == "A key was refused"]
    assert [line["key"] for line in lines] == [key.id, None, None, None]
    assert {(line["address"], line["door"], line["levelno"]) for line in lines} == {
        ("10.0.0.7", "api", logging.WARNING)
    }
    everything = str([vars(record) for record in caplog.records])
    assert token.rpartition("_")[2] not in everything
    assert "not-the-secret" not in everything


@pytest.mark.parametrize(
    ("client", "forwarded", "counted"),
    [
        ("127.0.0.1", "198.51.100.9, 203.0.113.5", "203.0.113.5"),  # the last one is the proxy's
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "anna@example.com", "127.0.0.1"),
        ("10.0.0.7", "203.0.113.5", "10.0.0.7"),  # anybody can say so
    ],
)
def test_the_address_is_that_of_the_client_of_a_proxy_on_this_machine(
    service: GuardedService, caplog: pytest.LogCaptureFixture, client: str, forwarded: str, counted: str
) -> None:
    headers = {**UNKNOWN_KEY, **({"X-Forwarded-For": forwarded} if forwarded else {})}
    service.client(client).post("/v1/score", headers=headers)
    (line,) = [vars(record) for record in caplog.records if record.getMessage() == "A key was refused"]
    assert line["address"] == counted


def test_the_sign_in_page_counts_with_the_api(tmp_path: Path) -> None:
    with review_app(tmp_path) as (app, _):
        person = Reviewer(app, None)
        assert [person.sign_in("hl_wrong").status_code for _ in range(6)] == [401] * 6
        for _ in range(4):
            assert app.get("/v1/hot", role=None, headers=UNKNOWN_KEY).status_code == 401
        answer = person.sign_in("hl_wrong")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "6")
        assert "Wait 6 s" in answer.text
        assert app.get("/v1/hot", role=None, headers=UNKNOWN_KEY).status_code == 429
        assert count_by_door(app.components.metrics) == {"page": 7, "api": 5}
        assert person.sign_in(app.tokens["reviewer"]).status_code == 303, "the right key is taken at once"
