"""What `hotlead train` does: train, write the report, register the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from features.files import atomic_file
from features.kinds import Language
from features.settings import load_settings
from training.fitting.pipeline import StepReporter, TrainingResult, train
from training.registry.mlflow_store import Registration, check_server, register
from training.reports.model_report import report


@dataclass(frozen=True)
class TrainingRun:
    """A finished training: what was made and where it lies."""

    trained: TrainingResult
    registration: Registration
    report: Path


def train_and_register(
    crm_toml: Path, out: Path, report_step: StepReporter, lang: Language, seed: int, tune_seconds: float = 0
) -> TrainingRun:
    """Train on a crm.toml's deals, write the model folder and the report, register the model."""
    settings = load_settings(crm_toml)
    check_server(out)
    trained = train(settings, out, report_step, seed, tune_seconds)
    report_step("writing the report and registering the model")
    page, path = report(trained, lang), out / "report.html"
    with atomic_file(path) as part:
        part.write_text(page, encoding="utf-8")
    return TrainingRun(trained, register(trained, crm_toml, out, page, lang), path)
