"""What a training run leaves behind: in its output folder and in MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from features.files import atomic_file, atomic_folder, file_lock
from scoring.model.model import EVIDENCE_FILE

if TYPE_CHECKING:  # slow imports, which reading a model does not need
    import plotly.graph_objects as go

    from training.fitting.result import TrainingResult


@dataclass(frozen=True)
class RunRecord:
    """A finished training, its report (HTML) with the drawn charts by name, and its crm.toml."""

    report_file: ClassVar[str] = "report.html"

    trained: TrainingResult
    charts: Mapping[str, go.Figure]
    report: str
    settings_file: Path

    def save_model(self, folder: Path) -> Path:
        """Save the model and its evidence to a new folder, and return it."""
        folder.mkdir()
        self.trained.model.save(folder)
        self.trained.evidence.save(folder / EVIDENCE_FILE)
        return folder

    def write(self, out: Path, model_folder: Path) -> None:
        """Write `out`/model, a copy of `model_folder`, and `out`/report.html, each whole or not at all."""
        with file_lock(out / ".lock"), atomic_folder(out / "model") as part:
            shutil.copytree(model_folder, part, dirs_exist_ok=True)
        with atomic_file(out / self.report_file) as part:
            part.write_text(self.report, encoding="utf-8")
