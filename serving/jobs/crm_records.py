"""From a CRM's export to records: leads with their history, activities and outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.clock import NEVER, iso_exact
from features.columns import Column, Texts, numbers_or_none
from features.crm_data import Activities, Crm
from features.kinds import ValueType
from features.settings import CrmSettings
from serving.leads.to_records import derive_key
from serving.store.records import Record, RecordKind

RecordBody = Mapping[str, object]


@dataclass(frozen=True)
class CrmExport:
    """A CRM as it was read, with the columns that no feature uses (see `features.crm.extra_columns`)."""

    crm: Crm
    accounts: Sequence[str | None]
    first_contacts: Sequence[int | None]
    lost_reasons: Sequence[str | None]


def iter_records(export: CrmExport, settings: CrmSettings) -> Iterator[Record]:
    """An export as records. The same export gives the same keys."""
    yield from _leads(export, settings)
    yield from _amounts(export.crm)
    yield from _changes(export.crm, settings)
    yield from _activities(export.crm)
    yield from _outcomes(export)
    yield from _contacts(export)


def is_todays_values(record: Record) -> bool:
    """Whether a record holds all attributes of a lead that are known only as of the export (None: empty)."""
    return record.kind == "leads" and record.key == _name_todays_values(record.lead_id, record.at)


def is_amount(record: Record) -> bool:
    """Whether a record holds what the open deal of a lead is expected to bring, as of the export."""
    return record.kind == "leads" and record.key == _name_amount(record.lead_id)


def _leads(export: CrmExport, settings: CrmSettings) -> Iterator[Record]:
    """Each lead with its attributes at creation, then with those known only as of today.

    As for a list, an attribute that has changed has the value of its last change instead.
    """
    crm = export.crm
    availability = {use.column: use.availability for use in settings.table.column_uses}
    first = [name for name in crm.attributes if availability.get(name) == "at_creation"]
    today = [name for name in crm.attributes if availability.get(name, "today") == "today"]
    changed = _first_changes(crm)
    for row, lead_id in enumerate(map(str, crm.lead_ids)):
        created = int(crm.created[row])
        unchanged = [name for name in first if changed[name].get(row, NEVER) > created]
        attributes = _drop_missing(_read_values(crm.attributes, unchanged, row, settings.columns))
        body = {"created_at": created, "account": export.accounts[row], "attributes": attributes}
        yield _build_record("leads", f"{lead_id}:created", lead_id, created, body)
        time_ms = max(created, crm.snapshot - 1)
        if names := [name for name in today if changed[name].get(row, NEVER) > time_ms]:
            later = {"attributes": _read_values(crm.attributes, names, row, settings.columns)}
            yield Record("leads", _name_todays_values(lead_id, time_ms), 1, lead_id, time_ms, later)


def _amounts(crm: Crm) -> Iterator[Record]:
    """What the open deal of each open lead is expected to bring, known as of the export (None: unknown)."""
    if crm.open_amount is None:
        return
    amounts = numbers_or_none(crm.open_amount)
    for row in np.flatnonzero(~crm.outcomes.closed).tolist():
        lead_id, time_ms = str(crm.lead_ids[row]), max(int(crm.created[row]), crm.snapshot - 1)
        body = _drop_missing({"amount": amounts[row]})
        yield Record("leads", _name_amount(lead_id), 1, lead_id, time_ms, body)


def _name_amount(lead_id: str) -> str:
    return f"import:{lead_id}:amount"


def _name_todays_values(lead_id: str, time_ms: int) -> str:
    return f"import:{lead_id}:{time_ms}"


def _first_changes(crm: Crm) -> Mapping[str, Mapping[int, int]]:
    """By column and row of the lead, when the column first changed (ms UTC)."""
    first: dict[str, dict[int, int]] = {name: {} for name in crm.attributes}
    for column, history in crm.changes.items():
        for row, time_ms in zip(history.lead.tolist(), history.time_ms.tolist(), strict=True):
            times = first.setdefault(column, {})
            times[row] = min(time_ms, times.get(row, NEVER))
    return first


def _changes(crm: Crm, settings: CrmSettings) -> Iterator[Record]:
    """Of several changes at one time the last in the source holds, so each is a record of its own."""
    occurrences = Counter[str]()
    for column, history in crm.changes.items():
        values = _to_values(history.value)
        if settings.columns[column] == "time":
            values = [value if value is None else iso_exact(int(value)) for value in values]
        for row, time_ms, value in zip(history.lead.tolist(), history.time_ms.tolist(), values, strict=True):
            lead_id = str(crm.lead_ids[row])
            key = f"{lead_id}:{column}:{time_ms}"
            occurrences[key] += 1
            unique_key = key if occurrences[key] == 1 else f"{key}:{occurrences[key]}"
            yield _build_record("leads", unique_key, lead_id, time_ms, {"attributes": {column: value}})


def _activities(crm: Crm) -> Iterator[Record]:
    """Those of people and of machines: what a machine made is found again whenever a lead is read."""
    yield from _activity_records(crm, crm.activities)
    yield from _activity_records(crm, crm.bots.activities)


def _activity_records(crm: Crm, activities: Activities) -> Iterator[Record]:
    """With the keys that the API derives for records without an id, so that each is stored once."""
    occurrences = Counter[str]()
    values = [None] * len(activities) if activities.value is None else _to_values(activities.value)
    for row, code, time_ms, value in zip(
        activities.lead.tolist(), activities.type.tolist(), activities.time_ms.tolist(), values, strict=True
    ):
        lead_id, kind = str(crm.lead_ids[row]), activities.types[code]
        key = derive_key("activities", lead_id, kind, time_ms)
        occurrences[key] += 1
        unique_key = key if occurrences[key] == 1 else f"{key}:{occurrences[key]}"
        yield Record("activities", unique_key, 1, lead_id, time_ms, {"type": kind, "value": value})


def _outcomes(export: CrmExport) -> Iterator[Record]:
    outcomes = export.crm.outcomes
    for row in np.flatnonzero(outcomes.closed).tolist():
        won = bool(outcomes.won[row])
        time_ms = int(outcomes.won_at[row] if won else outcomes.closed_at[row])
        lead_id, amount = str(export.crm.lead_ids[row]), float(outcomes.amount[row])
        body = {
            "outcome": "won" if won else "lost",
            "amount": None if amount != amount else amount,
            "lost_reason": None if won else export.lost_reasons[row],
        }
        yield _build_record("outcomes", lead_id, lead_id, time_ms, body)


def _contacts(export: CrmExport) -> Iterator[Record]:
    for lead_id, time_ms in zip(map(str, export.crm.lead_ids), export.first_contacts, strict=True):
        if time_ms is not None:
            body = {"step": "first_contact"}
            yield _build_record("handovers", f"{lead_id}:contact", lead_id, time_ms, body)


def _build_record(kind: RecordKind, key: str, lead_id: str, time_ms: int, body: RecordBody) -> Record:
    return Record(kind, f"import:{key}", 1, lead_id, time_ms, _drop_missing(body))


def _read_values(
    columns: Mapping[str, Column], names: Sequence[str], row: int, types: Mapping[str, ValueType]
) -> dict[str, object]:
    """The values of a lead; times as ISO 8601."""
    values = {name: _read_value(columns[name], row) for name in names}
    return {
        name: iso_exact(int(value)) if types[name] == "time" and value is not None else value
        for name, value in values.items()
    }


def _drop_missing(values: RecordBody) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _read_value(column: Column, row: int) -> str | float | None:
    if isinstance(column, Texts):
        code = int(column.codes[row])
        return None if code < 0 else column.categories[code]
    value = float(column[row])
    return None if value != value else value


def _to_values(column: Column) -> list[str | None] | list[float | None]:
    if isinstance(column, Texts):
        return column.to_list()
    return numbers_or_none(column)
