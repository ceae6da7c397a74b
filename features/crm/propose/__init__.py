"""`hotlead init`: detect the tables of an export and propose a crm.toml for review."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from features.clock import MS_PER_DAY
from features.crm.audit import audit
from features.crm.findings import Finding
from features.crm.load import Loaded, load
from features.crm.profile import TableProfile, profile_tables
from features.crm.propose.detect import detect_tables
from features.crm.propose.formats import answer_questions, describe_formats, settle_formats
from features.crm.propose.write import write_crm_toml
from features.crm.propose.zone import propose_zone
from features.crm.reader import ZoneError
from features.crm.sources.cut_ids import check_ids_are_whole
from features.settings import parse_settings

_ID_NAME = re.compile(r"(^|[^a-z])id\W*$|Id\W*$|ID\W*$|番号|コード|(^|[^a-z])key$")
_HORIZONS = (30, 60, 90, 120, 180, 270, 365, 545, 730)
_DEFAULT_HORIZON = 90


@dataclass(frozen=True)
class Proposal:
    """The text of a crm.toml, and the findings of the audit on the columns that it uses or leaves out.

    `notes` say what of the files is not read or is read by a guess, the zone of times, and which formats of
    times and numbers are a question.
    """

    text: str
    findings: list[Finding]
    notes: tuple[str, ...] = ()


def propose(places: list[str], folder: Path, outcome: str | None = None) -> Proposal:
    """Propose a crm.toml, to be saved in `folder`, for the files and databases at `places`.

    `outcome` names the column of the outcome. Raises DataError if none is detected.
    """
    tables = [table for place in places for table in profile_tables(place, folder)]
    for table in tables:
        _check_ids(table)
    tables = settle_formats(tables)
    detected = detect_tables(tables, outcome)
    draft = write_crm_toml(detected, _DEFAULT_HORIZON, {})
    loaded, future = _load_draft(draft, folder, tables)
    suspects = {f.column: f for f in audit(loaded) if f.column and f.severity in ("leak", "suspect")}
    text = write_crm_toml(detected, _suggest_horizon(loaded), suspects)
    zone = f'time_zone = "{loaded.settings.time_zone}" is {propose_zone(detected.tables).reason}.'
    of_files = (note for table in tables for note in table.rows.notes)
    notes = (*of_files, zone, *future, *describe_formats(tables, loaded.settings))
    return Proposal(text, audit(_load_draft(text, folder, tables)[0]), notes)


def _check_ids(table: TableProfile) -> None:
    """Raise DataError for a column of ids that Excel cut: they look like numbers that repeat."""
    for column in table.columns:
        if _ID_NAME.search(column.name):
            check_ids_are_whole(table.rows.table, column.name, table.rows.name)


def _load_draft(text: str, folder: Path, tables: list[TableProfile]) -> tuple[Loaded, list[str]]:
    """The CRM as the draft reads it, and the fault of its time zone if it has one.

    Open questions of formats are answered with the first choice, which is only good for a look at the data.
    """
    settings = answer_questions(tables, parse_settings(tomllib.loads(text), folder / "crm.toml"))
    lenient = settings.model_copy(update={"max_reject_share": 1.0})
    rejects = folder / ".hotlead-init-rejects.csv"
    try:
        return load(lenient, rejects, write=False), []
    except ZoneError as problem:
        later = lenient.model_copy(update={"as_of": datetime.now(tz=UTC) + timedelta(days=1)})
        return load(later, rejects, write=False), [str(problem)]


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
