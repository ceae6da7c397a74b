"""What was sent once is known again, whatever crm.toml says today; amounts as people write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from features.clock import iso
from tests.helpers.service.service_app import CRM_TOML, App, small_app

NOW = 1_790_000_000_000
DAY = 86_400_000


def iso_ago(days: float) -> str:
    return iso(NOW - round(days * DAY))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with small_app(tmp_path, lambda: NOW) as service_app:
        yield service_app


LEAD = {
    "lead_id": "A",
    "updated_at": iso_ago(1),
    "attributes": {"channel": "ads", "city": "Nara", "name": "X"},
}


@pytest.mark.parametrize("body", [{**LEAD, "id": "one"}, LEAD])
def test_the_same_sent_again_is_known_after_crm_toml_gained_a_column(tmp_path: Path, body: Any) -> None:
    with small_app(tmp_path, lambda: NOW) as before:
        first = before.post("/v1/leads", body)
        assert first.status_code == 201
        assert first.json()["ignored_attributes"] == ["city", "name"]
    city = 'city = { kind = "attribute", column = "city", known = "history" }\n[words]'
    with small_app(tmp_path, lambda: NOW, CRM_TOML.replace("[words]", city)) as after:
        resent = after.post("/v1/leads", body)
        assert (resent.status_code, resent.json()["outcome"]) == (200, "already known")
        assert resent.json()["id"] == first.json()["id"]
        (stored,) = [after.components.store.lead("A")]
        assert stored is not None
        assert [column for column, _, _ in stored.changes] == ["channel"]
        if "id" in body:
            changed = {**body, "attributes": {**LEAD["attributes"], "name": "Y"}}  # type: ignore[dict-item]
            assert after.post("/v1/leads", changed).status_code == 409


@pytest.mark.parametrize("amount", [520_000, "520,000", "520000", "５２０，０００", "５２００００", "5.2E5"])
def test_an_amount_is_read_as_people_write_it(app: App, amount: object) -> None:
    deal = {"id": "d", "lead_id": "A", "outcome": "won", "closed_at": iso_ago(1)}
    assert app.post("/v1/outcomes", {**deal, "amount": amount}).status_code == 201
    assert app.post("/v1/outcomes", {**deal, "amount": 520_000}).json()["outcome"] == "already known"


@pytest.mark.parametrize("amount", ["52,00", "520.000,0", "￥520,000", "many", "", "1e16", True, [1]])
def test_what_is_no_number_is_told(app: App, amount: object) -> None:
    answer = app.post(
        "/v1/outcomes", {"lead_id": "A", "outcome": "won", "closed_at": iso_ago(1), "amount": amount}
    )
    (error,) = answer.json()["errors"]
    assert (error["path"], answer.status_code) == ("body.amount", 422)
    assert 'a text of one such as "1,200"' in error["allowed"]


def test_numbers_of_attributes_and_activities_too(app: App) -> None:
    body = {
        "lead_id": "A",
        "attributes": {"employees": "１，２００"},
        "activities": [{"type": "quote", "at": iso_ago(1), "value": "４８０，０００"}],
    }
    plain = {
        "lead_id": "A",
        "attributes": {"employees": 1200},
        "activities": [{"type": "quote", "at": iso_ago(1), "value": 480_000}],
    }
    one, plain_answer = (app.post("/v1/score", payload).json() for payload in (body, plain))
    assert one["rules"] == plain_answer["rules"]
    assert [r["code"] for r in one["rules"]["reasons"]] == ["large"]
    results = app.post("/v1/score/batch", {"leads": [body, plain]}).json()["results"]
    assert results[0]["answer"]["rules"] == results[1]["answer"]["rules"] == one["rules"]


def test_misspelt_types_and_columns_are_named(app: App) -> None:
    body = {
        "lead_id": "A",
        "attributes": {"chanel": "ads"},
        "activities": [{"type": "quotes", "at": iso_ago(1)}, {"type": "visit", "at": iso_ago(1)}],
        "colleagues_activities": [{"type": "vist", "at": iso_ago(1)}],
    }
    changed = {**body, "changes": [{"column": "employes", "value": 7, "at": iso_ago(2)}]}
    answer = app.post("/v1/score", changed).json()
    assert answer["ignored_attributes"] == ["chanel", "employes"]
    assert answer["unknown_activities"] == ["quotes", "vist"]
    valid_lead = {"lead_id": "B", "activities": [{"type": "visit", "at": iso_ago(1)}]}
    for leads in ([valid_lead, body], [valid_lead, changed]):  # by column, and lead by lead
        results = app.post("/v1/score/batch", {"leads": leads}).json()["results"]
        assert [result["answer"]["unknown_activities"] for result in results] == [[], ["quotes", "vist"]]
    records = [{"lead_id": "A", "type": kind, "at": iso_ago(1)} for kind in ("vist", "visit")]
    first, second = app.post("/v1/activities", records).json()["results"]
    assert (first["unknown_activities"], "unknown_activities" in second) == (["vist"], False)
    assert app.post("/v1/score", {"lead_id": "A"}).json()["unknown_activities"] == ["vist"]


def test_where_features_count_all_activities_alone_none_is_strange(tmp_path: Path) -> None:
    crm_text = (
        CRM_TOML.replace('"visit"', '"*"').replace('"quote"', '"*"').replace('["*", "download"]', '"*"')
    )
    with small_app(tmp_path, lambda: NOW, crm_text) as app:
        body = {"lead_id": "A", "activities": [{"type": "anything", "at": iso_ago(1)}]}
        assert app.post("/v1/score", body).json()["unknown_activities"] == []


def test_a_moment_before_the_lead_was_there_is_refused_with_both(app: App) -> None:
    app.post("/v1/leads", {"lead_id": "S", "updated_at": iso_ago(3), "created_at": iso_ago(5)})
    bodies = [
        {"lead_id": "S"},
        {"lead_id": "B", "created_at": iso_ago(5)},
        {"lead_id": "C", "activities": [{"type": "visit", "at": iso_ago(5)}]},
    ]
    for body in bodies:
        answer = app.post("/v1/score", body, params={"as_of": iso_ago(6)})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error == {
            "path": "query.as_of",
            "got": f'"{iso_ago(6)}"',
            "allowed": f"a moment when the lead was there: it came at {iso_ago(5)}",
        }
        assert app.post("/v1/score", body, params={"as_of": iso_ago(5)}).status_code == 200
    for leads in (bodies[1:], bodies):
        undated = {"lead_id": "D", "attributes": {"channel": "ads"}}
        batch = app.post("/v1/score/batch", {"leads": [*leads, undated]}, params={"as_of": iso_ago(6)})
        assert [result["status"] for result in batch.json()["results"]] == [422] * len(leads) + [200]


def test_the_call_list_is_paged_and_names_its_owners(app: App) -> None:
    lead = {"activities": [{"type": "quote", "at": iso_ago(1)}]}
    app.post("/v1/score/batch", {"leads": [{"lead_id": f"L{i}", **lead} for i in range(5)]})
    lead_ids, after = [], None
    while True:
        page = app.get("/v1/hot", params={"limit": 2} | ({"after": after} if after else {})).json()
        assert (page["total"], page["owners"]) == (5, {"inside_sales": 5})
        assert page["count"] == len(page["leads"])
        lead_ids += [row["lead_id"] for row in page["leads"]]
        if (after := page["next"]) is None:
            break
    assert lead_ids == [f"L{i}" for i in range(5)]
    nobody = app.get("/v1/hot", params={"owner": "inside-sales"}).json()
    assert (nobody["total"], nobody["leads"], nobody["owners"]) == (0, [], {"inside_sales": 5})
    rejected = app.get("/v1/hot", params={"after": "x"})
    assert rejected.json()["errors"][0]["path"] == "query.after"
