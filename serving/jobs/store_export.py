"""Storing the export of a CRM. An export that is read again adds what is new and corrects what differs.

What is stored then says the same as the export: a lead has one score, from the store and from the export.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Literal, TypeAlias

from features.settings import CrmSettings
from serving.jobs.crm_records import CrmExport, is_amount, is_todays_values, iter_records
from serving.store import reads
from serving.store.records import Record, RecordKind, WriteOutcome
from serving.store.store import Store

ImportOutcome: TypeAlias = Literal["stored", "corrected", "known", "suppressed"]
ImportCounts: TypeAlias = Mapping[RecordKind, Counter[ImportOutcome]]
BATCH_SIZE = 5_000
"""The number of records that are stored with one flush to the disk."""
_OUTCOMES: Mapping[WriteOutcome, ImportOutcome] = {
    "stored": "stored",
    "known": "known",
    "conflict": "known",
    "suppressed": "suppressed",
}


def store_export(store: Store, export: CrmExport, settings: CrmSettings) -> ImportCounts:
    """Store an export; how many records of each kind were new, corrected, known, or of erased leads.

    Raises StoreUnavailable; what was stored before stays, and the next import continues.
    """
    counts: dict[RecordKind, Counter[ImportOutcome]] = {}
    for records in batch_records(export, settings):
        changed = [record for record in _drop_known_values(store, records) if record is not None]
        for record, outcome in _write(store, changed):
            counts.setdefault(record.kind, Counter())[outcome] += 1
        if unchanged := len(records) - len(changed):
            counts.setdefault("leads", Counter())["known"] += unchanged
    return counts


def batch_records(export: CrmExport, settings: CrmSettings) -> Iterator[tuple[Record, ...]]:
    """The records of an export in batches."""
    records = iter_records(export, settings)
    return iter(lambda: tuple(islice(records, BATCH_SIZE)), ())


def _drop_known_values(store: Store, records: Sequence[Record]) -> Iterator[Record | None]:
    """The records, those of today's values with only the values that differ from the earlier stored ones.

    None for a record of which nothing remains, and for an amount that is stored already. A value that the
    export no longer has becomes None.
    """
    amount_keys = [record.key for record in records if is_amount(record)]
    amounts = store.read(partial(reads.amounts_of_keys, keys=amount_keys))
    lead_ids = list(dict.fromkeys(record.lead_id for record in records if is_todays_values(record)))
    stored = store.read(partial(reads.attribute_history, lead_ids=lead_ids))
    for record in records:
        if is_amount(record):
            yield None if amounts.get(record.key) == record.body.get("amount") else record
            continue
        if not is_todays_values(record):
            yield record
            continue
        history = stored.get(record.lead_id, ())
        values = {column: value for column, time_ms, value in history if time_ms < record.at}
        differing = {c: v for c, v in record.body["attributes"].items() if values.get(c) != v}
        yield replace(record, body={"attributes": differing}) if differing else None


def _write(store: Store, records: Sequence[Record]) -> Iterator[tuple[Record, ImportOutcome]]:
    """Store records; one whose content differs from the stored one becomes its next version."""
    newest: dict[tuple[RecordKind, str], tuple[int, str]] = {}
    for kind in dict.fromkeys(record.kind for record in records):
        keys = [record.key for record in records if record.kind == kind]
        stored = store.read(partial(reads.newest_versions, kind=kind, keys=keys))
        newest |= {(kind, key): version for key, version in stored.items()}
    versioned = [_with_version(record, newest.get((record.kind, record.key))) for record in records]
    outcomes = store.add_records(versioned).result()
    for record, outcome in zip(versioned, outcomes, strict=True):
        is_corrected = outcome == "stored" and record.version > 1
        yield record, "corrected" if is_corrected else _OUTCOMES[outcome]


def _with_version(record: Record, newest: tuple[int, str] | None) -> Record:
    """The record as the stored version with its content, or as the next version."""
    if newest is None:
        return record
    version, digest = newest
    return replace(record, version=version if digest == record.digest else version + 1)
