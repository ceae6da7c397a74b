"""The service on the demo's model: it says what `hotlead score` says, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pytest

from features.clock import from_ms, iso, now_ms, to_ms
from features.columns import Column, numbers_or_none
from features.crm.load import Loaded
from features.crm_data import Crm
from features.kinds import Language
from scoring.model.bundle import Origin, write_bundle
from scoring.pages.time_to_win import format_days
from scoring.texts import translate
from serving.api.responses import format_live_model
from tests.conftest import Demo
from tests.helpers.service.review_site import Reviewer
from tests.helpers.service.service_app import App
from training.lists.batch import ListRequest
from training.lists.score_crm import ScoredList, score_crm
from training.registry.mlflow_store import find_model

LEADS, ONE_BY_ONE = 1_000, 50


@pytest.fixture(scope="module")
def app(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The service on the demo's CRM, with its model."""
    out = tmp_path_factory.mktemp("out")
    registered = find_model(demo.out)
    origin = Origin(registered.model.version, registered.version, registered.run_id, now_ms())
    write_bundle(out / "bundles", registered.folder, origin)
    service_app = App(demo.crm_toml, out)
    yield service_app
    service_app.close()


@pytest.fixture(scope="module")
def listed(demo: Demo, demo_loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> ScoredList:
    """The list that `hotlead score` makes, with the reasons of all leads."""
    order = ListRequest(str(tmp_path_factory.mktemp("list") / "list.parquet"), 0, reasons="all")
    settings = demo_loaded.settings
    return score_crm(settings, demo.out, order, None, lambda _: None, lambda scored_count, total: None)


@dataclass(frozen=True)
class Lead:
    """A lead as a CRM would send it, and its row of the list."""

    body: Mapping[str, Any]
    row: Mapping[str, Any]


@pytest.fixture(scope="module")
def leads(demo_loaded: Loaded, listed: ScoredList) -> list[Lead]:
    """Open leads from all over the list."""
    crm, table, rows = demo_loaded.crm, listed.scored.table, listed.scored.rows
    places = np.linspace(0, len(rows) - 1, LEADS).astype(int)
    histories = LeadHistories(crm)
    return [
        Lead(histories.body(int(rows[place])), row)
        for place, row in zip(places, table.take(places).to_pylist(), strict=True)
    ]


class LeadHistories:
    """What a CRM knows of each of its leads, as a sender would tell it."""

    def __init__(self, crm: Crm) -> None:
        self.crm = crm
        self.attributes = {
            name: plain(column) for name, column in crm.attributes.items() if name not in crm.for_segments
        }
        self.activities: dict[int, list[dict[str, Any]]] = {}
        a = crm.activities
        values = np.full(len(a), np.nan) if a.value is None else a.value
        for lead, kind, time_ms, value in zip(a.lead, a.type, a.time_ms, values, strict=True):
            entry = {"type": a.types[kind], "at": from_ms(time_ms).isoformat()}
            entry |= {} if math.isnan(value) else {"value": float(value)}
            self.activities.setdefault(int(lead), []).append(entry)
        self.changes: dict[int, list[dict[str, Any]]] = {}
        for name, history in crm.changes.items():
            told_values = zip(history.lead, history.time_ms, plain(history.value), strict=True)
            for lead, time_ms, value in told_values:
                entry = {"column": name, "value": value, "at": from_ms(time_ms).isoformat()}
                self.changes.setdefault(int(lead), []).append(entry)
        amount = crm.open_amount
        self.amounts = [None] * len(crm) if amount is None else numbers_or_none(amount)
        self.accounts: dict[int, list[int]] = {}
        for lead, account in enumerate(crm.account.tolist()):
            self.accounts.setdefault(account, []).append(lead)

    def body(self, lead: int) -> dict[str, Any]:
        crm = self.crm
        others = [i for i in self.accounts[int(crm.account[lead])] if i != lead]
        return {
            "lead_id": str(crm.lead_ids[lead]),
            "created_at": from_ms(int(crm.created[lead])).isoformat(),
            "attributes": {name: values[lead] for name, values in self.attributes.items()},
            "activities": self.activities.get(lead, []),
            "changes": self.changes.get(lead, []),
            "colleagues_activities": [a for i in others for a in self.activities.get(i, [])],
            "amount": self.amounts[lead],
        }


def plain(column: Column) -> list[Any]:
    """Values as JSON holds them."""
    if isinstance(column, np.ndarray):
        return [None if math.isnan(value) else value for value in column.tolist()]
    return column.to_list()


def check(answer: Any, row: Mapping[str, Any]) -> None:
    """An answer of the service equals a row of the list."""
    model, rules, action = answer["model"], answer["rules"], answer["action"]
    assert answer["lead_id"] == row["lead_id"]
    assert model["probability"] == pytest.approx(row["probability"], abs=1e-9)
    assert (answer["score"], answer["stage"]) == (row["score"], row["stage"])
    assert (answer["decided_by"], answer["hand_over"]) == (row["decided_by"], row["hand_over"])
    assert (model["score"], model["stage"]) == (row["model_score"], row["model_stage"])
    assert answer["amount"] == row["amount"]
    assert model["expected_value"] == pytest.approx(row["expected_value"], abs=1e-6)
    assert (model["alike"], model["alike_won"]) == (row["alike"], row["alike_won"])
    days = model["days_to_win"] or {"median": None, "p80": None}
    for name in ("median", "p80"):
        assert days[name] == (row[f"days_to_win_{name}"] and pytest.approx(row[f"days_to_win_{name}"]))
    assert (rules["points"], rules["fit"], rules["intent"], rules["score"], rules["stage"]) == tuple(
        row[name] for name in ("points", "fit", "intent", "rules_score", "rules_stage")
    )
    assert (action["kind"], action["owner"], action["text"]) == tuple(
        row[name] for name in ("action", "owner", "text")
    )
    assert action["deadline"] == (row["deadline"] and iso(to_ms(row["deadline"])))
    assert ",".join(answer["unknown"]) == row["unknown"]
    assert ",".join(answer["cautions"]) == row["cautions"]


def test_a_thousand_leads_score_as_in_the_list(app: App, leads: list[Lead], listed: ScoredList) -> None:
    bodies = [lead.body for lead in leads]
    answer = app.post(f"/v1/score/batch?explain=none&as_of={iso(listed.as_of)}", {"leads": bodies})
    assert answer.status_code == 200
    for lead, result in zip(leads, answer.json()["results"], strict=True):
        check(result["answer"], lead.row)
    assert {lead.row["stage"] for lead in leads} == {"cold", "warm", "hot"}
    assert any(lead.body["colleagues_activities"] for lead in leads)
    assert any(lead.body["changes"] for lead in leads)


def test_leads_score_one_by_one_as_in_the_list(app: App, leads: list[Lead], listed: ScoredList) -> None:
    for lead in leads[:: LEADS // ONE_BY_ONE]:
        answer = app.post(f"/v1/score?explain=none&as_of={iso(listed.as_of)}", lead.body)
        check(answer.json(), lead.row)


def test_leads_without_changes_go_the_quick_way_and_score_as_the_others(
    app: App, leads: list[Lead], listed: ScoredList
) -> None:
    bodies = [lead.body for lead in leads if not lead.body["changes"]][:100]
    path = f"/v1/score/batch?explain=all&as_of={iso(listed.as_of)}"
    fast = app.post(path, {"leads": bodies}).json()["results"]
    careful = app.post(path, {"leads": [*bodies, {"lead_id": ""}]}).json()["results"]
    assert len(bodies) == 100
    for one, counterpart in zip(fast, careful[:-1], strict=True):
        first, second = ({**r["answer"], "request_id": None, "scored_at": None} for r in (one, counterpart))
        assert first.pop("model").pop("probability") == pytest.approx(
            second.pop("model").pop("probability"), abs=1e-9
        )
        assert first == second


def test_leads_that_were_sent_before_score_as_from_their_bodies(
    app: App, leads: list[Lead], listed: ScoredList
) -> None:
    lead_bodies = [lead.body for lead in leads if lead.body["colleagues_activities"]][:3]
    for body in lead_bodies:
        lead, mate = body["lead_id"], f"{body['lead_id']} mate"
        records = [("activities", {"lead_id": lead, **a}) for a in body["activities"]]
        records += [("activities", {"lead_id": mate, **a}) for a in body["colleagues_activities"]]
        records += [
            ("leads", {"lead_id": lead, "updated_at": c["at"], "attributes": {c["column"]: c["value"]}})
            for c in body["changes"]
        ]
        records += [
            (
                "leads",
                {
                    "lead_id": sent_id,
                    "updated_at": body["created_at"],
                    "account_id": lead,
                    "created_at": body["created_at"],
                    "attributes": body["attributes"] if sent_id == lead else {},
                    "amount": body["amount"] if sent_id == lead else None,
                },
            )
            for sent_id in (lead, mate)
        ]
        for kind in ("activities", "leads"):
            many = [{"id": f"{lead} {i}", **r} for i, (k, r) in enumerate(records) if k == kind]
            assert app.post(f"/v1/{kind}", many).status_code == 201
    path = f"/v1/score/batch?explain=none&as_of={iso(listed.as_of)}"
    answer = app.post(path, {"leads": [{"lead_id": body["lead_id"]} for body in lead_bodies]})
    rows = {lead.row["lead_id"]: lead.row for lead in leads}
    for result in answer.json()["results"]:
        check(result["answer"], rows[result["answer"]["lead_id"]])


def test_explain_says_how_many_reasons_are_told(app: App, leads: list[Lead], listed: ScoredList) -> None:
    models = {}
    for explain in ("none", "top", "all"):
        path = f"/v1/score?explain={explain}&as_of={iso(listed.as_of)}"
        models[explain] = app.post(path, leads[0].body).json()["model"]
    assert models["none"]["reasons"] is None
    top, every = models["top"]["reasons"], models["all"]["reasons"]
    assert 0 < len(top) <= len(every)
    assert top == every[: len(top)]
    assert all(set(reason) == {"code", "text", "weight", "value"} for reason in every)


def test_reasons_come_in_japanese(app: App, leads: list[Lead]) -> None:
    answer = app.post("/v1/score?lang=ja", leads[0].body).json()
    for reasons in (answer["model"]["reasons"], answer["rules"]["reasons"]):
        assert all(any(ord(letter) > 0x3000 for letter in reason["text"]) for reason in reasons)


def test_the_model_in_use_is_told_with_how_good_it_was(app: App, demo: Demo) -> None:
    body = app.get("/v1/model").json()
    assert body["model"]["version"] == demo.model.version
    assert body["fallback"] is None
    assert 0 < body["thresholds"]["warm"] < body["thresholds"]["hot"] < 1
    assert body["about"]["figures"]["model"]["log_loss"]["value"] > 0
    assert body == {
        **format_live_model(app.components.model_watcher.live_model, now_ms()),
        "model": body["model"],
    }
    answer = app.post("/v1/score", {"lead_id": "L1", "attributes": {}}).json()
    assert answer["model"]["version"] == body["model"]["version"]
    assert answer["rules"]["version"] == body["scorecard"]


def test_pages_say_within_how_many_days_such_leads_are_won(app: App, leads: list[Lead]) -> None:
    body, now = leads[0].body, now_ms()
    lead = {name: body[name] for name in ("lead_id", "created_at", "attributes")}
    assert app.post("/v1/leads", {**lead, "updated_at": body["created_at"]}, role="crm").status_code == 201
    quote = {"lead_id": body["lead_id"], "type": "quote_request", "at": iso(now - 60_000), "value": 5}
    assert app.post("/v1/activities", quote, role="crm").status_code == 201
    answer = app.post("/v1/score", {"lead_id": body["lead_id"]}).json()
    assert answer["stage"] == "hot"
    days = answer["model"]["days_to_win"]
    past_scores = app.get(f"/v1/scores?lead_id={body['lead_id']}").json()["scores"]
    assert past_scores[0]["days_to_win"] == days
    for lang in get_args(Language):
        median, p80 = (format_days(days[name], lang) for name in ("median", "p80"))
        sentence = translate("days_to_win", lang, median=median, p80=p80)
        for path in (f"/review/leads/{body['lead_id']}", "/review/calls"):
            assert sentence in Reviewer(app, lang=lang).page(path).text
