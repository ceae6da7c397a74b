"""The result of a training run, what it leaves behind, and the description that is stored with its model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from features.clock import days_to_ms, iso
from features.crm.audit import Audit
from features.crm.findings import Finding
from features.crm.load import Loaded
from features.crm_data import Crm
from features.files import atomic_file, atomic_folder, file_lock
from features.moments import Examples
from scoring.evaluation.segments import SegmentQuality
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE, Explanation, Model
from scoring.statistics.metrics import estimates_to_dict
from training.fitting.dataset import Dataset
from training.fitting.holdout import Evaluation, is_measurable
from training.fitting.recipe import Recipe

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MAX_EXPLAINED = 2_000


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The model for use, the evaluation of its recipe by figures and segments, and the data and audit behind
    both."""

    loaded: Loaded
    data: Dataset
    audit: Audit
    evaluation: Evaluation
    model: Model
    evidence: Evidence
    segments: list[SegmentQuality]
    explanation: Explanation

    @property
    def findings(self) -> list[Finding]:
        return self.audit.findings

    @property
    def left_out(self) -> tuple[str, ...]:
        """The features that the audit leaves out, sorted by name."""
        return self.audit.left_out


@dataclass(frozen=True)
class RunRecord:
    """A finished training, its report (HTML) with the drawn charts by name, and its crm.toml.

    `description` says in Markdown what was trained on and how good it is.
    """

    report_file: ClassVar[str] = "report.html"

    trained: TrainingResult
    charts: Mapping[str, go.Figure]
    report: str
    settings_file: Path
    description: str

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


def describe_training(
    loaded: Loaded, data: Dataset, evaluation: Evaluation, recipe: Recipe, audit: Audit, seed: int
) -> dict[str, Any]:
    """What the model folder says about its training: JSON values, times in ISO 8601 (UTC)."""
    settings, examples = loaded.settings, data.examples
    dated = loaded.crm.order == "date"
    judged = examples.take(evaluation.rows)
    return {
        "crm": settings.name,
        "trained_through": iso(int(examples.moment.max())) if dated else None,
        "measured_from": iso(int(judged.moment.min())) if dated else None,
        "horizon_days": settings.target.horizon_days if loaded.crm.horizon_applies else None,
        "ordered": examples.ordered,
        "examples": len(examples),
        "leads": len(np.unique(examples.lead)),
        "won_leads": examples.won_leads,
        **_describe_sides(data, evaluation),
        "new_leads_per_week": _new_leads_per_week(loaded.crm, judged) if dated else None,
        "findings": [
            {"code": f.code, "severity": f.severity, "column": f.column, "used": f.is_used}
            for f in audit.findings
        ],
        "left_out": list(audit.left_out),
        "scorecard": data.card.version,
        "data": data.digest,
        "recipe": recipe.to_dict(),
        "seed": seed,
        "figures": {name: estimates_to_dict(figures) for name, figures in evaluation.figures.items()},
    }


def _describe_sides(data: Dataset, evaluation: Evaluation) -> dict[str, Any]:
    """What the evaluated model learnt from, what it was evaluated on, and whether both suffice."""
    learnt, judged = data.examples.take(evaluation.train), data.examples.take(evaluation.rows)
    return {
        "measured_examples": len(judged),
        "measured_leads": len(np.unique(judged.lead)),
        "measured_won_leads": judged.won_leads,
        "measured_from_examples": len(learnt),
        "measured_from_leads": len(np.unique(learnt.lead)),
        "measured_from_won_leads": learnt.won_leads,
        "measurable": is_measurable(data, evaluation),
    }


def explain_sample(model: Model, data: Dataset, evaluation: Evaluation) -> Explanation:
    """Contributions of the features on a sample of the evaluated examples, for the importance chart."""
    rows = evaluation.rows[:: max(1, len(evaluation.rows) // _MAX_EXPLAINED)]
    return model.explain(model.encode(data.take(rows).all_columns))


def _new_leads_per_week(crm: Crm, judged: Examples) -> float:
    """The mean number of leads created per week in the period of the evaluated examples."""
    first, last = int(judged.moment.min()), int(judged.moment.max())
    new = int(((crm.created >= first) & (crm.created <= last)).sum())
    return new / max((last - first) / days_to_ms(7), 1.0)
