"""Reads a file of closed deals by the columns of crm.toml, or by the API's field names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from features.clock import NEVER, from_ms
from features.columns import Bools
from features.crm.deals import classify_outcomes
from features.crm.parsing import as_numbers
from features.crm.reader import Reader, filter_rows
from features.crm.rejects import Rejects
from features.crm.sources.rows import SourceRows
from features.crm.table_settings import DealsTable
from features.crm.values.csv_output import unescape_formula
from features.errors import SettingsError, suggest_nearest
from features.messages import Message
from features.settings import CrmSettings

API_COLUMNS = DealsTable(
    source="-",
    lead="lead_id",
    outcome="outcome",
    won=("won",),
    lost=("lost",),
    closed_at="closed_at",
    amount="amount",
    lost_reason="lost_reason",
)
"""A file whose columns have the API's field names."""
_NEEDED = ("lead_id", "outcome", "closed_at")
_ID, _VERSION = "id", "version"
_PLAIN_TABLE = {"skip_rows": 0, "skip_footer": 0, "header": (), "sheet": None, "records": None}
"""The layout of a file of another kind than that of crm.toml: a header and its rows."""
_FieldValues = dict[str, Sequence[object]]
"""By field of a body, the values of all rows."""


@dataclass(frozen=True)
class ClosedDeals:
    """Deals to send: `bodies` for POST /v1/outcomes, in the order of the file.

    `rows` has one row per body; `columns` maps each field of a body to the column of the file. `still_open`
    counts rows that are neither won nor lost; unreadable rows are in `rejects`.
    """

    bodies: Sequence[dict[str, object]]
    rows: SourceRows
    columns: Mapping[str, str]
    read: int
    still_open: int
    rejects: Rejects


def read_closed_deals(file: Path, settings: CrmSettings) -> ClosedDeals:
    """Read a CSV or Parquet file of closed deals.

    A time without an offset is in crm.toml's time zone. Raises SettingsError when columns are missing,
    DataError and OutsideError as the readers of tables do.
    """
    now = settings.model_copy(update={"as_of": None})  # deals may have closed since that export
    reader, source = Reader(now), _deals_table_of(settings, file)
    source_rows = reader.read_table("deals", source)
    schema = _detect_schema(source, source_rows.table.column_names, source_rows.name)
    columns = _body_columns(schema, source_rows.table.column_names)
    meaning = classify_outcomes(reader, source_rows, schema)
    decided = np.isin(meaning, ("won", "lost"))
    rows, won = filter_rows(source_rows, decided), meaning[decided] == "won"
    good = _check_rows(reader, rows, columns)
    rows, won = filter_rows(rows, good), won[good]
    need = Message("a closed deal needs the date of its close")
    closed_at_ms = reader.read_closes(rows, schema, columns["closed_at"], need, reader.latest)
    is_dated = closed_at_ms != NEVER
    rows, won, closed_at_ms = filter_rows(rows, is_dated), won[is_dated], closed_at_ms[is_dated]
    values = {
        "outcome": np.where(won, "won", "lost").tolist(),
        "closed_at": [from_ms(ms).isoformat() for ms in closed_at_ms.tolist()],
        **_read_other_fields(reader, rows, columns),
    }
    still_open = int((meaning == "open").sum())
    return ClosedDeals(_to_bodies(values), rows, columns, source_rows.read, still_open, reader.rejects)


def _deals_table_of(settings: CrmSettings, file: Path) -> DealsTable:
    """[deals] with the file as its source, else with the format of [leads]."""
    deals = settings.deals or DealsTable(source="-", lead="-")
    like = deals if deals.source else settings.leads
    source = {"source": str(file.absolute()), "table": None, "query": None}
    is_same_kind = Path(like.source).suffix.lower() == file.suffix.lower()
    formats = {
        "time_format": deals.time_format or like.time_format,
        "time_formats": {**like.time_formats, **deals.time_formats},
        "number_formats": {**like.number_formats, **deals.number_formats},
    }
    form = {**like.file_format, **({} if is_same_kind else _PLAIN_TABLE), **formats}
    return deals.model_copy(update={**source, "lead": deals.lead or settings.leads.id, **form})


