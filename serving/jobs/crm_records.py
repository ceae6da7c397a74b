"""From a CRM's export to the store: leads with their history, what they did, and how their deals ended.

What the CRM sends from then on comes by the API; an export that is read again adds what is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from features.columns import Column, Texts
from features.crm_data import Crm
from features.settings import CrmSettings
from serving.leads.to_records import key_of
from serving.store.records import Kind, Outcome, Record
from serving.store.store import Store

AT_ONCE = 5_000
"""So many records are stored with one flush to the disk."""


@dataclass(frozen=True)
class Export:
    """A CRM as it was read, with what no feature is made of (see `features.crm.extra_columns`)."""

    crm: Crm
    accounts: Sequence[str | None]
    first_contacts: Sequence[int | None]
    lost_reasons: Sequence[str | None]


def import_export(store: Store, export: Export, settings: CrmSettings) -> Mapping[Kind, Counter[Outcome]]:
    """Store what an export tells; how many records of each kind were new, known, or in conflict.

    Raises StoreAway; what was stored until then stays, and the next import goes on.
    """
    told: dict[Kind, Counter[Outcome]] = {}
    for records in batched_records(export, settings):
        for record, outcome in zip(records, store.accept(records).result(), strict=True):
            told.setdefault(record.kind, Counter())[outcome] += 1
    return told


def batched_records(export: Export, settings: CrmSettings) -> Iterator[tuple[Record, ...]]:
    """The records of an export, some at a time."""
    told = records_of(export, settings)
    return iter(lambda: tuple(islice(told, AT_ONCE)), ())


def records_of(export: Export, settings: CrmSettings) -> Iterator[Record]:
    """All that an export tells, as records. The same export gives the same keys."""
    yield from _leads(export, settings)
    yield from _changes(export.crm)
    yield from _activities(export.crm)
    yield from _outcomes(export)
    yield from _contacts(export)


def _leads(export: Export, settings: CrmSettings) -> Iterator[Record]:
    """Each lead with what was known when it came, then with what is only known as of today."""
    crm = export.crm
    known = {f.column: f.known for f in settings.table.attributes.values()}
    first = [name for name in crm.attributes if known.get(name) == "at_creation"]
    today = [name for name in crm.attributes if known.get(name, "today") == "today"]
    for row, lead_id in enumerate(map(str, crm.lead_ids)):
        created = int(crm.created[row])
        attributes = _told(crm.attributes, first, row)
        body = {"created_at": created, "account": export.accounts[row], "attributes": attributes}
        yield _record("leads", f"{lead_id}:created", lead_id, created, body)
        if later := _told(crm.attributes, today, row):
            at = max(created, crm.snapshot - 1)
            yield _record("leads", f"{lead_id}:{at}", lead_id, at, {"attributes": later})


def _changes(crm: Crm) -> Iterator[Record]:
    for column, told in crm.changes.items():
        values = _plain(told.value)
        for row, at, value in zip(told.lead.tolist(), told.at.tolist(), values, strict=True):
            lead_id = str(crm.lead_ids[row])
            key = f"{lead_id}:{column}:{at}"
            yield _record("leads", key, lead_id, at, {"attributes": {column: value}})


def _activities(crm: Crm) -> Iterator[Record]:
    """With the keys that the API gives to what comes without an id, so that each is stored once."""
    told, again = crm.activities, Counter[str]()
    values = [None] * len(told) if told.value is None else _plain(told.value)
    for row, code, at, value in zip(
        told.lead.tolist(), told.type.tolist(), told.at.tolist(), values, strict=True
    ):
        lead_id, kind = str(crm.lead_ids[row]), told.types[code]
        key = key_of("activities", lead_id, kind, at)
        again[key] += 1
        own = key if again[key] == 1 else f"{key}:{again[key]}"
        yield Record("activities", own, 1, lead_id, at, {"type": kind, "value": value})


def _outcomes(export: Export) -> Iterator[Record]:
    told = export.crm.outcomes
    for row in np.flatnonzero(told.closed).tolist():
        won = bool(told.won[row])
        at = int(told.won_at[row] if won else told.closed_at[row])
        lead_id, amount = str(export.crm.lead_ids[row]), float(told.amount[row])
        body = {
            "outcome": "won" if won else "lost",
            "amount": None if amount != amount else amount,
            "lost_reason": None if won else export.lost_reasons[row],
        }
        yield _record("outcomes", lead_id, lead_id, at, body)


def _contacts(export: Export) -> Iterator[Record]:
    for lead_id, at in zip(map(str, export.crm.lead_ids), export.first_contacts, strict=True):
        if at is not None:
            yield _record("handovers", f"{lead_id}:contact", lead_id, at, {"step": "first_contact"})


def _record(kind: Kind, key: str, lead_id: str, at: int, body: Mapping[str, Any]) -> Record:
    known = {name: value for name, value in body.items() if value is not None}
    return Record(kind, f"import:{key}", 1, lead_id, at, known)


def _told(columns: Mapping[str, Column], names: Sequence[str], row: int) -> dict[str, str | float]:
    """The values of a lead that are known."""
    told = {name: _at(columns[name], row) for name in names}
    return {name: value for name, value in told.items() if value is not None}


def _at(column: Column, row: int) -> str | float | None:
    if isinstance(column, Texts):
        code = int(column.codes[row])
        return None if code < 0 else column.categories[code]
    value = float(column[row])
    return None if value != value else value


def _plain(column: Column) -> list[Any]:
    """The values; None where there is none."""
    if isinstance(column, Texts):
        return column.plain()
    return [None if value != value else value for value in column.tolist()]
