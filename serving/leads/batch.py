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
from serving.leads.lead_facts import (
    LeadFacts,
    LeadNotCreated,
    ParsedLead,
    UnknownLead,
    facts_from_store,
    parse_lead,
)
from serving.store.store import StoredLead, StoreUnavailable
from serving.web.field_errors import InvalidFields, NotJson, from_validation_error

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
    return [_parse_item(item, schema, now, as_of, f"body.leads[{i}]") for i, item in enumerate(items)]


def _parse_items(raw: bytes) -> Sequence[object]:
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise NotJson from None
    leads = parsed.get("leads") if isinstance(parsed, dict) and len(parsed) == 1 else None
    if isinstance(leads, list) and 0 < len(leads) <= bodies.MAX_BATCH:
        return leads
    try:
        bodies.BatchIn.model_validate_json(raw)
    except ValidationError as error:
        raise from_validation_error(error, model=bodies.BatchIn) from None
    raise NotJson


def _parse_item(
    item: object, schema: AttributeSchema, now: int | None, as_of: int | None, path: str
) -> ParsedLead | InvalidFields:
    try:
        # What is no object is an error that pydantic describes, like all others.
        return parse_lead(item, schema, now, path, as_of)  # type: ignore[arg-type]
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
