"""What `hotlead train` does: train, write the report, register the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from features.files import whole_file
from features.kinds import Language
from features.settings import load_settings
from training.fitting.pipeline import Say, Trained, train
from training.registry.mlflow_store import Registered, check_server, register
from training.reports.model_report import report


@dataclass(frozen=True)
class MainJob:
    """A finished training: what was made and where it lies."""

    trained: Trained
    registered: Registered
    report: Path


def train_and_register(
    crm_toml: Path, out: Path, say: Say, lang: Language, seed: int, tune_seconds: float = 0
) -> MainJob:
    """Train on a crm.toml's deals, write the model folder and the report, register the model."""
    settings = load_settings(crm_toml)
    check_server(out)
    trained = train(settings, out, say, seed, tune_seconds)
    say("writing the report and registering the model")
    page, path = report(trained, lang), out / "report.html"
    with whole_file(path) as part:
        part.write_text(page, encoding="utf-8")
    return MainJob(trained, register(trained, crm_toml, out, page, lang), path)
