"""Scoring a CRM when something is missing or wrong: the rules answer, and the answer says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import Demo
from tests.helpers.small_crm import CARD, replace_text, run, small_crm

Folder = Callable[..., Path]


@pytest.fixture
def crm(tmp_path: Path) -> Folder:
    """A small CRM with a scorecard; returns its crm.toml."""

    def make(**options: float) -> Path:
        path = small_crm(tmp_path, **options)  # type: ignore[arg-type]
        path.with_name("scorecard.toml").write_text(CARD, encoding="utf-8")
        return path

    return make


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small CRM with a scorecard, on which a model was trained."""
    folder = tmp_path_factory.mktemp("trained") / "crm"
    folder.mkdir()
    crm_toml = small_crm(folder)
    crm_toml.with_name("scorecard.toml").write_text(CARD, encoding="utf-8")
    assert run("train", crm_toml).returncode == 0
    shutil.copytree(folder, folder.with_name("as-trained"))
    return folder


@pytest.fixture
def crm_toml(trained_folder: Path) -> Iterator[Path]:
    """The crm.toml of that CRM, whose files are restored after each test at the same place."""
    yield trained_folder / "crm.toml"
    shutil.rmtree(trained_folder)
    shutil.copytree(trained_folder.with_name("as-trained"), trained_folder)


def scored(crm_toml: Path, *more: object) -> tuple[dict[str, object], list[dict[str, object]], str]:
    """What `hotlead score` says, the list, and what it says on the side."""
    to = crm_toml.with_name("scores.parquet")
    result = run("score", crm_toml, "--to", to, *more)
    assert result.returncode == 0, result.stderr
    as_json = run("score", crm_toml, "--to", to, "--json", *more)
    return json.loads(as_json.stdout), pq.read_table(to).to_pylist(), result.stderr


def test_with_few_wins_the_rules_work_alone_and_say_how_many_are_missing(crm: Folder) -> None:
    crm_toml = crm(leads=60, win_rate=0.15)
    trained = run("train", crm_toml)
    assert trained.returncode == 4
    assert "more are missing" in trained.stderr
    summary, rows, stderr = scored(crm_toml)
    assert (summary["model"], summary["fallback"]) == (None, "no_model")
    assert "more are missing" in stderr
    assert {row["fallback"] for row in rows} == {"no_model"}
    assert {row["decided_by"] for row in rows} == {"rules"}
    assert all(row["probability"] is None and row["points"] is not None for row in rows)
    assert {row["stage"] for row in rows} >= {"warm", "hot"} or len(rows) < 5
    for row in rows:
        assert row["score"] == row["rules_score"]


def test_with_a_model_both_sides_are_told(crm_toml: Path) -> None:
    summary, rows, _ = scored(crm_toml)
    assert summary["fallback"] is None
    for row in rows:
        assert row["model_version"] == summary["model"]
        assert row["decided_by"] == "model"
        assert (row["score"], row["stage"]) == (row["model_score"], row["model_stage"])
        assert row["scorecard_version"] == summary["scorecard"]
        assert row["alike"] >= row["alike_won"] >= 0


def test_a_damaged_model_leaves_it_to_the_rules(crm_toml: Path) -> None:
    for path in crm_toml.parent.rglob("mlartifacts/**/model.json"):
        path.write_text(path.read_text("utf-8").replace('"slope"', '"slop"'), encoding="utf-8")
    summary, _, stderr = scored(crm_toml)
    assert summary["fallback"] == "bundle_damaged"
    assert "Train again" in stderr


