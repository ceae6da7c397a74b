"""`hotlead init`: detect the tables of an export and propose a crm.toml for review."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from features.crm.audit import audit, check_leads
from features.crm.connections.urls import PASSWORD_VARIABLE, without_password
from features.crm.findings import Finding
from features.crm.hindsight.audited import DecidedLeads
from features.crm.load import Loaded, load
from features.crm.profile import MAX_BYTES, TableProfile, profile_tables
from features.crm.propose.detect import NoOutcomeError, detect_tables
from features.crm.propose.detected import DetectedTables
from features.crm.propose.formats import answer_questions, describe_formats, settle_formats, used_columns
from features.crm.propose.outcomes import NamedOutcome
from features.crm.propose.questions import (
    Ask,
    Question,
    ask_about_outcome,
    ask_for_outcome,
    ask_formats,
    open_formats,
    outcome_questions,
)
from features.crm.propose.summary import NO_LEADS, ExportSummary
from features.crm.propose.times import USUAL_HORIZON, suggest_horizon
from features.crm.propose.unused.lost_elsewhere import describe_lost_elsewhere
from features.crm.propose.write import Draft, write_crm_toml
from features.crm.propose.zone import propose_zone
from features.crm.reader import ZoneError
from features.crm.sources.cut_ids import check_ids_are_whole
from features.errors import DataError, SettingsError
from features.kinds import Language
from features.messages import Message, MessageLines, MessageText, sentence, to_text
from features.settings import parse_settings

_ID_NAME = re.compile(r"(^|[^a-z])id\W*$|Id\W*$|ID\W*$|番号|コード|(^|[^a-z])key$")
_FEW_REJECTS = 0.04
_SHOWN_REJECTS = 6
_MAX_BYTES, _MIN_BYTES = 128 * 2**20, 8 * 2**20
"""What all files together, and each of them at least, may take in memory while columns are looked at."""


@dataclass(frozen=True)
class Proposal:
    """The text of a crm.toml, the findings of the audit on the columns that it uses or leaves out, `notes` on
    files, tables, outcomes, the zone of times and formats that are a question, a summary of the leads, and
    the `questions` that nobody was asked."""

    text: str
    findings: list[Finding]
    notes: tuple[str, ...] = ()
    summary: ExportSummary = NO_LEADS
    questions: tuple[Question, ...] = ()


def propose(
    places: list[str],
    folder: Path,
    outcome: str | None = None,
    won: Sequence[str] = (),
    lost: Sequence[str] = (),
    table_names: Sequence[str] = (),
    ask: Ask | None = None,
    lang: Language = "en",
) -> Proposal:
    """Propose a crm.toml, to be saved in `folder`, for the files and databases at `places`.

    `outcome` names the column of the outcome, `won` and `lost` its values, `table_names` the tables of a
    database to look at; `ask` asks a person what the data leave open (None: nobody is there); `lang` is the
    language of comments and notes. Raises DataError if no outcome is detected.
    """
    if (won or lost) and not (outcome and won):
        raise SettingsError(
            "--won and --lost name values of a column: give --outcome COLUMN and --won VALUE."
        )
    named = NamedOutcome(outcome, tuple(won), tuple(lost)) if outcome else None
    tables = settle_formats(_profile(places, folder, table_names))
    for table in tables:
        _check_ids(table)
    if ask is not None:
        tables = ask_formats(tables, ask)
    detected = _detect(tables, named, ask)
    pa.default_memory_pool().release_unused()
    first_text = write_crm_toml(detected, Draft(USUAL_HORIZON), lang)
    _check_features(first_text, detected)
    draft, future = _load_draft(first_text, folder, tables)
    of_columns = check_leads(draft)
    suspects = {f.column: f for f in of_columns if f.column and f.severity in ("leak", "suspect")}
    shares = _reject_shares(draft)
    horizon = suggest_horizon(draft.crm)
    is_audited = DecidedLeads.from_crm(draft.crm).are_enough
    text = write_crm_toml(detected, Draft(horizon, suspects, shares, is_audited), lang)
    _check_features_left(text, detected, suspects)
    loaded = _with_features_of(text, draft, folder, tables)
    of_times = (_describe_zone(draft, detected), *horizon.notes, *future)
    notes = _collect_notes(tables, detected, (draft, loaded), of_times)
    for place in places:
        text = text.replace(place, without_password(place))
    texts = tuple(to_text(note, lang).strip() for note in (*notes, *_explain_passwords(places)))
    formats = open_formats(detected.profiles, used_columns(loaded.settings))
    questions = (*formats, *(() if named or ask else outcome_questions(detected)))
    summary = ExportSummary.from_loaded(loaded)
    return Proposal(text, audit(loaded, of_columns), texts, summary, questions)


def _collect_notes(
    tables: Sequence[TableProfile],
    detected: DetectedTables,
    loads: tuple[Loaded, Loaded],
    of_times: Sequence[Message],
) -> list[MessageText | str]:
    """What a person should know of the files, the times, the tables and the rejected rows, in this order.

    `loads` are the export as the first draft and as the proposal reads it.
    """
    draft, loaded = loads
    return [
        *(note for table in tables for note in table.rows.notes),
        *of_times,
        *describe_formats(tables, draft.settings),
        *_notes(detected),
        *map(sentence, describe_lost_elsewhere(detected, loaded)),
        *loaded.rejects.summary().lines[:_SHOWN_REJECTS],
    ]


def _profile(places: list[str], folder: Path, table_names: Sequence[str]) -> list[TableProfile]:
    if table_names and not any("://" in place for place in places):
        raise SettingsError("--table names tables of a database: give its URL, such as sqlite:///crm.db.")
    max_bytes = min(max(_MAX_BYTES // len(places), _MIN_BYTES), MAX_BYTES)
    return [table for place in places for table in profile_tables(place, folder, table_names, max_bytes)]


def _describe_zone(draft: Loaded, detected: DetectedTables) -> Message:
    reason = propose_zone(detected.profiles).reason
    return Message('time_zone = "{zone}" is {reason}.', zone=draft.settings.time_zone, reason=reason)


def _explain_passwords(places: list[str]) -> list[Message]:
    """What to do about passwords that are not written into crm.toml."""
    if all(without_password(place) == place for place in places):
        return []
    return [
        Message(
            "The password is not written into crm.toml: set the environment variable {variable} to it "
            "before the next commands.",
            variable=PASSWORD_VARIABLE,
        )
    ]


def _with_features_of(text: str, draft: Loaded, folder: Path, tables: list[TableProfile]) -> Loaded:
    """The data of the draft as the final text reads them."""
    settings = answer_questions(tables, parse_settings(tomllib.loads(text), folder / "crm.toml"))
    return draft.with_features_of(settings) or _load_draft(text, folder, tables)[0]


def _detect(tables: list[TableProfile], named: NamedOutcome | None, ask: Ask | None) -> DetectedTables:
    """The parts of the tables, with what a person answers about the outcome."""
    try:
        detected = detect_tables(tables, named)
    except NoOutcomeError:
        chosen = ask_for_outcome(tables, ask) if ask and named is None else None
        if chosen is None:
            raise
        return detect_tables(tables, chosen)
    return detected if ask is None or named else ask_about_outcome(detected, ask)


def _notes(detected: DetectedTables) -> tuple[Message, ...]:
    """What `hotlead init` says about tables, outcome and dates."""
    outcome, close = detected.outcome, detected.close
    of_outcome = [_of_column(outcome.name, r) for r in outcome.remarks] if outcome else []
    of_close = [_of_column(close.closed_at, r) for r in close.remarks] if close else []
    return (
        *detected.recognised_tables,
        *detected.unused_tables,
        *of_outcome,
        *of_close,
        *map(sentence, detected.remarks),
    )


def _of_column(column: str, remark: Message) -> Message:
    return Message("{column}: {remark}.", column=column, remark=remark)


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
        problem = Message(
            "{file}: no column can be a feature: ids, names, free texts, dates and columns with one value "
            "are none. Export more of what is known about a lead, or its date of creation.",
            file=detected.leads.file,
        )
        raise DataError("{lines}", lines=MessageLines((problem, *_notes(detected))))


def _check_features_left(text: str, detected: DetectedTables, suspects: Mapping[str, Finding]) -> None:
    """Raise DataError if the audit suspects every column that could be a feature."""
    if tomllib.loads(text)["features"]:
        return
    problem = Message(
        "{file}: no feature is left, because every column that could be one is probably known only after the "
        "outcome. Export more of what is known about a lead from its creation on, or the history of these "
        "columns as a table of changes.",
        file=detected.leads.file,
    )
    columns = [column.name for column, _ in detected.attributes()]
    reasons = tuple(suspects[name] for name in columns if name in suspects)
    raise DataError("{lines}", lines=MessageLines((problem, *reasons)))


def _check_ids(table: TableProfile) -> None:
    """Raise DataError for a column of ids that Excel cut: they look like numbers that repeat."""
    for column in table.columns:
        if _ID_NAME.search(column.name):
            check_ids_are_whole(table.rows.table, column.name, table.rows.name)


def _load_draft(text: str, folder: Path, tables: list[TableProfile]) -> tuple[Loaded, list[Message]]:
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
        return load(later, rejects, write=False), [problem.message]
