"""`hotlead init`: detect the tables of an export and propose a crm.toml for review."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.clock import MS_PER_DAY
from features.crm.audit import audit
from features.crm.findings import Finding
from features.crm.load import Loaded, load
from features.crm.profile import profile_tables
from features.crm.propose.detect import detect_tables
from features.crm.propose.detected import DetectedTables
from features.crm.propose.outcomes import NamedOutcome
from features.crm.propose.summary import NO_LEADS, ExportSummary
from features.crm.propose.write import Draft, write_crm_toml
from features.errors import DataError, SettingsError
from features.settings import parse_settings

_HORIZONS = (30, 60, 90, 120, 180, 270, 365, 545, 730)
_DEFAULT_HORIZON = 90
_FEW_REJECTS = 0.04


@dataclass(frozen=True)
class Proposal:
    """The text of a crm.toml, the findings of the audit on the columns that it uses or leaves out, `notes`
    on tables and outcomes, and a summary of the leads."""

    text: str
    findings: list[Finding]
    notes: tuple[str, ...] = ()
    summary: ExportSummary = NO_LEADS


def propose(
    places: list[str],
    folder: Path,
    outcome: str | None = None,
    won: Sequence[str] = (),
    lost: Sequence[str] = (),
) -> Proposal:
    """Propose a crm.toml, to be saved in `folder`, for the files and databases at `places`.

    `outcome` names the column of the outcome, `won` and `lost` its values. Raises DataError if none is
    detected.
    """
    if (won or lost) and not (outcome and won):
        raise SettingsError(
            "--won and --lost name values of a column: give --outcome COLUMN and --won VALUE."
        )
    named = NamedOutcome(outcome, tuple(won), tuple(lost)) if outcome else None
    tables = [table for place in places for table in profile_tables(place, folder)]
    detected = detect_tables(tables, named)
    first_text = write_crm_toml(detected, Draft(_DEFAULT_HORIZON))
    _check_features(first_text, detected)
    draft = _load_draft(first_text, folder)
    suspects = {f.column: f for f in audit(draft) if f.column and f.severity in ("leak", "suspect")}
    shares = _reject_shares(draft)
    text = write_crm_toml(detected, Draft(_suggest_horizon(draft), suspects, shares))
    loaded = _load_draft(text, folder)
    return Proposal(text, audit(loaded), _notes(detected), ExportSummary.from_loaded(loaded))


def _notes(detected: DetectedTables) -> tuple[str, ...]:
    """What `hotlead init` says about tables, outcome and dates."""
    recognised = [f"{t.file}: recognised as {t.recipe.title}." for t in detected.tables if t.recipe.crm]
    outcome = detected.outcome
    of_outcome = [f"{outcome.name}: {remark}." for remark in outcome.remarks] if outcome else []
    of_close = [f"{detected.close.closed_at}: {r}." for r in detected.close.remarks] if detected.close else []
    return (
        *recognised,
        *detected.unused_tables,
        *of_outcome,
        *of_close,
        *(f"{r}." for r in detected.remarks),
    )


def _reject_shares(draft: Loaded) -> dict[str, float]:
    """A share of rejects for each table of which more rows than usual belong to other records."""
    rejects = draft.rejects
    shares = {
        table: rejects.count_left_out(table) / rejects.read[table]
        for table in ("deals", "activities", "changes")
        if rejects.read[table]
    }
    return {table: round(share * 1.1 + 0.02, 2) for table, share in shares.items() if share > _FEW_REJECTS}


def _check_features(text: str, detected: DetectedTables) -> None:
    """Raise DataError if no column can be a feature."""
    if not tomllib.loads(text)["features"]:
        reasons = "\n".join(_notes(detected))
        raise DataError(
            f"{detected.leads.file}: no column can be a feature: ids, names, free texts, dates and columns "
            "with one value are none. Export more of what is known about a lead, or its date of creation.\n"
            f"{reasons}".rstrip()
        )


def _load_draft(text: str, folder: Path) -> Loaded:
    settings = parse_settings(tomllib.loads(text), folder / "crm.toml")
    lenient = settings.model_copy(update={"max_reject_share": 1.0})
    return load(lenient, folder / ".hotlead-init-rejects.csv", write=False)


def _suggest_horizon(loaded: Loaded) -> int:
    """A round number of days within which nine in ten of the won deals were won."""
    crm = loaded.crm
    won = crm.outcomes.won
    if not crm.horizon_applies or not won.any():
        return _DEFAULT_HORIZON
    days_to_win = (crm.outcomes.won_at[won] - crm.created[won]) / MS_PER_DAY
    days_to_win = days_to_win[days_to_win >= 0]
    needed = float(np.quantile(days_to_win, 0.9)) if len(days_to_win) else _DEFAULT_HORIZON
    return next((days for days in _HORIZONS if days >= needed), _HORIZONS[-1])
