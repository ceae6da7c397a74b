"""Registering a training run in MLflow: the run with its figures, and a version of the model `hotlead`.

Imports inside functions: MLflow takes seconds to load, and only the end of a training needs it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.columns import Texts
from scoring.model.evidence import MODEL, POINTS
from scoring.model.model import sigmoid
from scoring.scorecard.load import SCORECARD_FILE
from training.fitting.result import RunRecord, TrainingResult
from training.registry.mlflow_store import CHALLENGER, MODEL_NAME, mlflow_store
from training.registry.model_wheel import build_wheel, pin_libraries

HEADLINES = (
    "log_loss",
    "brier",
    "roc_auc",
    "average_precision",
    "calibration_error",
    "lift_top_10",
    "win_rate_top_10",
    "won_amount_top_10",
)
"""The figures of the model that are metrics of its run, beside the log loss of these others:"""
RIVALS = (POINTS, "baseline_logistic")

_PARAMS = (
    "crm",
    "seed",
    "examples",
    "leads",
    "won_leads",
    "horizon_days",
    "trained_through",
    "scorecard",
    "recipe",
)
_SAMPLE_ROWS = 5
_MODEL_DESCRIPTION = (
    "The chance that a lead is won, from the features of crm.toml. `champion` scores the leads, `challenger` "
    "is the last model trained, `previous` the champion before."
)


@dataclass(frozen=True)
class Registration:
    """The version and run of a model in MLflow; `tracking_uri` is without its password."""

    version: str
    run_id: str
    tracking_uri: str


class _PackedFlavor:
    """MLflow's pyfunc flavor with the wheel of Hotlead in `wheels/`, as MLflow stores private packages.

    The requirements name the wheel by its path in the model's folder, where MLflow and pip install from.
    """

    __name__ = "pyfunc"

    def save_model(self, path: str, mlflow_model: Any, **options: Any) -> None:
        import mlflow.pyfunc

        with tempfile.TemporaryDirectory() as folder:
            wheel = build_wheel(Path(folder))
            options |= {"pip_requirements": [f"wheels/{wheel.name}", *pin_libraries()]}
            mlflow.pyfunc.save_model(path, mlflow_model=mlflow_model, **options)
            (Path(path) / "wheels").mkdir()
            shutil.copy(wheel, Path(path) / "wheels")


def register(record: RunRecord, model_folder: Path, out: Path) -> Registration:
    """Log a training run to the store of `out`; its model, saved in `model_folder`, becomes challenger."""
    name = describe_data(record.trained)
    with (
        mlflow_store(out) as (mlflow, uri),
        mlflow.start_run(run_name=name, description=record.description) as run,
    ):
        _log_run(mlflow, record)
        _log_files(mlflow, record)
        model = _log_model(mlflow, record, model_folder)
        _log_data(mlflow, record.trained)
        if record.trained.model.about["measurable"]:
            _log_figures(mlflow, record.trained, model.model_id)
        version = _create_version(mlflow, model, record)
        return Registration(version, run.info.run_id, uri)


def describe_data(trained: TrainingResult) -> str:
    """The name of a run: the CRM, the day of its export in its time zone, and its number of leads."""
    loaded = trained.loaded
    is_dated = loaded.crm.order == "date"
    moment = datetime.fromtimestamp(loaded.crm.snapshot / 1000, UTC) if is_dated else datetime.now(UTC)
    day = moment.astimezone(loaded.settings.zone).date()
    return f"{loaded.settings.name} {day} {len(loaded.crm):,} leads"


def _log_run(mlflow: Any, record: RunRecord) -> None:
    trained = record.trained
    mlflow.log_params(_flatten({name: trained.model.about[name] for name in _PARAMS}))
    mlflow.set_tags(
        {
            "hotlead.version": trained.model.version,
            "hotlead.features": trained.model.table.fingerprint,
            "hotlead.left_out": ", ".join(trained.left_out),
            "hotlead.data": trained.data.digest,
        }
    )


def _log_files(mlflow: Any, record: RunRecord) -> None:
    """The report and its charts, crm.toml, the scorecard, and, if measurable, all figures with intervals."""
    card, card_file = record.trained.model.card, record.settings_file.with_name(SCORECARD_FILE)
    mlflow.log_text(record.report, record.report_file)
    mlflow.log_artifact(str(record.settings_file))
    mlflow.log_dict(card.to_dict(), "scorecard.json")
    if card_file.exists():
        mlflow.log_artifact(str(card_file))
    for name, chart in record.charts.items():
        mlflow.log_figure(chart, f"figures/{name}.html", save_kwargs={"include_plotlyjs": True})
    if record.trained.model.about["measurable"]:
        mlflow.log_table(figures_frame(record.trained), "metrics.json")


def figures_frame(trained: TrainingResult) -> pd.DataFrame:
    """Every figure of the model, the scorecard and the baselines: value and 95 % interval."""
    rows = [
        (source, name, figure.value, figure.low, figure.high)
        for source, figures in trained.evaluation.figures.items()
        for name, figure in figures.items()
    ]
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])


def _log_data(mlflow: Any, trained: TrainingResult) -> None:
    mlflow.log_input(_training_data(trained), context="training")
    mlflow.log_input(_evaluation_data(trained), context="evaluation")


def _log_figures(mlflow: Any, trained: TrainingResult, model_id: str) -> None:
    """Log the headline figures, and the learning curve as the earlier steps of `log_loss`."""
    from mlflow.entities import Metric

    judged = _evaluation_data(trained)
    *steps, last = trained.evaluation.learning_curve.items()
    now_ms, client = int(time.time() * 1000), mlflow.MlflowClient()
    curve = [Metric("log_loss", loss, now_ms, step) for step, loss in steps]
    client.log_batch(mlflow.active_run().info.run_id, metrics=curve)
    headlines = dict(_headlines(trained))
    mlflow.log_metric("log_loss", headlines.pop("log_loss"), step=last[0], dataset=judged, model_id=model_id)
    mlflow.log_metrics(headlines, dataset=judged, model_id=model_id)


def _headlines(trained: TrainingResult) -> Iterator[tuple[str, float]]:
    """The ten figures to look at first; those that are undefined are left out."""
    figures = trained.evaluation.figures
    named = [(name, figures[MODEL][name].value) for name in HEADLINES]
    named += [(f"{rival}.log_loss", figures[rival]["log_loss"].value) for rival in RIVALS if rival in figures]
    yield from ((name, value) for name, value in named if value == value)


def _training_data(trained: TrainingResult) -> Any:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    name, digest = str(trained.model.about["crm"]), trained.data.digest
    return MetaDataset(CodeDatasetSource({"crm": name}), name=name, digest=digest)


def _evaluation_data(trained: TrainingResult) -> Any:
    """The leads that the model was evaluated on. MLflow keeps their columns, number and digest, no values."""
    import mlflow.data
    from mlflow.data.code_dataset_source import CodeDatasetSource

    evidence, name = trained.evidence, str(trained.model.about["crm"])
    frame = pd.DataFrame(
        {
            "lead": evidence.lead,
            "moment": evidence.moment.astype("datetime64[ms]") if evidence.dated else evidence.moment * 1.0,
            "age_days": evidence.landmark,
            "won": evidence.won,
            "probability": sigmoid(evidence.scores[MODEL]),
        }
    )
    source = CodeDatasetSource({"crm": name, "file": "evidence.parquet"})
    return mlflow.data.from_pandas(
        frame, source, targets="won", predictions="probability", name=f"{name} evaluation"
    )


def _log_model(mlflow: Any, record: RunRecord, model_folder: Path) -> Any:
    """Log the model with its signature, an example and the wheel that loads it."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    table = record.trained.model.table
    inputs = [
        ColSpec(DataType.string if name in table.texts else DataType.double, name, required=False)
        for name in table.names
    ]
    return Model.log(
        artifact_path=None,
        name="model",
        flavor=_PackedFlavor(),
        loader_module="training.pyfunc",
        data_path=str(model_folder),
        signature=ModelSignature(Schema(inputs), Schema([ColSpec(DataType.double, "probability")])),
        input_example=_input_example(record),
    )


def _create_version(mlflow: Any, model: Any, record: RunRecord) -> str:
    """Register the logged model as challenger, and return the number of its version."""
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name = '{MODEL_NAME}'"):
        with suppress(mlflow.exceptions.MlflowException):  # another process may have been quicker
            client.create_registered_model(MODEL_NAME, description=_MODEL_DESCRIPTION)
    version = client.create_model_version(
        MODEL_NAME,
        model.model_uri,
        run_id=model.run_id,
        model_id=model.model_id,
        description=record.description,
    ).version
    client.set_registered_model_alias(MODEL_NAME, CHALLENGER, version)
    client.set_model_version_tag(MODEL_NAME, version, "hotlead.version", record.trained.model.version)
    return str(version)


def _input_example(record: RunRecord) -> pd.DataFrame:
    data = record.trained.data
    columns = data.take(np.arange(min(_SAMPLE_ROWS, len(data)))).columns.items()
    return pd.DataFrame({name: c.to_list() if isinstance(c, Texts) else c for name, c in columns})


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
