"""`hotlead export-lead`: everything that is known of one lead, for a person who asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Row, Table, select
from sqlalchemy.engine import Connection

from features.clock import iso, iso_exact
from features.kinds import Language
from features.settings import CrmSettings
from scoring.decision.reasons import stored_rule_reasons
from scoring.model.model import EVIDENCE_FILE
from scoring.model.pseudonyms import Pseudonyms, former_pseudonym, read_key_id
from scoring.scorecard.load import find_card
from scoring.scorecard.scorecard import Scorecard
from scoring.texts import translate
from serving.settings import ServiceSettings
from serving.store.errors import StoreUnavailable
from serving.store.records import KINDS
from serving.store.state.known_store import check_store, has_store, open_store, unavailable_store
from serving.store.tables import RECORDS, current_scores, predictions

LeadDocument = dict[str, Any]
_TIMES = ("at", "as_of", "scored_at", "deadline", "created_at", "due_at", "expires_at", "stage_since")
_JSON_COLUMNS = ("attributes", "hearing", "detail")
_INTERNAL = ("seq", "digest", "lead_id")
_SECTIONS = (*KINDS, "current_score", "scores", "queued_scores", "evidence", "erased")


def export_lead(
    settings: ServiceSettings,
    crm: CrmSettings,
    lead_id: str,
    now: int,
    lang: Language = "en",
    also: Sequence[Path] = (),
) -> LeadDocument:
    """All records, scores and evidence of a lead as one JSON document, as of `now` (ms UTC).

    `about` says in the language what each part is. Evidence is read below the output folder, in the bundles
    and in `also`. An unknown lead has empty parts. Raises OutsideError when the store is unavailable.
    """
    card = find_card(crm.folder, crm.table)
    pseudonyms = Pseudonyms.load(settings.pseudonym_key_file)
    folders = (settings.out, settings.bundles, *also)
    parts = _read_store(settings, lead_id, card, lang)
    parts["evidence"] = _evidence(folders, lead_id, pseudonyms)
    return {
        "lead_id": lead_id,
        "exported_at": iso(now),
        "company": crm.name,
        "is_known": any(value for name, value in parts.items() if name != "erased"),
        "about": {name: translate(f"export_lead_{name}", lang) for name in _SECTIONS},
        **{name: parts[name] for name in _SECTIONS},
    }


def _read_store(settings: ServiceSettings, lead_id: str, card: Scorecard, lang: Language) -> LeadDocument:
    """The parts of the store; all are empty without one. Raises ConfirmationNeeded where it is missing."""
    check_store(settings)
    if not has_store(settings):
        return {**{name: [] for name in _SECTIONS}, "current_score": None, "erased": False}
    try:
        with closing(open_store(settings)) as store:
            parts = store.read(partial(_read_tables, lead_id=lead_id))
            queued = [_to_values(prediction._asdict()) for prediction in store.find_queued(lead_id)]
            is_erased = bool(store.suppression.find([lead_id]))
    except (StoreUnavailable, OSError) as problem:
        raise unavailable_store(settings, problem) from None
    for score in (*parts["scores"], *queued, *filter(None, [parts["current_score"]])):
        reasons = stored_rule_reasons(score["detail"], card, lang)
        score["rules_reasons_in_words"] = [reason.text for reason in reasons]
    return {**parts, "queued_scores": queued, "erased": is_erased}


def _read_tables(connection: Connection, lead_id: str) -> LeadDocument:
    """The rows of a lead by kind of record, every version; its scores and its present one."""
    parts: LeadDocument = {kind: _rows(connection, RECORDS[kind], lead_id, "at") for kind in KINDS}
    present = _rows(connection, current_scores, lead_id, "as_of")
    parts["current_score"] = present[0] if present else None
    parts["scores"] = _rows(connection, predictions, lead_id, "as_of")
    return parts


def _rows(connection: Connection, table: Table, lead_id: str, time_column: str) -> list[LeadDocument]:
    statement = select(table).where(table.c.lead_id == lead_id).order_by(table.c[time_column])
    rows: Iterable[Row[Any]] = connection.execute(statement)
    return [_to_values({**row._mapping}) for row in rows]


def _to_values(row: Mapping[str, Any]) -> LeadDocument:
    """A row with times in ISO 8601 and JSON as values, without what only the store needs."""
    return {str(name): _to_value(name, value) for name, value in row.items() if name not in _INTERNAL}


def _to_value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _JSON_COLUMNS:
        return orjson.loads(value)
    return iso_exact(value) if name in _TIMES else value


def _evidence(folders: Iterable[Path], lead_id: str, pseudonyms: Pseudonyms) -> list[LeadDocument]:
    """The rows of a lead in each evidence table."""
    names = {"": former_pseudonym(lead_id), pseudonyms.key_id: pseudonyms.derive(lead_id)}
    paths = {path.resolve(): None for folder in folders for path in sorted(folder.rglob(EVIDENCE_FILE))}
    return [part for path in paths for part in _rows_of_table(path, names)]


def _rows_of_table(path: Path, names: Mapping[str, str]) -> Iterator[LeadDocument]:
    try:
        name = names.get(read_key_id(pq.read_schema(path)))
        table = pq.read_table(path)
        rows = table.filter(pc.equal(table["lead"], name)).to_pylist() if name else []
    except (pa.ArrowException, OSError, KeyError):
        yield {"file": str(path), "problem": "cannot be read"}
        return
    if rows:
        yield {"file": str(path), "pseudonym": name, "rows": [_without_gaps(row) for row in rows]}


def _without_gaps(row: Mapping[str, Any]) -> LeadDocument:
    """The values of a row of evidence; those that are not known are left out."""
    return {key: value for key, value in row.items() if value is not None and value == value}
