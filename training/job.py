"""The main job: from a crm.toml to a measured, explained model in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.audit import MIN_WINS, audit, left_out
from features.clock import iso
from features.errors import DataError
from features.files import whole_folder
from features.findings import Finding
from features.load import Loaded, load
from features.many_leads import Histories, ManyLeads
from features.moments import Examples, examples
from features.settings import CrmSettings
from scoring.evidence import Evidence
from scoring.metrics import plain
from scoring.model import EVIDENCE_FILE, Explanation, Model
from training.locks import alone
from training.measuring import Measured, evidence, measured
from training.recipe import Data, Recipe, choose, fit
from training.tuning import tuned

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


def train(
    settings: CrmSettings, out: Path, say: Say, seed: int = 0, tune_seconds: float = 0
) -> Trained:
    """Read, audit, measure on the newest deals, refit on all, and write `out`/model.

    `say` is told each step as it begins. Raises DataError where no model can be made.
    """
    say("reading the CRM")
    loaded = load(settings, out / "rejects.csv")
    findings = audit(loaded)
    dropped = left_out(findings, loaded)
    data = prepared(loaded, dropped, say)

    def chosen(train: Data) -> Recipe:
        if tune_seconds <= 0:
            return choose(train, seed)
        return tuned(train, seed, tune_seconds, out / "tuning.db")

    say("choosing on later deals and measuring on the newest")
    at = measured(data, chosen, seed)
    say("refitting on all deals")
    recipe = at.recipes[0] if len(at.recipes) == 1 else chosen(data)
    model = fit(data, recipe, seed)
    model = model.with_about(**_about(settings, data, at, recipe, dropped, seed))
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
    _check_enough(found, settings)
    table = settings.table.without(dropped)
    if not len(table):
        raise DataError(
            "No feature is left: the audit holds every one for a leak. See `hotlead check`."
        )
    say(f"computing {len(table)} features at {len(found):,} moments")
    return Data(table, table.many(ManyLeads(Histories(crm), found.lead, found.moment)), found)


def save_model(model: Model, table: Evidence, folder: Path) -> None:
    """Write the model folder, whole or not at all."""
    with alone(folder.parent), whole_folder(folder) as part:
        model.save(part)
        table.save(part / EVIDENCE_FILE)


def _check_enough(found: Examples, settings: CrmSettings) -> None:
    if not len(found):
        raise DataError(
            f"No lead is older than the horizon of {settings.target.horizon_days:g} days, so no outcome "
            "is known yet. Shorten [target] horizon_days, or come back later."
        )
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
    settings: CrmSettings, data: Data, at: Measured, recipe: Recipe, dropped: set[str], seed: int
) -> dict[str, Any]:
    found = data.examples
    dated = settings.leads.created_at is not None and settings.order in (None, "date")
    with_horizon = dated and bool(settings.deals and settings.deals.closed_at)
    judged = found.take(at.rows)
    return {
        "crm": settings.name,
        "trained_through": iso(int(found.moment.max())) if dated else None,
        "horizon_days": settings.target.horizon_days if with_horizon else None,
        "ordered": found.ordered,
        "examples": len(found), "leads": len(np.unique(found.lead)), "won_leads": found.won_leads,
        "measured_examples": len(judged), "measured_leads": len(np.unique(judged.lead)),
        "measured_won_leads": judged.won_leads,
        "left_out": sorted(dropped),
        "recipe": recipe.plain(),
        "seed": seed,
        "figures": {name: plain(figures) for name, figures in at.figures.items()},
    }  # fmt: skip


def _explained(model: Model, data: Data, at: Measured) -> Explanation:
    """Reasons of a sample of the judged examples, for the picture of what moves scores."""
    rows = at.rows[:: max(1, len(at.rows) // _EXPLAINED)]
    return model.explain(model.encoding.matrix(data.take(rows).columns))
