from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest

from features.clock import iso
from features.kinds import Language
from features.settings import load_settings
from scoring.decision.scorer import CalibratedModel
from scoring.evaluation.gate import ModelCandidate, all_passed, run_gate
from scoring.model.evidence import MODEL, Evidence
from scoring.model.model import EVIDENCE_FILE, Model, sigmoid
from scoring.scorecard.load import blank_card
from scoring.texts import translate
from tests.conftest import Demo
from tests.helpers.small_crm import listing, replace_text, small_crm
from tests.scoring.pages.test_page import ParsedPage
from training.fitting.result import TrainingResult
from training.reports.model_report import describe_quality, describe_run, summary
from training.train import build_record, publish, train

LANGUAGES: tuple[Language, ...] = ("en", "ja")


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
        "pseudonym.key",
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


# -- measured and served -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """300 days of history and a horizon of 130: the older deals are those of a few weeks."""
    crm_toml = small_crm(tmp_path_factory.mktemp("short"), leads=600)
    replace_text(crm_toml, "horizon_days = 30", "horizon_days = 130")
    return trained(crm_toml)


def test_too_short_a_history_is_not_measured(short: TrainingResult) -> None:
    about = short.model.about
    assert not about["measurable"]
    assert about["measured_from_won_leads"] < 20 <= about["measured_won_leads"]
    assert about["measured_from_examples"] == short.evaluation.train_rows
    assert about["figures"]["model"]["log_loss"]["value"] > 0  # the numbers are kept
    won = about["measured_from_won_leads"]
    in_english, in_japanese = (describe_quality(about, short.evaluation.figures, lang) for lang in LANGUAGES)
    assert in_english.startswith("Not measurable yet")
    assert f"The older ones have {won} won" in in_english
    assert in_japanese.startswith("まだ測定できません")
    assert f"過去の案件は成約{won}件" in in_japanese


def test_the_report_shows_no_figure_that_means_nothing(short: TrainingResult, tmp_path: Path) -> None:
    loss = f"{short.evaluation.model['log_loss'].value:.4f}"
    for lang in LANGUAGES:
        text = ParsedPage(build_record(short, tmp_path / "crm.toml", lang).report).text
        assert describe_quality(short.model.about, short.evaluation.figures, lang) in text
        assert translate("report_figures", lang) not in text
        assert translate("report_calibration", lang) not in text
        assert translate("report_importance", lang) in text
        assert loss not in text
        assert loss not in describe_run(short, lang)


def test_nothing_that_means_nothing_is_logged(
    short: TrainingResult, tmp_path: Path, empty_store: Path
) -> None:
    (tmp_path / "out").mkdir()
    shutil.copy(empty_store, tmp_path / "out" / "mlflow.db")
    crm_toml = short.loaded.settings.folder / "crm.toml"
    registration = publish(build_record(short, crm_toml, "en"), tmp_path / "out")
    client = mlflow.MlflowClient(registration.tracking_uri, registration.tracking_uri)
    run = client.get_run(registration.run_id)
    assert run.data.metrics == {}
    assert run.data.params["won_leads"] == str(short.model.about["won_leads"])
    files = {artifact.path for artifact in client.list_artifacts(registration.run_id)}
    assert "metrics.json" not in files
    assert [a.path for a in client.list_artifacts(registration.run_id, "figures")] == [
        "figures/importance.html"
    ]


def test_the_gate_says_how_many_older_deals_are_missing(short: TrainingResult) -> None:
    checks = run_gate(ModelCandidate(short.model, short.evidence), short.model.card, None)
    assert not all_passed(checks)
    (failed,) = (check for check in checks if not check.passed)
    assert failed.name == "enough_older_deals"
    assert failed.figures["missing"] == 20 - short.model.about["measured_from_won_leads"]


def test_leads_are_hot_and_warm_by_the_model_in_use(short: TrainingResult) -> None:
    scale = CalibratedModel.from_evidence(short.model, short.evidence, blank_card()).scale
    probability = sigmoid(short.evidence.served)
    assert 0.02 < (probability >= scale.hot).mean() < 0.3
    assert 0.1 < (probability >= scale.warm).mean() < 0.6


def test_summary_says_what_was_measured_and_what_is_in_use(demo: Demo) -> None:
    about = demo.model.about
    assert about["measurable"]
    assert about["measured_from_examples"] == demo.trained.evaluation.train_rows
    assert "In use: the same recipe on all deals." in summary(about, "en")
    assert "実際に使うのは、同じ方法で全案件から学習したモデルです。" in summary(about, "ja")
    for lang in LANGUAGES:
        assert f"{about['measured_from_examples']:,}" in summary(about, lang)
        assert f"{about['measured_from_won_leads']:,}" in summary(about, lang)


def test_measured_and_served_model_agree_in_order_and_level(demo: Demo) -> None:
    evidence = demo.trained.evidence
    measured, served = evidence.scores[MODEL], evidence.served
    assert not np.array_equal(measured, served)
    ranks = [np.argsort(np.argsort(scores)) for scores in (measured, served)]
    assert np.asarray(np.corrcoef(ranks))[0, 1] > 0.9
    rate, leads = evidence.won.mean(), len(np.unique(evidence.group))
    noise = 2 * np.sqrt(rate * (1 - rate) / leads)
    assert abs(sigmoid(measured).mean() - sigmoid(served).mean()) < noise
