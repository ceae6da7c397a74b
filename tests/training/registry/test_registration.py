"""What a training leaves in a real MLflow store: its run, its logged model and the registered version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from tests.conftest import Demo
from training.registry.mlflow_store import MODEL_NAME
from training.registry.registration import HEADLINES, RIVALS, TIME_FIGURES
from training.train import publish


@pytest.fixture
def client(demo: Demo) -> mlflow.MlflowClient:
    uri = demo.job.registration.tracking_uri
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture
def logged(demo: Demo, client: mlflow.MlflowClient) -> Any:
    return client.get_run(demo.job.registration.run_id)


def test_run_holds_parameters_and_tags(demo: Demo, logged: Any) -> None:
    params, tags = logged.data.params, logged.data.tags
    assert params["crm"] == "demo"
    sizes = demo.model.about["recipe"]["trees"]["small_trees"]["boosting"]
    assert params["recipe.trees.small_trees.boosting.num_leaves"] == str(sizes["num_leaves"])
    assert tags["hotlead.version"] == demo.model.version
    assert tags["hotlead.features"] == demo.model.table.fingerprint
    assert tags["hotlead.data"] == demo.trained.data.digest
    assert logged.info.status == "FINISHED"


def test_run_has_a_readable_name_and_a_description(demo: Demo, logged: Any) -> None:
    assert logged.info.run_name == "demo 2026-10-01 5,000 leads"
    description = logged.data.tags["mlflow.note.content"]
    assert description.startswith("**Log loss 0.")
    for sentence in (f"{demo.model.about['won_leads']:,} won", "within 90 days", demo.model.version):
        assert sentence in description


def test_run_has_its_headline_metrics(demo: Demo, logged: Any) -> None:
    figures = demo.trained.evaluation.figures
    expected = {name: figures["model"][name].value for name in HEADLINES}
    expected |= {f"{rival}.log_loss": figures[rival]["log_loss"].value for rival in RIVALS}
    times = demo.model.about["time_to_win"]["figures"]
    expected |= {f"time_to_win.{name}": times[name]["value"] for name in TIME_FIGURES}
    assert len(expected) == 13
    assert logged.data.metrics == pytest.approx(expected)


def test_logged_model_has_the_headline_metrics_of_the_evaluation_data(
    demo: Demo, logged: Any, client: mlflow.MlflowClient
) -> None:
    [output] = logged.outputs.model_outputs
    metrics = {m.key: m for m in client.get_logged_model(output.model_id).metrics}
    assert {name: m.value for name, m in metrics.items()} == pytest.approx(logged.data.metrics)
    assert {m.dataset_name for m in metrics.values()} == {"demo evaluation"}


def test_earlier_steps_of_the_log_loss_are_the_learning_curve(
    demo: Demo, logged: Any, client: mlflow.MlflowClient
) -> None:
    history = client.get_metric_history(logged.info.run_id, "log_loss")
    steps = {metric.step: metric.value for metric in history}
    assert len(steps) == len(history) > 2
    assert steps == pytest.approx(demo.trained.evaluation.learning_curve)
    assert steps[max(steps)] == demo.trained.evaluation.model["log_loss"].value


def test_all_figures_with_their_intervals_are_a_table(
    demo: Demo, logged: Any, client: mlflow.MlflowClient
) -> None:
    path = client.download_artifacts(logged.info.run_id, "metrics.json")
    table = pd.read_json(Path(path), orient="split").set_index(["model", "metric"])
    for name, figures in demo.trained.evaluation.figures.items():
        for metric, figure in figures.items():
            row = table.loc[(name, metric)]
            assert (row["value"], row["low"], row["high"]) == pytest.approx(
                (figure.value, figure.low, figure.high), nan_ok=True
            )
    within = demo.model.about["time_to_win"]["figures"]["within_p80"]
    assert table.loc[("time_to_win", "within_p80")].to_dict() == pytest.approx(within)


def test_run_names_its_data_sets(demo: Demo, logged: Any) -> None:
    inputs = {i.tags[0].value: i.dataset for i in logged.inputs.dataset_inputs}
    assert set(inputs) == {"training", "evaluation"}
    assert (inputs["training"].name, inputs["training"].digest) == ("demo", demo.trained.data.digest)
    assert json.loads(inputs["evaluation"].profile)["num_rows"] == len(demo.trained.evidence)
    columns = {c["name"]: c["type"] for c in json.loads(inputs["evaluation"].schema)["mlflow_colspec"]}
    assert columns["won"] == "boolean"
    assert columns["probability"] == "double"


def logged_version(client: mlflow.MlflowClient, run_id: str) -> str:
    return str(client.get_run(run_id).data.params["scorecard"])


def test_run_holds_figures_report_and_crm_toml(demo: Demo, client: mlflow.MlflowClient) -> None:
    run_id = demo.job.registration.run_id
    files = {f.path for f in client.list_artifacts(run_id)}
    assert {"report.html", "crm.toml", "figures", "scorecard.toml", "scorecard.json"} <= files
    figures = {Path(f.path).stem for f in client.list_artifacts(run_id, "figures")}
    assert figures == {"calibration", "gains", "scores", "importance", "win_rate"}
    place = Path(client.download_artifacts(run_id, "crm.toml"))
    assert place.read_text("utf-8") == demo.crm_toml.read_text("utf-8")
    card = Path(client.download_artifacts(run_id, "scorecard.json")).read_text("utf-8")
    assert json.loads(card) == demo.model.card.to_dict()
    assert logged_version(client, run_id) == demo.model.card.version


def test_model_is_registered_as_challenger(demo: Demo, client: mlflow.MlflowClient) -> None:
    version = client.get_model_version_by_alias(MODEL_NAME, "challenger")
    assert str(version.version) == demo.job.registration.version
    assert version.tags["hotlead.version"] == demo.model.version
    assert "`champion` scores the leads" in client.get_registered_model(MODEL_NAME).description
    assert version.description.startswith("**Log loss 0.")


def test_another_project_beside_the_training_does_not_enter_the_model(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow would take the uv.lock of the current folder for the environment of the model."""
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    publish(demo.job.record, tmp_path / "out")
    [model] = (tmp_path / "out").rglob("MLmodel")
    assert {path.name for path in model.parent.iterdir()}.isdisjoint({"uv.lock", "pyproject.toml"})
