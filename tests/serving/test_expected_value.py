"""What a lead is expected to bring, through the service: sent, stored, scored, listed and shown."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from features.clock import MS_PER_DAY, iso, now_ms
from serving.api.responses import format_history
from tests.helpers.service.api_requests import paths, read_problem, score, send
from tests.helpers.service.review_site import Reviewer
from tests.helpers.service.served_builder import make_company
from tests.helpers.service.service_app import App
from tests.helpers.service.stores import prediction

ATTRIBUTES = {"channel": "referral", "employees": 100}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    make_company(folder)
    return folder


@pytest.fixture
def app(folder: Path, tmp_path: Path) -> Iterator[App]:
    """The service of a company with a model and an empty store."""
    company = shutil.copytree(folder, tmp_path / "company")
    service = App(company / "crm.toml", company / "hotlead-out")
    yield service
    service.close()


def days_ago(days: float) -> str:
    return iso(now_ms() - round(days * MS_PER_DAY))


def lead(app: App, days: float, **fields: Any) -> Any:
    return send(app, "leads", lead_id="L1", updated_at=days_ago(days), **fields)


def is_expected(answer: Any, amount: float | None) -> bool:
    """Whether an answer has this amount, and its expected value."""
    value = None if amount is None else pytest.approx(answer["model"]["probability"] * amount)
    return bool(answer["amount"] == amount and answer["model"]["expected_value"] == value)


@pytest.mark.parametrize(("value", "amount"), [(5000, 5000), ("5,000", 5000), (0, 0), (None, None)])
def test_an_amount_may_come_with_the_lead(app: App, value: Any, amount: float | None) -> None:
    plain = score(app, attributes=ATTRIBUTES)
    answer = score(app, attributes=ATTRIBUTES, amount=value)
    assert is_expected(answer, amount)
    assert is_expected(plain, None)
    assert answer["model"]["probability"] == plain["model"]["probability"]


@pytest.mark.parametrize("value", [-1, 1e16, "much", True, [5]])
def test_a_wrong_amount_is_refused_in_a_sentence(app: App, value: Any) -> None:
    bodies = {
        "score": {"lead_id": "L1", "amount": value},
        "leads": {"lead_id": "L1", "updated_at": days_ago(1), "amount": value},
        "opportunities": {"lead_id": "L1", "opened_at": days_ago(1), "amount": value},
    }
    for path, body in bodies.items():
        problem = read_problem(app.post(f"/v1/{path}", body), 422)
        assert paths(problem) == ["body.amount"]
        assert problem["errors"][0]["allowed"].startswith("a number from 0 to 1e+15")
    batch = app.post("/v1/score/batch", {"leads": [{"lead_id": "L1", "amount": value}]}).json()
    assert batch["results"][0]["status"] == 422


def test_the_newest_amount_that_was_sent_counts(app: App) -> None:
    lead(app, 9, attributes=ATTRIBUTES, amount=100)
    assert is_expected(score(app), 100)
    send(app, "opportunities", lead_id="L1", id="O1", opened_at=days_ago(5), amount=300)
    assert is_expected(score(app), 300)
    send(app, "opportunities", lead_id="L1", id="O1", version=2, opened_at=days_ago(5), amount=400)
    assert is_expected(score(app), 400)
    lead(app, 2, attributes={"employees": 7})  # what is not sent stays as it was
    assert is_expected(score(app), 400)
    lead(app, 1, amount=500)
    assert is_expected(score(app), 500)
    assert is_expected(score(app, ask=f"?as_of={days_ago(7)}"), 100)
    assert is_expected(score(app, ask=f"?as_of={days_ago(1.5)}"), 400)


def test_a_batch_gives_the_same_from_bodies_and_from_the_store(app: App) -> None:
    lead(app, 9, attributes=ATTRIBUTES, amount=100)
    bodies = [{"lead_id": "L2", "attributes": ATTRIBUTES, "amount": 200}, {"lead_id": "L3", "attributes": {}}]
    for leads in ([*bodies, {"lead_id": "L1"}], bodies):
        results = app.post("/v1/score/batch", {"leads": leads}).json()["results"]
        wanted = [200, None, 100][: len(leads)]
        assert all(is_expected(r["answer"], amount) for r, amount in zip(results, wanted, strict=True))


def test_a_closed_lead_has_no_expected_value(app: App) -> None:
    """The amount of a closed deal is known only after the close, and none of an open lead."""
    lead(app, 9, attributes=ATTRIBUTES, amount=100)
    send(app, "outcomes", lead_id="L1", outcome="won", closed_at=days_ago(1), amount=900)
    answer = score(app)
    assert (answer["amount"], answer["model"]["expected_value"]) == (100, None)


def test_the_call_list_the_history_and_the_pages_show_it(app: App) -> None:
    lead(app, 9, attributes=ATTRIBUTES, created_at=days_ago(9), amount=123_456)
    send(app, "leads", lead_id="L2", updated_at=days_ago(9), attributes=ATTRIBUTES)
    for lead_id in ("L1", "L2"):
        hot = {"verdict": "hot", "reason": "met them", "by": "Sato", "at": days_ago(0.1)}
        send(app, "overrides", lead_id=lead_id, **hot)
        answer = score(app, lead_id)
    rows = {row["lead_id"]: row for row in app.get("/v1/hot").json()["leads"]}
    value = rows["L1"]["probability"] * 123_456
    assert rows["L1"]["amount"] == 123_456
    assert rows["L1"]["expected_value"] == pytest.approx(value)
    assert (rows["L2"]["amount"], rows["L2"]["expected_value"]) == (None, None)
    assert app.get("/v1/scores?lead_id=L1").json()["scores"][0]["expected_value"] == pytest.approx(value)
    assert answer["amount"] is None
    for lang, words in (("en", "xpected value"), ("ja", "期待値")):
        reviewer = Reviewer(app, lang=lang)
        calls = reviewer.page("/review/calls").text
        assert calls.count(words) == 1
        assert f"{value:,.0f}" in calls
        assert "123,456" in calls
        page = reviewer.page("/review/leads/L1").text
        assert words in page
        assert f"{value:,.0f}" in page
        assert words not in reviewer.page("/review/leads/L2").text


def test_a_score_from_before_amounts_were_kept_has_none(app: App) -> None:
    row = prediction("L1")._asdict() | {"detail": "{}"}
    assert format_history("L1", [row], 1)["scores"][0]["expected_value"] is None
