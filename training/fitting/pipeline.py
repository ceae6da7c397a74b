"""The main job: from a crm.toml to a measured, explained model in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.clock import days_to_ms, iso
from features.crm.audit import audit, left_out
from features.crm.findings import Finding
from features.crm.load import Loaded, load
from features.crm_data import Crm
from features.errors import DataError, SettingsError
from features.many_leads import Histories, ManyLeads
from features.moments import MIN_WINS, Examples, examples
from features.settings import CrmSettings
from scoring.model.evidence import Evidence
from scoring.model.model import Explanation, Model
from scoring.scorecard.load import SCORECARD_FILE, find_card
from scoring.scorecard.scorecard import Scorecard
from scoring.statistics.metrics import plain
from training.fitting.holdout import Measured, evidence, measured
from training.fitting.model_folder import save_model
from training.fitting.recipe import Data, Recipe, choose, fit
from training.fitting.tuning import tuned

_EXPLAINED = 2_000

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """What a training run made: the model for use, how good its recipe is, and what the audit said."""

    loaded: Loaded
    data: Data
    findings: list[Finding]
    left_out: tuple[str, ...]
    measured: Measured
    model: Model
    evidence: Evidence
    explanation: Explanation


def train(settings: CrmSettings, out: Path, say: Say, seed: int = 0, tune_seconds: float = 0) -> Trained:
    """Read, audit, measure on the newest deals, refit on all, and write `out`/model.

    `say` is told each step as it begins. Raises DataError where no model can be made.
    """
    say("reading the CRM")
    loaded = load(settings, out / "rejects.csv")
    findings = audit(loaded)
    dropped = left_out(findings, loaded)
    data = prepared(loaded, dropped, say)
    _check_enough(data.examples)

    def chosen(train: Data) -> Recipe:
        if tune_seconds <= 0:
            return choose(train, seed)
        return tuned(train, seed, tune_seconds, out / "tuning.db")

    say("choosing on later deals and measuring on the newest")
    at = measured(data, chosen, seed)
    say("refitting on all deals")
    recipe = at.recipes[0] if len(at.recipes) == 1 else chosen(data)
    model = fit(data, recipe, seed)
    model = model.with_about(**_about(loaded, data, at, recipe, findings, seed))
    table = evidence(data, at, loaded.crm, dict(settings.segments))
    save_model(model, table, out / "model")
    return Trained(
        loaded,
        data,
        findings,
        tuple(sorted(dropped)),
        at,
        model,
        table,
        _explained(model, data, at),
    )


def prepared(loaded: Loaded, dropped: set[str], say: Say) -> Data:
    """The examples of a CRM with their feature columns. Raises DataError where they are too few."""
    settings, crm = loaded.settings, loaded.crm
    found = examples(crm, settings.target)
    _check_some(found, settings)
    table = settings.table.without(dropped)
    card = find_card(settings.folder, settings.table)
    _check_card(card, dropped)
    if not len(table):
        raise DataError("No feature is left: the audit holds every one for a leak. See `hotlead check`.")
    say(f"computing {len(table)} features at {len(found):,} moments")
    columns = table.many(ManyLeads(Histories(crm), found.lead, found.moment))
    return Data(table, columns, found, card, crm.order == "date")


def _check_card(card: Scorecard, dropped: set[str]) -> None:
    """Raise SettingsError where the scorecard looks at what the audit leaves out."""
    leaking = sorted(card.features & dropped)
    if leaking:
        raise SettingsError(
            f"{SCORECARD_FILE}: looks at {', '.join(leaking)}, which the audit holds for known only "
            "after the outcome (see `hotlead check`). Take those rows out, or say insist = true in "
            "crm.toml where you are sure."
        )


def _check_some(found: Examples, settings: CrmSettings) -> None:
    if not len(found):
        raise DataError(
            f"No lead is older than the horizon of {settings.target.horizon_days:g} days, so no outcome "
            "is known yet. Shorten [target] horizon_days, or come back later."
        )


def _check_enough(found: Examples) -> None:
    wins = found.won_leads
    if wins < MIN_WINS:
        raise DataError(
            f"A model needs {MIN_WINS} won leads whose outcome is known; there are {wins}: "
            f"{MIN_WINS - wins} more are missing. Until then the rules alone decide."
        )
    others = len(np.unique(found.lead[~found.won]))
    if others < MIN_WINS:
        raise DataError(
            f"A model needs {MIN_WINS} leads that were not won; there are {others}. Look at `won`, "
            "`lost` and `ignore` in [deals], and whether the export holds lost deals."
        )


def _about(
    loaded: Loaded, data: Data, at: Measured, recipe: Recipe, findings: list[Finding], seed: int
) -> dict[str, Any]:
    settings, found = loaded.settings, data.examples
    dated = loaded.crm.order == "date"
    judged = found.take(at.rows)
    return {
        "crm": settings.name,
        "trained_through": iso(int(found.moment.max())) if dated else None,
        "measured_from": iso(int(judged.moment.min())) if dated else None,
        "horizon_days": settings.target.horizon_days if loaded.crm.horizon_applies else None,
        "ordered": found.ordered,
        "examples": len(found),
        "leads": len(np.unique(found.lead)),
        "won_leads": found.won_leads,
        "measured_examples": len(judged),
        "measured_leads": len(np.unique(judged.lead)),
        "measured_won_leads": judged.won_leads,
        "new_leads_per_week": _new_leads_per_week(loaded.crm, judged) if dated else None,
        "findings": [
            {"code": f.code, "severity": f.severity, "column": f.column, "used": f.used} for f in findings
        ],
        "left_out": sorted(left_out(findings, loaded)),
        "scorecard": data.card.version,
        "recipe": recipe.plain(),
        "seed": seed,
        "figures": {name: plain(figures) for name, figures in at.figures.items()},
    }


def _new_leads_per_week(crm: Crm, judged: Examples) -> float:
    """How many leads a week brought while the judged examples lasted."""
    first, last = int(judged.moment.min()), int(judged.moment.max())
    new = int(((crm.created >= first) & (crm.created <= last)).sum())
    return new / max((last - first) / days_to_ms(7), 1.0)


def _explained(model: Model, data: Data, at: Measured) -> Explanation:
    """Reasons of a sample of the judged examples, for the picture of what moves scores."""
    rows = at.rows[:: max(1, len(at.rows) // _EXPLAINED)]
    return model.explain(model.encode(data.take(rows).columns))
