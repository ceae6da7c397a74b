"""Scoring a CRM when something is missing or wrong: the rules answer, and the answer says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import Demo
from tests.helpers.small_crm import CARD, replaced, run, small_crm

Folder = Callable[..., Path]


@pytest.fixture
def crm(tmp_path: Path) -> Folder:
    """A small CRM with a scorecard; returns its crm.toml."""

    def make(**how: float) -> Path:
        path = small_crm(tmp_path, **how)  # type: ignore[arg-type]
        path.with_name("scorecard.toml").write_text(CARD, encoding="utf-8")
        return path

    return make


def scored(crm_toml: Path, *more: object) -> tuple[dict[str, object], list[dict[str, object]], str]:
    """What `hotlead score` says, the list, and what it says on the side."""
    to = crm_toml.with_name("scores.parquet")
    told = run("score", crm_toml, "--to", to, *more)
    assert told.returncode == 0, told.stderr
    as_json = run("score", crm_toml, "--to", to, "--json", *more)
    return json.loads(as_json.stdout), pq.read_table(to).to_pylist(), told.stderr


def test_with_few_wins_the_rules_work_alone_and_say_how_many_are_missing(crm: Folder) -> None:
    crm_toml = crm(leads=60, win_rate=0.15)
    trained = run("train", crm_toml)
    assert trained.returncode == 4
    assert "more are missing" in trained.stderr
    told, rows, said = scored(crm_toml)
    assert (told["model"], told["fallback"]) == (None, "no_model")
    assert "more are missing" in said
    assert {row["fallback"] for row in rows} == {"no_model"}
    assert {row["decided_by"] for row in rows} == {"rules"}
    assert all(row["probability"] is None and row["points"] is not None for row in rows)
    assert {row["stage"] for row in rows} >= {"warm", "hot"} or len(rows) < 5
    for row in rows:
        assert row["score"] == row["rules_score"]


def test_with_a_model_both_sides_are_told(crm: Folder) -> None:
    crm_toml = crm()
    assert run("train", crm_toml).returncode == 0
    told, rows, _ = scored(crm_toml)
    assert told["fallback"] is None
    for row in rows:
        assert row["model_version"] == told["model"]
        assert row["decided_by"] == "model"
        assert (row["score"], row["stage"]) == (row["model_score"], row["model_stage"])
        assert row["scorecard_version"] == told["scorecard"]
        assert row["alike"] >= row["alike_won"] >= 0


def test_a_damaged_model_leaves_it_to_the_rules(crm: Folder) -> None:
    crm_toml = crm()
    assert run("train", crm_toml).returncode == 0
    for path in crm_toml.parent.rglob("mlartifacts/**/model.json"):
        path.write_text(path.read_text("utf-8").replace('"slope"', '"slop"'), encoding="utf-8")
    told, _, said = scored(crm_toml)
    assert told["fallback"] == "bundle_damaged"
    assert "Train again" in said


def test_damaged_evidence_leaves_it_to_the_rules(crm: Folder) -> None:
    crm_toml = crm()
    assert run("train", crm_toml).returncode == 0
    for path in crm_toml.parent.rglob("mlartifacts/**/evidence.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    told, _, said = scored(crm_toml)
    assert told["fallback"] == "bundle_damaged"
    assert "evidence" in said


def test_a_card_with_a_new_feature_is_followed_by_the_rules_alone(crm: Folder) -> None:
    crm_toml = crm()
    assert run("train", crm_toml).returncode == 0
    replaced(crm_toml, "age       =", 'lately = { kind = "count", activity = "visit", days = 7 }\nage =')
    replaced(crm_toml.with_name("scorecard.toml"), '"visits"', '"lately"')
    told, _, said = scored(crm_toml)
    assert told["fallback"] == "feature_mismatch"
    assert "train again" in said
    compared = run("compare", crm_toml)
    assert compared.returncode == 3
    assert "lately" in compared.stderr


def test_a_card_that_is_gone_is_the_one_of_the_model(crm: Folder) -> None:
    crm_toml = crm()
    assert run("train", crm_toml).returncode == 0
    before, rows, _ = scored(crm_toml)
    crm_toml.with_name("scorecard.toml").unlink()
    after, again, said = scored(crm_toml)
    assert (after["scorecard"], again) == (before["scorecard"], rows)
    assert "is gone" in said


def test_compare_refuses_a_feature_that_means_something_else_now(crm: Folder) -> None:
    crm_toml = crm()
    assert run("train", crm_toml).returncode == 0
    replaced(crm_toml, 'activity = "visit", days = 30', 'activity = "visit", days = 60')
    told = run("compare", crm_toml)
    assert told.returncode == 3
    assert "visits" in told.stderr
    assert "hotlead train" in told.stderr


def test_features_that_mean_something_else_now_leave_it_to_the_rules(crm: Folder) -> None:
    crm_toml = crm()
    assert run("train", crm_toml).returncode == 0
    replaced(crm_toml, 'activity = "visit", days = 30', 'activity = "visit", days = 60')
    told, _, said = scored(crm_toml)
    assert told["fallback"] == "feature_mismatch"
    assert "visits" in said


def test_with_a_wrong_card_the_last_good_one_goes_on(crm: Folder) -> None:
    crm_toml = crm()
    assert run("train", crm_toml).returncode == 0
    before, rows, _ = scored(crm_toml)
    replaced(crm_toml.with_name("scorecard.toml"), "warm = 5", "warm = 50")
    after, again, said = scored(crm_toml)
    assert after["scorecard"] == before["scorecard"]
    assert again == rows
    assert "must lie below" in said
    assert run("train", crm_toml).returncode == 3


def test_without_model_and_card_it_is_said_what_to_do(tmp_path: Path) -> None:
    told = run("score", small_crm(tmp_path), "--to", tmp_path / "scores.csv")
    assert told.returncode == 3
    assert "hotlead train" in told.stderr
    assert "b2b_saas" in told.stderr
    assert not (tmp_path / "scores.csv").exists()


def test_a_wrong_card_without_a_model_is_an_error(crm: Folder) -> None:
    crm_toml = crm()
    replaced(crm_toml.with_name("scorecard.toml"), '"visits"', '"visit"')
    told = run("score", crm_toml, "--to", crm_toml.with_name("scores.csv"))
    assert told.returncode == 3
    assert "nearest: 'visits'" in told.stderr
    assert "Traceback" not in told.stderr


def test_overrides_of_persons_are_followed(crm: Folder) -> None:
    crm_toml = crm()
    file = crm_toml.with_name("overrides.csv")
    _, rows, _ = scored(crm_toml)
    first, second = rows[0]["lead_id"], rows[-1]["lead_id"]
    file.write_text(
        "lead_id,verdict,reason,by,at,expires\n"
        f"{first},not_hot,bought elsewhere,sato,2025-01-01,\n"
        f"{second},accepted,met at the fair,sato,2025-01-01T09:00+09:00,2099-01-01\n",
        encoding="utf-8",
    )
    _, rows, _ = scored(crm_toml, "--overrides", file)
    told = {row["lead_id"]: row for row in rows}
    assert (told[first]["decided_by"], told[first]["stage"] == "hot") == ("person", False)
    assert (told[second]["stage"], told[second]["hand_over"]) == ("hot", "sql")
    file.write_text("lead_id,verdict\nL1,hot\n", encoding="utf-8")
    wrong = run("score", crm_toml, "--to", crm_toml.with_name("s.csv"), "--overrides", file)
    assert wrong.returncode == 4
    assert "lacks the column reason" in wrong.stderr


def test_a_card_that_looks_at_a_leak_stops_the_training(demo_copy: Path) -> None:
    state = 'state = { kind = "attribute", column = "status" }'
    replaced(demo_copy, "channel              = {", f"{state}\nchannel = {{")
    demo_copy.with_name("scorecard.toml").write_text(
        'profile = "b2b_saas"\n[fit.rows.customer]\nwhen = [{ feature = "state", one_of = ["customer"] }]\n'
        'points = 5\nbecause = { en = "Customer", ja = "顧客" }\n',
        encoding="utf-8",
    )
    told = run("train", demo_copy, "--out", demo_copy.parent / "other")
    assert told.returncode == 3
    assert "state" in told.stderr
    assert "after the outcome" in told.stderr


def test_the_demo_names_deadlines_and_owners(demo: Demo, tmp_path: Path) -> None:
    to = tmp_path / "scores.parquet"
    assert run("score", demo.crm_toml, "--to", to, "--out", demo.out).returncode == 0
    rows = pq.read_table(to).to_pylist()
    hot = [row for row in rows if row["stage"] == "hot"]
    assert {row["action"] for row in hot} == {"call"}
    assert all(row["deadline"] is not None and row["owner"] == "inside_sales" for row in hot)
    asked = [row for row in rows if row["prompt"] == "inquiry"]
    assert asked
    assert any(row["stage"] == "cold" and row["deadline"] for row in rows)
    shutil.rmtree(tmp_path)
