"""A file of closed deals as the service takes them: read as crm.toml says, or by the API's own names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from features.clock import NEVER, from_ms
from features.columns import Bools
from features.crm.deals import meanings
from features.crm.parsing import as_numbers
from features.crm.reader import Reader, taken
from features.crm.rejects import Rejects
from features.crm.tables import Rows
from features.errors import SettingsError, nearest
from features.settings import CrmSettings, DealsTable

API = DealsTable(
    source="-",
    lead="lead_id",
    outcome="outcome",
    won=("won",),
    lost=("lost",),
    closed_at="closed_at",
    amount="amount",
    lost_reason="lost_reason",
)
"""A file whose columns have the names that the API has."""
_NEEDED = ("lead_id", "outcome", "closed_at")
_ID, _VERSION = "id", "version"


@dataclass(frozen=True)
class ClosedDeals:
    """Deals to send: `bodies` as POST /v1/outcomes takes them, in the order of the file.

    `rows` has a row for each; `columns` names the column of the file for each field of a body.
    `still_open` counts rows that are neither won nor lost; what could not be read is in `rejects`.
    """

    bodies: Sequence[dict[str, Any]]
    rows: Rows
    columns: Mapping[str, str]
    read: int
    still_open: int
    rejects: Rejects


def read_closed(file: Path, settings: CrmSettings) -> ClosedDeals:
    """Read a CSV or Parquet file of closed deals.

    A time without an offset is one of crm.toml's time zone. Raises SettingsError where columns are
    missing, DataError and OutsideError as the readers of tables do.
    """
    now = settings.model_copy(update={"as_of": None})  # deals may have closed since that export
    reader, source = Reader(now), _as_crm_says(settings, file)
    found = reader.read("deals", source)
    form = _form(source, found.table.column_names, found.name)
    columns = _columns(form, found.table.column_names)
    meaning = meanings(reader, found, form)
    decided = np.isin(meaning, ("won", "lost"))
    rows, won = taken(found, decided), meaning[decided] == "won"
    good = _usable(reader, rows, columns)
    rows, won = taken(rows, good), won[good]
    at = reader.times(rows, form, columns["closed_at"], "a closed deal needs the date of its close")
    rows, won, at = taken(rows, at != NEVER), won[at != NEVER], at[at != NEVER]
    told = {
        "outcome": np.where(won, "won", "lost").tolist(),
        "closed_at": [from_ms(ms).isoformat() for ms in at.tolist()],
        **_told(reader, rows, columns),
    }
    return ClosedDeals(
        _bodies(told), rows, columns, found.read, int((meaning == "open").sum()), reader.rejects
    )


def _as_crm_says(settings: CrmSettings, file: Path) -> DealsTable:
    """[deals] with the file as its source; where that is no table of its own, read as the leads' is."""
    deals = settings.deals or DealsTable(source="-", lead="-")
    like = deals if deals.source else settings.leads
    return deals.model_copy(
        update={
            "source": str(file.absolute()),
            "table": None,
            "query": None,
            "lead": deals.lead or settings.leads.id,
            "separator": like.separator,
            "encoding": like.encoding,
            "time_format": like.time_format,
        }
    )


def _form(crm: DealsTable, names: Sequence[str], file: str) -> DealsTable:
    """How the file reads. Raises SettingsError where it has neither the columns of crm.toml nor ours."""
    if crm.closed_at and {crm.lead, crm.outcome, crm.closed_at} - {None} <= {*names}:
        return _with_api_words(crm)
    if {*_NEEDED} <= {*names}:
        return API
    crm_needs = [c for c in (crm.lead, crm.outcome, crm.closed_at) if c] if crm.closed_at else []
    lacking = next(c for c in crm_needs or _NEEDED if c not in names)
    told = f", or {', '.join(crm_needs)} as [deals] of crm.toml says" if crm_needs else ""
    raise SettingsError(
        f"{file}: the columns {', '.join(_NEEDED)} are needed{told}. There is no {lacking!r}; "
        f"{nearest(lacking, list(names))}."
    )


def _with_api_words(crm: DealsTable) -> DealsTable:
    """Where the column has the API's name, won and lost mean what they say, unless crm.toml differs."""
    if crm.outcome != API.outcome:
        return crm
    known = {*crm.won, *crm.lost, *crm.ignore}
    won = crm.won if "won" in known else (*crm.won, "won")
    lost = crm.lost if "lost" in known or not crm.lost else (*crm.lost, "lost")
    return crm.model_copy(update={"won": won, "lost": lost})


def _columns(form: DealsTable, names: Sequence[str]) -> dict[str, str]:
    """The column of each field of a body: those of `form`, the sender's id and version, where there."""
    told = {
        "lead_id": form.lead,
        "outcome": form.outcome,
        "closed_at": form.closed_at,
        "amount": _either(form.amount, API.amount, names),
        "lost_reason": _either(form.lost_reason, API.lost_reason, names),
        _ID: _ID,
        _VERSION: _VERSION,
    }
    there = {field: column for field, column in told.items() if column in names}
    if form.lead == _ID:  # the lead's own id is not that of the deal
        del there[_ID]
    return {field: str(column) for field, column in there.items()}


def _either(crm: str | None, ours: str | None, names: Sequence[str]) -> str | None:
    """The column as crm.toml names it, where the file has that; else as the API does."""
    return crm if crm in names else ours


def _usable(reader: Reader, rows: Rows, columns: Mapping[str, str]) -> Bools:
    """Rows with a lead, and a version that is one; the others are set aside."""
    lead = reader.texts(rows, columns["lead_id"])
    empty = np.asarray(pc.is_null(lead).to_numpy(zero_copy_only=False), dtype=bool)
    reader.reject(rows, empty, columns["lead_id"], "is empty; a deal needs the id of its lead")
    if _VERSION not in columns:
        return ~empty
    parsed = as_numbers(rows.table[columns[_VERSION]], reader.missing)
    values = np.asarray(parsed.values, dtype=np.float64)
    wrong = parsed.unreadable | (values < 1) | (values != np.floor(values)) & ~np.isnan(values)
    reader.reject(rows, wrong, columns[_VERSION], "is not a whole number from 1 on")
    return np.asarray(~empty & ~wrong)


def _told(reader: Reader, rows: Rows, columns: Mapping[str, str]) -> dict[str, list[Any]]:
    """The other fields, a list each; None where a row does not tell."""
    texts = (name for name in ("lead_id", "lost_reason", _ID) if name in columns)
    told: dict[str, list[Any]] = {n: reader.texts(rows, columns[n]).to_pylist() for n in texts}
    if "amount" in columns:
        told["amount"] = [_plain(v) for v in reader.numbers(rows, columns["amount"]).tolist()]
    if _VERSION in columns:
        versions = as_numbers(rows.table[columns[_VERSION]], reader.missing).values.tolist()
        told[_VERSION] = [None if v != v else int(v) for v in versions]
    return told


def _plain(value: float) -> float | None:
    return None if value != value else value


def _bodies(told: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    rows = zip(*told.values(), strict=True)
    return [{name: value for name, value in zip(told, row, strict=True) if value is not None} for row in rows]
