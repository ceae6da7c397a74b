from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.clock import iso
from features.settings import load_settings
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE, Model
from tests.conftest import Demo
from tests.helpers.small_crm import listing, replace_text, small_crm
from training.fitting.result import TrainingResult
from training.train import build_record, train


def trained(crm_toml: Path, seed: int = 0) -> TrainingResult:
    return train(load_settings(crm_toml), crm_toml.parent / "out", lambda _: None, seed)


def test_leaks_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    """A column that sales fills when a deal is won."""
    crm_toml = small_crm(tmp_path)
    outcomes = dict(line.split(",")[:2] for line in (tmp_path / "deals.csv").read_text().splitlines()[1:])
    leads = (tmp_path / "leads.csv").read_text().splitlines()
    rows = [f"{row},{'signed' if outcomes.get(row[:5]) == 'won' else ''}" for row in leads[1:]]
    (tmp_path / "leads.csv").write_text("\n".join([leads[0] + ",contract", *rows]))
    replace_text(crm_toml, "age       =", 'contract = { kind = "attribute", column = "contract" }\nage =')
    result = trained(crm_toml)
    assert result.left_out == ("contract",)
    assert "contract" not in result.model.table.names
    assert result.model.about["left_out"] == ["contract"]
    assert any(f.column == "contract" for f in result.findings)


def test_same_seed_same_model_and_steps_are_told(tmp_path: Path) -> None:
    crm_toml, steps = small_crm(tmp_path), []
    versions = []
    for _ in range(2):
        result = train(
            load_settings(crm_toml), tmp_path / "out", lambda step: steps.append(str(step)), seed=3
        )
        versions.append(result.model.version)
    assert versions[0] == versions[1]
    assert steps[0] == "reading the CRM"
    assert "measuring on the newest" in " ".join(steps)


def test_the_output_folder_holds_the_model_and_its_report(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    result = trained(crm_toml)
    record = build_record(result, crm_toml, "en")
    record.write(tmp_path / "out", record.save_model(tmp_path / "saved"))
    assert (tmp_path / "out" / "report.html").read_text("utf-8") == record.report
    assert listing(tmp_path / "out") == {
        ".lock",
        "report.html",
        "model",
        "model/model.json",
        "model/trees.txt",
        "model/evidence.parquet",
    }
    assert Model.load(tmp_path / "out" / "model").version == result.model.version
    assert len(Evidence.load(tmp_path / "out" / "model" / EVIDENCE_FILE)) == len(result.evidence)


def test_about_says_what_the_figures_rest_on(demo: Demo) -> None:
    about, data = demo.model.about, demo.trained.data
    assert about["examples"] == len(data)
    assert about["won_leads"] == data.examples.won_leads
    assert about["trained_through"] == iso(int(data.examples.moment.max()))
    assert about["horizon_days"] == 90
    assert 0.1 < about["measured_examples"] / about["examples"] < 0.25
    assert about["figures"]["model"]["log_loss"]["value"] == pytest.approx(
        demo.trained.evaluation.model["log_loss"].value
    )
    json.dumps(about, allow_nan=False)


def test_model_is_refitted_on_all_deals(demo: Demo) -> None:
    """The measured model never saw the newest; the one for use did, and says other things."""
    judged = demo.trained.data.take(demo.trained.evaluation.rows)
    log_odds = demo.model.log_odds(demo.model.encode(judged.columns))
    assert abs(log_odds - demo.trained.evaluation.scores["model"]).max() > 0.01
    assert demo.trained.evaluation.train_rows < len(demo.trained.data)