def test_damaged_evidence_leaves_it_to_the_rules(crm_toml: Path) -> None:
    for path in crm_toml.parent.rglob("mlartifacts/**/evidence.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    summary, _, stderr = scored(crm_toml)
    assert summary["fallback"] == "bundle_damaged"
    assert "evidence" in stderr


def test_a_card_with_a_new_feature_is_followed_by_the_rules_alone(crm_toml: Path) -> None:
    replace_text(crm_toml, "age       =", 'lately = { kind = "count", activity = "visit", days = 7 }\nage =')
    replace_text(crm_toml.with_name("scorecard.toml"), '"visits"', '"lately"')
    summary, _, stderr = scored(crm_toml)
    assert summary["fallback"] == "feature_mismatch"
    assert "train again" in stderr
    compared = run("compare", crm_toml)
    assert compared.returncode == 3
    assert "lately" in compared.stderr


def test_a_card_that_is_gone_is_the_one_of_the_model(crm_toml: Path) -> None:
    before, rows, _ = scored(crm_toml)
    crm_toml.with_name("scorecard.toml").unlink()
    after, rows_after, stderr = scored(crm_toml)
    assert (after["scorecard"], rows_after) == (before["scorecard"], rows)
    assert "is gone" in stderr


def test_compare_refuses_a_feature_that_means_something_else_now(crm_toml: Path) -> None:
    replace_text(crm_toml, 'activity = "visit", days = 30', 'activity = "visit", days = 60')
    result = run("compare", crm_toml)
    assert result.returncode == 3
    assert "visits" in result.stderr
    assert "hotlead train" in result.stderr


def test_features_that_mean_something_else_now_leave_it_to_the_rules(crm_toml: Path) -> None:
    replace_text(crm_toml, 'activity = "visit", days = 30', 'activity = "visit", days = 60')
    summary, _, stderr = scored(crm_toml)
    assert summary["fallback"] == "feature_mismatch"
    assert "visits" in stderr


def test_with_a_wrong_card_the_last_good_one_goes_on(crm_toml: Path) -> None:
    before, rows, _ = scored(crm_toml)
    replace_text(crm_toml.with_name("scorecard.toml"), "warm = 5", "warm = 50")
    after, rows_after, stderr = scored(crm_toml)
    assert after["scorecard"] == before["scorecard"]
    assert rows_after == rows
    assert "must lie below" in stderr
    assert run("train", crm_toml).returncode == 3


def test_without_model_and_card_it_is_said_what_to_do(tmp_path: Path) -> None:
    result = run("score", small_crm(tmp_path), "--to", tmp_path / "scores.csv")
    assert result.returncode == 3
    assert "hotlead train" in result.stderr
    assert "b2b_saas" in result.stderr
    assert not (tmp_path / "scores.csv").exists()


def test_a_wrong_card_without_a_model_is_an_error(crm: Folder) -> None:
    crm_toml = crm()
    replace_text(crm_toml.with_name("scorecard.toml"), '"visits"', '"visit"')
    result = run("score", crm_toml, "--to", crm_toml.with_name("scores.csv"))
    assert result.returncode == 3
    assert "nearest: 'visits'" in result.stderr
    assert "Traceback" not in result.stderr


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
    rows_by_lead = {row["lead_id"]: row for row in rows}
    assert (rows_by_lead[first]["decided_by"], rows_by_lead[first]["stage"] == "hot") == ("person", False)
    assert (rows_by_lead[second]["stage"], rows_by_lead[second]["hand_over"]) == ("hot", "sql")
    file.write_text("lead_id,verdict\nL1,hot\n", encoding="utf-8")
    result = run("score", crm_toml, "--to", crm_toml.with_name("s.csv"), "--overrides", file)
    assert result.returncode == 4
    assert "lacks the column reason" in result.stderr


def test_a_card_that_looks_at_a_leak_stops_the_training(demo_copy: Path) -> None:
    state = 'state = { kind = "attribute", column = "status" }'
    replace_text(demo_copy, "channel              = {", f"{state}\nchannel = {{")
    demo_copy.with_name("scorecard.toml").write_text(
        'profile = "b2b_saas"\n[fit.rows.customer]\nwhen = [{ feature = "state", one_of = ["customer"] }]\n'
        'points = 5\nbecause = { en = "Customer", ja = "顧客" }\n',
        encoding="utf-8",
    )
    result = run("train", demo_copy, "--out", demo_copy.parent / "other")
    assert result.returncode == 3
    assert "state" in result.stderr
    assert "after the outcome" in result.stderr


def test_the_demo_names_deadlines_and_owners(demo: Demo, tmp_path: Path) -> None:
    to = tmp_path / "scores.parquet"
    assert run("score", demo.crm_toml, "--to", to, "--out", demo.out).returncode == 0
    rows = pq.read_table(to).to_pylist()
    hot = [row for row in rows if row["stage"] == "hot"]
    assert {row["action"] for row in hot} == {"call"}
    assert all(row["deadline"] is not None and row["owner"] == "inside_sales" for row in hot)
    inquiries = [row for row in rows if row["prompt"] == "inquiry"]
    assert inquiries
    assert any(row["stage"] == "cold" and row["deadline"] for row in rows)
    shutil.rmtree(tmp_path)
