"""What a training run leaves behind: in its output folder and in MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from features.columns import Column
from features.files import atomic_file, atomic_folder, file_lock
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE, Model
from scoring.statistics.metrics import Estimate

if TYPE_CHECKING:  # a slow import, which reading a model does not need
    import plotly.graph_objects as go


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A model with its evidence and everything that documents its training.

    `figures` are estimates by model and measure, `charts` the drawn figures of the report (HTML)
    by name, `sample` the feature columns of a few examples, `data_digest` the digest of the training data.
    """

    report_file: ClassVar[str] = "report.html"

    model: Model
    evidence: Evidence
    figures: Mapping[str, Mapping[str, Estimate]]
    charts: Mapping[str, go.Figure]
    report: str
    settings_file: Path
    left_out: tuple[str, ...]
    data_digest: str
    sample: Mapping[str, Column]

    def save_model(self, folder: Path) -> Path:
        """Save the model and its evidence to a new folder, and return it."""
        folder.mkdir()
        self.model.save(folder)
        self.evidence.save(folder / EVIDENCE_FILE)
        return folder

    def write(self, out: Path, model_folder: Path) -> None:
        """Write `out`/model, a copy of `model_folder`, and `out`/report.html, each whole or not at all."""
        with file_lock(out / ".lock"), atomic_folder(out / "model") as part:
            shutil.copytree(model_folder, part, dirs_exist_ok=True)
        with atomic_file(out / self.report_file) as part:
            part.write_text(self.report, encoding="utf-8")
