"""A batch of leads: parsed by column if all of them are plain and valid, else lead by lead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson
from pydantic import ValidationError

from features.clock import NEVER
from serving.leads import bodies
from serving.leads.batch_columns import BatchLeads, from_facts
from serving.leads.batch_fast_path import Unsupported, parse_columns
from serving.leads.field_types import AttributeSchema
from serving.leads.large_bodies import DIRECT_BYTES, check_sizes, refuse_dense
from serving.leads.lead_facts import (
    LeadFacts,
    LeadNotCreated,
    ParsedLead,
    UnknownLead,
    facts_from_store,
    parse_lead,
)
from serving.store.store import StoredLead, StoreUnavailable
from serving.web.field_errors import MAX_ERRORS, InvalidFields, NotJson, field_error, from_validation_error

MAX_BATCH_ERRORS = 200
"""The errors of a batch that are described; beyond them, the first one of each lead."""
StoredLeadReader = Callable[[Sequence[str]], Mapping[str, StoredLead]]
"""Reads leads by id from the store. Raises StoreUnavailable."""
ParsedBatch: TypeAlias = BatchLeads | Sequence[ParsedLead | InvalidFields]
"""The leads of a batch, as columns or one by one; of an invalid one, what is invalid."""
LeadError: TypeAlias = InvalidFields | UnknownLead | LeadNotCreated | StoreUnavailable
"""Why one lead of a batch has no score."""


@dataclass(frozen=True)
class ScorableBatch:
    """The leads of a batch that can be scored, and by its place in the batch the error of each other."""

    leads: BatchLeads
    errors: Mapping[int, LeadError]

    @property
    def count(self) -> int:
        return len(self.leads) + len(self.errors)


def parse_batch(
    body: bytes | Sequence[object], schema: AttributeSchema, now: int | None, as_of: int | None = None
) -> ParsedBatch:
    """The leads of a request: its JSON, or the parsed list of leads.

    `as_of` (ms UTC) is the earlier moment of the score, or None; `now` (ms UTC) is None with it. Raises
    InvalidFields and NotJson if the body as a whole is not valid.
    """
    items = _parse_items(body) if isinstance(body, bytes) else body
    try:
        leads = parse_columns(items, schema, now, as_of)
        if as_of is None or not ((as_of < leads.created) & (leads.created != NEVER)).any():
            return leads
    except Unsupported:
        pass
    return _parse_one_by_one(items, schema, now, as_of)


def _parse_one_by_one(
    items: Sequence[object], schema: AttributeSchema, now: int | None, as_of: int | None
) -> Sequence[ParsedLead | InvalidFields]:
    """The leads of a batch. `MAX_BATCH_ERRORS` errors are described, and at least one of each wrong lead."""
    leads: list[ParsedLead | InvalidFields] = []
    remaining = MAX_BATCH_ERRORS
    for i, item in enumerate(items):
        max_errors = max(1, min(remaining, MAX_ERRORS))
        lead = _parse_item(item, schema, now, as_of, f"body.leads[{i}]", max_errors)
        remaining -= len(lead.errors) if isinstance(lead, InvalidFields) else 0
        leads.append(lead)
    return leads


def _parse_items(raw: bytes) -> Sequence[object]:
    if len(raw) > DIRECT_BYTES:
        refuse_dense(raw)
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise NotJson from None
    leads = parsed.get("leads") if isinstance(parsed, dict) and len(parsed) == 1 else None
    if isinstance(leads, list) and 0 < len(leads) <= bodies.MAX_BATCH:
        return leads
    check_sizes(parsed)
    if isinstance(leads, list) and len(leads) > bodies.MAX_BATCH:
        raise InvalidFields([field_error("body.leads", leads, f"at most {bodies.MAX_BATCH:,} items")])
    if isinstance(parsed, dict) and isinstance(parsed.get("leads"), list) and parsed["leads"]:
        parsed["leads"] = [{"lead_id": "any"}]  # what is around the leads is not valid
    try:
        bodies.BatchIn.model_validate(parsed)
    except ValidationError as error:
        raise from_validation_error(error, model=bodies.BatchIn) from None
    raise NotJson


def _parse_item(
    item: object, schema: AttributeSchema, now: int | None, as_of: int | None, path: str, max_errors: int
) -> ParsedLead | InvalidFields:
    try:
        # What is no object is an error that pydantic describes, like all others.
        return parse_lead(item, schema, now, path, as_of, max_errors)  # type: ignore[arg-type]
    except InvalidFields as error:
        return error


def complete_batch(
    parsed: ParsedBatch,
    schema: AttributeSchema,
    now: int | None,
    as_of: int | None,
    read_stored: StoredLeadReader,
) -> ScorableBatch:
    """The batch with what is stored about the leads that came as ids.

    `as_of` (ms UTC) is the earlier moment of the score, or None; leads that did not exist then are errors.
    """
    if isinstance(parsed, BatchLeads):
        return ScorableBatch(parsed, {})
    stored = _read_stored([lead for lead in parsed if isinstance(lead, str)], read_stored)
    results = [_complete_lead(lead, schema, now, as_of, stored) for lead in parsed]
    facts = [result for result in results if isinstance(result, LeadFacts)]
    errors = {i: result for i, result in enumerate(results) if not isinstance(result, LeadFacts)}
    return ScorableBatch(from_facts(facts, schema), errors)


def _read_stored(
    lead_ids: Sequence[str], read_stored: StoredLeadReader
) -> Mapping[str, StoredLead] | StoreUnavailable:
    try:
        return read_stored(list(dict.fromkeys(lead_ids))) if lead_ids else {}
    except StoreUnavailable as error:
        return error


def _complete_lead(
    lead: ParsedLead | InvalidFields,
    schema: AttributeSchema,
    now: int | None,
    as_of: int | None,
    stored: Mapping[str, StoredLead] | StoreUnavailable,
) -> LeadFacts | LeadError:
    if isinstance(lead, InvalidFields):
        return lead
    if isinstance(lead, str):
        if isinstance(stored, StoreUnavailable):
            return stored
        if lead not in stored:
            return UnknownLead()
        lead = facts_from_store(stored[lead], schema, now, as_of)
    if as_of is not None and as_of < lead.created != NEVER:
        return LeadNotCreated(as_of, lead.created)
    return lead
