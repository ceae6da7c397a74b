"""The result of a training run, and the description that is stored with its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.clock import days_to_ms, iso
from features.crm.audit import Audit
from features.crm.findings import Finding
from features.crm.load import Loaded
from features.crm_data import Crm
from features.moments import Examples
from scoring.model.evidence import Evidence
from scoring.model.model import Explanation, Model
from scoring.statistics.metrics import estimates_to_dict
from training.fitting.dataset import Dataset
from training.fitting.holdout import Evaluation
from training.fitting.recipe import Recipe

_MAX_EXPLAINED = 2_000


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The model for use, the evaluation of its recipe, and the data and audit behind both."""

    loaded: Loaded
    data: Dataset
    audit: Audit
    evaluation: Evaluation
    model: Model
    evidence: Evidence
    explanation: Explanation

    @property
    def findings(self) -> list[Finding]:
        return self.audit.findings

    @property
    def left_out(self) -> tuple[str, ...]:
        """The features that the audit leaves out, sorted by name."""
        return self.audit.left_out


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
        "measured_examples": len(judged),
        "measured_leads": len(np.unique(judged.lead)),
        "measured_won_leads": judged.won_leads,
        "new_leads_per_week": _new_leads_per_week(loaded.crm, judged) if dated else None,
        "findings": [
            {"code": f.code, "severity": f.severity, "column": f.column, "used": f.is_used}
            for f in audit.findings
        ],
        "left_out": list(audit.left_out),
        "scorecard": data.card.version,
        "recipe": recipe.to_dict(),
        "seed": seed,
        "figures": {name: estimates_to_dict(figures) for name, figures in evaluation.figures.items()},
    }


def explain_sample(model: Model, data: Dataset, evaluation: Evaluation) -> Explanation:
    """Contributions of the features on a sample of the evaluated examples, for the importance chart."""
    rows = evaluation.rows[:: max(1, len(evaluation.rows) // _MAX_EXPLAINED)]
    return model.explain(model.encode(data.take(rows).columns))


def _new_leads_per_week(crm: Crm, judged: Examples) -> float:
    """The mean number of leads created per week in the period of the evaluated examples."""
    first, last = int(judged.moment.min()), int(judged.moment.max())
    new = int(((crm.created >= first) & (crm.created <= last)).sum())
    return new / max((last - first) / days_to_ms(7), 1.0)
