"""A value has one score in every spelling: a model of TRUE/FALSE and 1.0/2.0 knows true, 1 and はい."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import pytest

from serving.settings import ServiceSettings
from tests.helpers.champion_crm import out_of, promote_challenger
from tests.helpers.service.service_app import App
from tests.helpers.small_crm import CARD, replace_text, small_crm
from training.registry.follower import deploy_champion
from training.train import train_and_register

OPTED_IN = 'opted_in = { kind = "attribute", column = "opted_in", known = "at_creation" }'
PLAN = 'plan = { kind = "attribute", column = "plan", known = "at_creation" }'
SPELLINGS = [
    *({"opted_in": value} for value in (True, "true", "TRUE", " True ", 1, 1.0, "1", "はい", "ｔｒｕｅ")),
    *({"plan": value} for value in (2, 2.0, "2", "2.0", "２")),
    *({"channel": value} for value in ("REFERRAL", " Referral", "ｒｅｆｅｒｒａｌ")),
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The service with a model of a CRM that exports TRUE and FALSE, and plans as 1.0 and 2.0."""
    folder = tmp_path_factory.mktemp("spellings")
    crm_toml = small_crm(folder, leads=400)
    replace_text(crm_toml, "[features]", f"[features]\n{OPTED_IN}\n{PLAN}")
    card = CARD.replace(
        'one_of = ["referral"] }', 'one_of = ["referral"] }, { feature = "opted_in", one_of = ["TRUE"] }'
    )
    (folder / "scorecard.toml").write_text(card, encoding="utf-8")
    with (folder / "leads.csv").open(encoding="utf-8") as file:
        leads = list(csv.DictReader(file))
    with (folder / "leads.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*leads[0], "opted_in", "plan"])
        writer.writeheader()
        for number, lead in enumerate(leads):
            opted_in = lead["channel"] == "referral" and number % 7 > 0
            writer.writerow({**lead, "opted_in": str(opted_in).upper(), "plan": f"{1 + number % 2}.0"})
    train_and_register(crm_toml, out_of(crm_toml), lambda _: None, "en", 0)
    promote_challenger(crm_toml)
    bundles = ServiceSettings.from_environment({"HOTLEAD_CRM": str(crm_toml)}).bundles
    deploy_champion(out_of(crm_toml), bundles, lambda _: None)
    service = App(crm_toml, out_of(crm_toml))
    yield service
    service.close()


def post_score(app: App, attributes: dict[str, Any]) -> tuple[float, int, bool]:
    body = {"opted_in": "TRUE", "plan": "2.0", "channel": "referral", "employees": 50, **attributes}
    answer = app.post("/v1/score", {"lead_id": "N1", "attributes": body}).json()
    return answer["model"]["probability"], answer["rules"]["points"], bool(answer["cautions"])


@pytest.mark.parametrize("spelling", SPELLINGS, ids=str)
def test_spellings_score_alike(app: App, spelling: dict[str, Any]) -> None:
    expected = post_score(app, {})
    assert post_score(app, spelling) == (pytest.approx(expected[0], abs=1e-9), *expected[1:])


def test_another_value_scores_otherwise(app: App) -> None:
    assert post_score(app, {"opted_in": "FALSE"})[:2] != post_score(app, {})[:2]
    assert post_score(app, {"channel": "ads"})[:2] != post_score(app, {})[:2]


def test_a_batch_scores_as_one_lead(app: App) -> None:
    base = {"opted_in": "TRUE", "plan": "2.0", "channel": "referral", "employees": 50}
    leads = [{"lead_id": f"N{i}", "attributes": {**base, **value}} for i, value in enumerate(SPELLINGS)]
    results = app.post("/v1/score/batch", {"leads": leads}).json()["results"]
    probabilities = [result["answer"]["model"]["probability"] for result in results]
    assert probabilities == pytest.approx([post_score(app, {})[0]] * len(SPELLINGS), abs=1e-9)
