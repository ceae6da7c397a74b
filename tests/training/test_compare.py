"""The commands of reviewers, one after another, on a small CRM and a real MLflow store."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from features.kinds import Language
from features.settings import load_settings
from scoring.pages.page import to_html
from tests.conftest import Demo
from tests.helpers.small_crm import CARD, listing, replace_text, run, small_crm
from training.compare import compare, save_comparison
from training.train import publish


def test_a_comparison_is_kept_with_its_model(demo: Demo, tmp_path: Path) -> None:
    registration = publish(demo.job.record, tmp_path)
    comparison = compare(load_settings(demo.crm_toml), tmp_path)
    pages = save_comparison(comparison, tmp_path)
    assert all(page.read_text("utf-8").startswith("<!doctype html>") for page in pages.values())
    client = mlflow.MlflowClient(registration.tracking_uri, registration.tracking_uri)
    artifacts = {file.path for file in client.list_artifacts(registration.run_id, "comparison")}
    assert artifacts == {f"comparison/comparison{end}" for end in ("-en.html", "-ja.html", ".json")}
    place = Path(client.download_artifacts(registration.run_id, "comparison/comparison.json"))
    assert json.loads(place.read_text("utf-8"))["model"] == demo.model.version


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crm.toml of a small CRM with a scorecard, trained."""
    crm_toml = small_crm(tmp_path_factory.mktemp("reviewed"), leads=1_500)
    crm_toml.with_name("scorecard.toml").write_text(CARD, encoding="utf-8")
    assert run("train", crm_toml).returncode == 0
    return crm_toml


def test_rules_are_shown_in_both_languages(reviewed: Path) -> None:
    result = run("rules", "show", reviewed, "--lang", "ja")
    assert result.returncode == 0, result.stderr
    assert "紹介で来訪" in result.stdout
    assert "+15" in result.stdout
    out = reviewed.parent / "hotlead-out"
    assert "Came by referral" in (out / "rules-en.html").read_text("utf-8")
    assert json.loads(run("rules", "show", reviewed, "--json").stdout)["bands"]["hot"] == 20


@pytest.mark.parametrize(("lang", "words"), [("en", "Not measurable yet"), ("ja", "まだ測定できません")])
def test_a_comparison_on_too_few_deals_says_so_first(reviewed: Path, lang: Language, words: str) -> None:
    comparison = compare(load_settings(reviewed), reviewed.parent / "hotlead-out")
    assert words not in to_html(comparison.page(lang))
    registered_model = comparison.registered_model
    model = registered_model.model.with_about(measurable=False, measured_from_won_leads=5)
    few = replace(comparison, registered_model=replace(registered_model, model=model))
    assert words in to_html(few.page(lang))
    assert few.to_dict(lang)["measurable"] is False


def test_a_change_is_replayed_before_it_is_used(reviewed: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.toml"
    new.write_text(CARD.replace("hot = 20", "hot = 15"), encoding="utf-8")
    replay = json.loads(run("rules", "replay", new, reviewed, "--json").stdout)
    assert replay["moved_leads"] > 0
    shown = run("rules", "replay", new, "crm.toml", cwd=reviewed.parent)
    assert shown.returncode == 0, shown.stderr
    assert "both sign" in shown.stdout
    assert reviewed.with_name("scorecard.toml").read_text("utf-8") == CARD


def test_a_suggestion_is_written_and_not_applied(reviewed: Path, tmp_path: Path) -> None:
    to = tmp_path / "suggested.toml"
    result = run("rules", "suggest", reviewed, "--to", to)
    assert result.returncode == 0, result.stderr
    assert "nothing is applied" in result.stdout
    assert tomllib.loads(to.read_text("utf-8"))["bands"]["hot"] > 0
    assert reviewed.with_name("scorecard.toml").read_text("utf-8") == CARD
    refused = run("rules", "suggest", reviewed, "--to", reviewed.with_name("scorecard.toml"))
    assert refused.returncode == 3
    assert "in use" in refused.stderr


def test_the_past_is_tested_month_by_month(reviewed: Path) -> None:
    result = run("backtest", reviewed, "--months", 2, "--json")
    assert result.returncode == 0, result.stderr
    months = json.loads(result.stdout)["months"]
    assert [month["judged"] > 0 and month["won"] > 0 for month in months] == [True] * len(months)
    assert 1 <= len(months) <= 2


def test_a_refusal_says_why_and_an_override_is_followed(reviewed: Path) -> None:
    replace_text(reviewed.with_name("scorecard.toml"), "points = 15", "points = 14")
    try:
        result = run("promote", reviewed)
        assert result.returncode == 6
        assert "train again" in result.stdout
        forced = run("promote", reviewed, "--override", "agreed with sales", "--by", "sato")
        assert forced.returncode == 0
        assert "agreed with sales" in forced.stdout
    finally:
        reviewed.with_name("scorecard.toml").write_text(CARD, encoding="utf-8")
    back = run("rollback", reviewed)
    assert back.returncode == 3
    assert "nothing to roll back to" in back.stderr


@pytest.mark.parametrize(
    "command", [("compare",), ("promote",), ("rollback",), ("rules", "replay", "scorecard.toml")]
)
def test_without_a_model_it_is_said_what_to_do(command: tuple[str, ...], tmp_path: Path) -> None:
    small_crm(tmp_path).with_name("scorecard.toml").write_text(CARD, encoding="utf-8")
    result = run(*command, cwd=tmp_path)
    if command[0] == "rules":  # rules need no model: all closed deals are replayed
        assert result.returncode == 0, result.stderr
        assert "no model yet" in result.stderr
    else:
        assert result.returncode == 3
        assert "hotlead train" in result.stderr
        assert "Traceback" not in result.stderr
        assert not {name for name in listing(tmp_path) if "mlflow" in name}
