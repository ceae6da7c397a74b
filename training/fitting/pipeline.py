"""The main job: from a crm.toml to a measured, explained model in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.clock import days_to_ms, iso
from features.crm.audit import audit, leaking_features
from features.crm.findings import Finding
from features.crm.load import Loaded, load
from features.crm_data import Crm
from features.errors import DataError, SettingsError
from features.many_leads import Histories, ManyLeads
from features.moments import MIN_WINS, Examples, build_examples
from features.settings import CrmSettings
from scoring.model.evidence import Evidence
from scoring.model.model import Explanation, Model
from scoring.scorecard.load import SCORECARD_FILE, find_card
from scoring.scorecard.scorecard import Scorecard
from scoring.statistics.metrics import estimates_to_dict
from training.fitting.holdout import Evaluation, build_evidence, evaluate
from training.fitting.model_folder import save_model
from training.fitting.recipe import Dataset, Recipe, choose, fit
from training.fitting.tuning import tune

_MAX_EXPLAINED = 2_000

StepReporter = Callable[[str], None]


@dataclass(frozen=True)
class TrainingResult:
    """What a training run made: the model for use, how good its recipe is, and what the audit said."""

    loaded: Loaded
    data: Dataset
    findings: list[Finding]
    left_out: tuple[str, ...]
    evaluation: Evaluation
    model: Model
    evidence: Evidence
    explanation: Explanation


def train(
    settings: CrmSettings, out: Path, report_step: StepReporter, seed: int = 0, tune_seconds: float = 0
) -> TrainingResult:
    """Read, audit, measure on the newest deals, refit on all, and write `out`/model.

    `say` is told each step as it begins. Raises DataError where no model can be made.
    """
    report_step("reading the CRM")
    loaded = load(settings, out / "rejects.csv")
    findings = audit(loaded)
    dropped = leaking_features(findings, loaded)
    data = build_dataset(loaded, dropped, report_step)
    _check_enough(data.examples)

    def choose_recipe(train: Dataset) -> Recipe:
        if tune_seconds <= 0:
            return choose(train, seed)
        return tune(train, seed, tune_seconds, out / "tuning.db")

    report_step("choosing on later deals and measuring on the newest")
    evaluation = evaluate(data, choose_recipe, seed)
    report_step("refitting on all deals")
    recipe = evaluation.recipes[0] if len(evaluation.recipes) == 1 else choose_recipe(data)
    model = fit(data, recipe, seed)
    model = model.with_about(**_build_about(loaded, data, evaluation, recipe, findings, seed))
    table = build_evidence(data, evaluation, loaded.crm, dict(settings.segments))
    save_model(model, table, out / "model")
    return TrainingResult(
        loaded,
        data,
        findings,
        tuple(sorted(dropped)),
        evaluation,
        model,
        table,
        _explain_sample(model, data, evaluation),
    )


def build_dataset(loaded: Loaded, dropped: set[str], report_step: StepReporter) -> Dataset:
    """The examples of a CRM with their feature columns. Raises DataError where they are too few."""
    settings, crm = loaded.settings, loaded.crm
    closed_examples = build_examples(crm, settings.target)
    _check_some(closed_examples, settings)
    table = settings.table.without(dropped)
    card = find_card(settings.folder, settings.table)
    _check_card(card, dropped)
    if not len(table):
        raise DataError("No feature is left: the audit holds every one for a leak. See `hotlead check`.")
    report_step(f"computing {len(table)} features at {len(closed_examples):,} moments")
    columns = table.compute_many(ManyLeads(Histories(crm), closed_examples.lead, closed_examples.moment))
    return Dataset(table, columns, closed_examples, card, crm.order == "date")


def _check_card(card: Scorecard, dropped: set[str]) -> None:
    """Raise SettingsError where the scorecard looks at what the audit leaves out."""
    leaking = sorted(card.features & dropped)
    if leaking:
        raise SettingsError(
            f"{SCORECARD_FILE}: looks at {', '.join(leaking)}, which the audit holds for known only "
            "after the outcome (see `hotlead check`). Take those rows out, or say insist = true in "
            "crm.toml where you are sure."
        )


def _check_some(closed_examples: Examples, settings: CrmSettings) -> None:
    if not len(closed_examples):
        raise DataError(
            f"No lead is older than the horizon of {settings.target.horizon_days:g} days, so no outcome "
            "is known yet. Shorten [target] horizon_days, or come back later."
        )


def _check_enough(closed_examples: Examples) -> None:
    wins = closed_examples.won_leads
    if wins < MIN_WINS:
        raise DataError(
            f"A model needs {MIN_WINS} won leads whose outcome is known; there are {wins}: "
            f"{MIN_WINS - wins} more are missing. Until then the rules alone decide."
        )
    others = len(np.unique(closed_examples.lead[~closed_examples.won]))
    if others < MIN_WINS:
        raise DataError(
            f"A model needs {MIN_WINS} leads that were not won; there are {others}. Look at `won`, "
            "`lost` and `ignore` in [deals], and whether the export holds lost deals."
        )


def _build_about(
    loaded: Loaded, data: Dataset, evaluation: Evaluation, recipe: Recipe, findings: list[Finding], seed: int
) -> dict[str, Any]:
    settings, closed_examples = loaded.settings, data.examples
    dated = loaded.crm.order == "date"
    judged = closed_examples.take(evaluation.rows)
    return {
        "crm": settings.name,
        "trained_through": iso(int(closed_examples.moment.max())) if dated else None,
        "measured_from": iso(int(judged.moment.min())) if dated else None,
        "horizon_days": settings.target.horizon_days if loaded.crm.horizon_applies else None,
        "ordered": closed_examples.ordered,
        "examples": len(closed_examples),
        "leads": len(np.unique(closed_examples.lead)),
        "won_leads": closed_examples.won_leads,
        "measured_examples": len(judged),
        "measured_leads": len(np.unique(judged.lead)),
        "measured_won_leads": judged.won_leads,
        "new_leads_per_week": _new_leads_per_week(loaded.crm, judged) if dated else None,
        "findings": [
            {"code": f.code, "severity": f.severity, "column": f.column, "used": f.is_used} for f in findings
        ],
        "left_out": sorted(leaking_features(findings, loaded)),
        "scorecard": data.card.version,
        "recipe": recipe.to_dict(),
        "seed": seed,
        "figures": {name: estimates_to_dict(figures) for name, figures in evaluation.figures.items()},
    }


def _new_leads_per_week(crm: Crm, judged: Examples) -> float:
    """How many leads a week brought while the judged examples lasted."""
    first, last = int(judged.moment.min()), int(judged.moment.max())
    new = int(((crm.created >= first) & (crm.created <= last)).sum())
    return new / max((last - first) / days_to_ms(7), 1.0)


def _explain_sample(model: Model, data: Dataset, evaluation: Evaluation) -> Explanation:
    """Reasons of a sample of the judged examples, for the picture of what moves scores."""
    rows = evaluation.rows[:: max(1, len(evaluation.rows) // _MAX_EXPLAINED)]
    return model.explain(model.encode(data.take(rows).columns))
