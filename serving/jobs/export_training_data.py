"""What the service collected, laid out as a CRM's export: Parquet tables and a crm.toml that reads them.

Training reads it like any other export, so that audit, rejects and measuring are the same. Attributes have
the history that they were told with, so nothing is known before it was told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tomlkit
from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from features.clock import NEVER, iso
from features.columns import to_text
from features.files import atomic_file
from features.settings import CrmSettings
from scoring.scorecard.load import SCORECARD_FILE
from serving.leads.field_types import AttributeSchema, JsonValue
from serving.store.queries import ResultRow, Statement, is_newest
from serving.store.records import RecordKind
from serving.store.store import Store
from serving.store.tables import RECORDS

ExportRow: TypeAlias = Mapping[str, object]
"""A row of an exported table: values by column."""
FOLDER, ROWS_AT_ONCE = "from-store", 50_000
_TIME = pa.timestamp("ms", "UTC")
_TEXT, _NUMBER = pa.string(), pa.float64()
_SCHEMAS: Mapping[str, pa.Schema] = {
    "activities": pa.schema({"lead_id": _TEXT, "type": _TEXT, "at": _TIME, "value": _NUMBER}),
    "changes": pa.schema({"lead_id": _TEXT, "column": _TEXT, "value": _TEXT, "at": _TIME}),
    "deals": pa.schema(
        {"lead_id": _TEXT, "outcome": _TEXT, "closed_at": _TIME, "amount": _NUMBER, "lost_reason": _TEXT}
    ),
}

_TABLES = Path(__file__).with_name("exported_tables.toml")
"""The tables of a crm.toml that read the exported ones."""


@dataclass(frozen=True)
class TrainingExport:
    """Where the crm.toml lies, and what was laid out: leads; those that were won, those that
    were lost alone, and those that count as lost because sales sent them back."""

    crm_toml: Path
    leads: int
    won: int
    lost: int
    sent_back: int


def export_store(
    store: Store, crm: CrmSettings, crm_toml: Path, out: Path, now: int, sent_back: bool = False
) -> TrainingExport:
    """Lay out what the store holds by `now` (ms UTC) in a folder of `out`; `sent_back`: leads that sales sent
    back, and whose deal is not closed, count as lost from then on.

    Raises StoreUnavailable, and OutsideError where the disk does not take it.
    """
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    first = store.read(lambda connection: _leads(connection, crm, now))
    _write(folder / "leads.parquet", _lead_schema(crm), iter(first.values()))
    counts = store.read(lambda connection: _write_history(connection, crm, folder, first, now, sent_back))
    card = crm.folder / SCORECARD_FILE
    if card.exists():
        with atomic_file(folder / SCORECARD_FILE) as part:
            part.write_bytes(card.read_bytes())
    with atomic_file(folder / "crm.toml") as part:
        part.write_text(_render_crm_toml(crm_toml, crm, now), encoding="utf-8")
    return TrainingExport(folder / "crm.toml", len(first), *counts)


def _leads(connection: Connection, crm: CrmSettings, now: int) -> Mapping[str, ExportRow]:
    """Each lead that has a date, with the first value that was told of each column."""
    first: dict[tuple[str, str], int] = {}
    leads: dict[str, dict[str, Any]] = {}
    for row in _rows(connection, "leads", now):
        lead = leads.setdefault(row.lead_id, {"lead_id": row.lead_id, "created_at": None, "account": None})
        if row.created_at is not None:
            lead["created_at"] = min(row.created_at, lead["created_at"] or row.created_at)
        lead["account"] = row.account or lead["account"]
        for column, value in _parse_json(row.attributes).items():
            is_known = column in crm.columns and value is not None
            if is_known and row.at < first.get((row.lead_id, column), NEVER):
                first[row.lead_id, column] = row.at
                lead[column] = to_text(value)
    return {lead_id: lead for lead_id, lead in leads.items() if lead["created_at"] is not None}


def _write_history(
    connection: Connection, crm: CrmSettings, folder: Path, leads: Collection[str], now: int, sent_back: bool
) -> tuple[int, int, int]:
    """Activities, changes and deals; how many leads were won, were lost alone, and count as sent back."""
    activities = ({**r._mapping} for r in _rows(connection, "activities", now) if r.lead_id in leads)
    _write(folder / "activities.parquet", _SCHEMAS["activities"], activities)
    _write(folder / "changes.parquet", _SCHEMAS["changes"], _changes(connection, crm, leads, now))
    outcomes = _rows_by_time(connection, "outcomes", now)
    deals = [{**r._mapping, "closed_at": r.at} for r in outcomes if r.lead_id in leads]
    closed = {deal["lead_id"] for deal in deals}
    won = {deal["lead_id"] for deal in deals if deal["outcome"] == "won"}
    back = _sent_back_deals(connection, leads, now) if sent_back else []
    extra = [lost_deal for lost_deal in back if lost_deal["lead_id"] not in closed]
    _write(folder / "deals.parquet", _SCHEMAS["deals"], iter([*deals, *extra]))
    return len(won), len(closed) - len(won), len(extra)


def _changes(
    connection: Connection, crm: CrmSettings, leads: Collection[str], now: int
) -> Iterator[ExportRow]:
    """The history of attributes; what inside sales heard takes the place of the attribute of that role."""
    columns, roles = crm.columns, AttributeSchema.from_settings(crm).roles
    for row in _rows(connection, "leads", now):
        for column, value in _parse_json(row.attributes).items():
            if row.lead_id in leads and column in columns:
                shown = None if value is None else to_text(value)
                yield {"lead_id": row.lead_id, "column": column, "value": shown, "at": row.at}
    for row in _rows(connection, "handovers", now):
        for role, value in (_parse_json(row.hearing) if row.step == "hearing" else {}).items():
            if row.lead_id in leads and role in roles:
                yield {"lead_id": row.lead_id, "column": roles[role], "value": to_text(value), "at": row.at}


def _sent_back_deals(connection: Connection, leads: Collection[str], now: int) -> list[ExportRow]:
    """Leads whose last judgement by sales is that they were sent back, as deals lost then."""
    last: dict[str, ResultRow] = {}
    for row in _rows_by_time(connection, "handovers", now):
        if row.step in ("accepted", "sent_back") and row.lead_id in leads:
            last[row.lead_id] = row

    def deal(lead_id: str, row: ResultRow) -> ExportRow:
        reason = f"sent back: {row.reason or ''}"
        return {"lead_id": lead_id, "outcome": "lost", "closed_at": row.at, "lost_reason": reason}

    return [deal(lead_id, row) for lead_id, row in last.items() if row.step == "sent_back"]


def _rows_by_time(connection: Connection, kind: RecordKind, now: int) -> list[ResultRow]:
    return sorted(_rows(connection, kind, now), key=lambda row: (row.at, row.seq))


def _rows(connection: Connection, kind: RecordKind, now: int) -> Iterator[ResultRow]:
    """The rows of a kind that count and were true by now, in the order in which they came."""
    last = 0
    while rows := connection.execute(_next_rows(kind), {"now": now, "after": last}).all():
        yield from rows
        last = rows[-1].seq


@cache
def _next_rows(kind: RecordKind) -> Statement:
    """The next rows, some at a time: a database holds no more of them for us, and each statement is short."""
    c = RECORDS[kind].c
    condition = (c.seq > bindparam("after")) & (c.at <= bindparam("now"))
    statement = select(RECORDS[kind]).where(condition, is_newest(RECORDS[kind]))
    return statement.order_by(c.seq).limit(ROWS_AT_ONCE)


def _parse_json(text: str | None) -> Mapping[str, JsonValue]:
    parsed: Mapping[str, JsonValue] = orjson.loads(text) if text else {}
    return parsed


def _lead_schema(crm: CrmSettings) -> pa.Schema:
    attributes = [(name, _TEXT) for name in crm.columns]
    return pa.schema([("lead_id", _TEXT), ("created_at", _TIME), ("account", _TEXT), *attributes])


def _write(path: Path, schema: pa.Schema, rows: Iterator[ExportRow]) -> None:
    """Rows as one Parquet file, some at a time; it is there whole or not at all."""
    with atomic_file(path) as part, pq.ParquetWriter(part, schema) as writer:
        batch: list[ExportRow] = []
        for row in rows:
            batch.append(row)
            if len(batch) == ROWS_AT_ONCE:
                writer.write_table(_table(batch, schema))
                batch = []
        writer.write_table(_table(batch, schema))


def _table(rows: Sequence[ExportRow], schema: pa.Schema) -> pa.Table:
    columns = {f.name: pa.array([row.get(f.name) for row in rows], f.type) for f in schema}
    return pa.table(columns, schema=schema)


def _render_crm_toml(crm_toml: Path, crm: CrmSettings, now: int) -> str:
    """The company's crm.toml, with its tables taken from the store: its features mean the same."""
    config: Any = tomlkit.parse(crm_toml.read_text(encoding="utf-8"))
    general = config.setdefault("crm", tomlkit.table())
    for name in ("since", "order", "as_of"):
        general.pop(name, None)
    general["as_of"] = tomlkit.datetime(iso(now))
    config.update(tomllib.loads(_TABLES.read_text(encoding="utf-8")))
    if not crm.leaves_out_bursts:
        config["activities"]["bursts"] = "keep"
    if not crm.leads.account:
        config["leads"].pop("account")
    roles = config.get("roles", {})
    for role in [name for name, column in roles.items() if column not in crm.columns]:
        roles.pop(role)
    config.get("review", {}).pop("costs", None)
    return tomlkit.dumps(config)


def erase_from_export(out: Path, lead_ids: Sequence[str]) -> dict[Path, int]:
    """Delete the rows of leads from the exported tables in `out`, if there are any; the rows by table.

    Raises OutsideError if a table cannot be written.
    """
    erased: dict[Path, int] = {}
    for path in sorted((out / FOLDER).glob("*.parquet")):
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError):
            path.unlink()  # torn: the next export writes it anew
            continue
        rest = table.filter(pc.invert(pc.is_in(table["lead_id"], pa.array(lead_ids, _TEXT))))
        if len(rest) < len(table):
            with atomic_file(path) as part:
                pq.write_table(rest, part)
            erased[path] = len(table) - len(rest)
    return erased