def _detect_schema(crm: DealsTable, names: Sequence[str], file: str) -> DealsTable:
    """The file's columns. Raises SettingsError when it has neither those of crm.toml nor the API's."""
    if crm.closed_at and {crm.lead, crm.outcome, crm.closed_at} - {None} <= {*names}:
        return _with_api_outcomes(crm)
    if {*_NEEDED} <= {*names}:
        return API_COLUMNS
    crm_needs = [c for c in (crm.lead, crm.outcome, crm.closed_at) if c] if crm.closed_at else []
    missing = next(c for c in crm_needs or _NEEDED if c not in names)
    raise SettingsError(
        "{file}: the columns {columns} are needed, or {others} as [deals] of crm.toml says. There is no "
        "{missing!r}; {nearest}."
        if crm_needs
        else "{file}: the columns {columns} are needed. There is no {missing!r}; {nearest}.",
        file=file,
        columns=_NEEDED,
        others=crm_needs,
        missing=missing,
        nearest=suggest_nearest(missing, list(names)),
    )


def _with_api_outcomes(crm: DealsTable) -> DealsTable:
    """The schema in which `won` and `lost` of the API's column also count, unless crm.toml maps them."""
    if crm.outcome != API_COLUMNS.outcome:
        return crm
    mapped = {*crm.won, *crm.lost, *crm.ignore}
    won = crm.won if "won" in mapped else (*crm.won, "won")
    lost = crm.lost if "lost" in mapped or not crm.lost else (*crm.lost, "lost")
    return crm.model_copy(update={"won": won, "lost": lost})


def _body_columns(schema: DealsTable, names: Sequence[str]) -> dict[str, str]:
    """The column of each field of a body that the file has, with the sender's id and version."""
    candidates = {
        "lead_id": schema.lead,
        "outcome": schema.outcome,
        "closed_at": schema.closed_at,
        "amount": _pick_column(schema.amount, API_COLUMNS.amount, names),
        "lost_reason": _pick_column(schema.lost_reason, API_COLUMNS.lost_reason, names),
        _ID: _ID,
        _VERSION: _VERSION,
    }
    existing = {field: column for field, column in candidates.items() if column in names}
    if schema.lead == _ID:  # the lead's own id is not that of the deal
        del existing[_ID]
    return {field: str(column) for field, column in existing.items()}


def _pick_column(crm: str | None, ours: str | None, names: Sequence[str]) -> str | None:
    """The column of crm.toml if the file has it, else the API's."""
    return crm if crm in names else ours


def _check_rows(reader: Reader, rows: SourceRows, columns: Mapping[str, str]) -> Bools:
    """Which rows have a lead and a valid version; the others are rejected."""
    lead = reader.read_texts(rows, columns["lead_id"])
    empty = np.asarray(pc.is_null(lead).to_numpy(zero_copy_only=False), dtype=bool)
    reader.reject(rows, empty, columns["lead_id"], Message("is empty; a deal needs the id of its lead"))
    if _VERSION not in columns:
        return ~empty
    parsed = as_numbers(rows.table[columns[_VERSION]], reader.missing)
    values = np.asarray(parsed.values, dtype=np.float64)
    is_invalid = parsed.unreadable | (values < 1) | (values != np.floor(values)) & ~np.isnan(values)
    reader.reject(rows, is_invalid, columns[_VERSION], Message("is not a whole number from 1 on"))
    return np.asarray(~empty & ~is_invalid)


def _read_other_fields(reader: Reader, rows: SourceRows, columns: Mapping[str, str]) -> _FieldValues:
    """The other fields as one list each; None for an empty cell."""
    texts = (name for name in ("lead_id", "lost_reason", _ID) if name in columns)
    values: _FieldValues = {n: _read_plain_texts(reader, rows, columns[n]) for n in texts}
    if "amount" in columns:
        amounts = reader.read_numbers(rows, columns["amount"]).tolist()
        values["amount"] = [None if v != v else v for v in amounts]
    if _VERSION in columns:
        versions = as_numbers(rows.table[columns[_VERSION]], reader.missing).values.tolist()
        values[_VERSION] = [None if v != v else int(v) for v in versions]
    return values


def _read_plain_texts(reader: Reader, rows: SourceRows, column: str) -> list[str | None]:
    """The texts of a column; in the columns of the API, as a list of Hotlead has them, without the apostrophe
    that keeps spreadsheets from taking them for formulas."""
    texts = reader.read_texts(rows, column).to_pylist()
    is_ours = column == API_COLUMNS.lead
    return [unescape_formula(text) if text and is_ours else text for text in texts]


def _to_bodies(values: _FieldValues) -> list[dict[str, object]]:
    rows = (zip(values, row, strict=True) for row in zip(*values.values(), strict=True))
    return [{name: value for name, value in row if value is not None} for row in rows]
