"""Reading a batch: by column where all is plainly right, lead by lead where somebody is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from features.clock import NEVER
from serving.leads import bodies
from serving.leads.batch_columns import BatchLeads, from_facts
from serving.leads.batch_fast_path import Unsupported, parse_columns
from serving.leads.lead_facts import (
    AttributeSchema,
    LeadFacts,
    check_as_of,
    facts_from_body,
    facts_from_store,
    find_value_errors,
)
from serving.leads.partial_parse import salvage
from serving.store.store import StoredLead, StoreUnavailable
from serving.web.field_errors import field_error
from serving.web.problems import (
    Problem,
    from_validation_error,
    invalid_fields,
    not_found,
    not_json,
    store_unavailable,
)

StoredLeadReader = Callable[[Sequence[str]], Mapping[str, StoredLead]]
"""What was sent of leads before, by id. Raises StoreUnavailable."""


@dataclass(frozen=True)
class ParsedBatch:
    """The leads of a batch that can be scored, and by its place the problem of each that cannot."""

    leads: BatchLeads
    problems: Mapping[int, Problem]

    @property
    def count(self) -> int:
        return len(self.leads) + len(self.problems)


def read_batch(
    raw: bytes,
    schema: AttributeSchema,
    now: int | None,
    read_stored: StoredLeadReader,
    as_of: int | None = None,
) -> ParsedBatch:
    """The leads of a batch. Raises Problem (400, 422) where the body as a whole is not valid.

    `now` (ms UTC) for a live score, None for a replay `as_of` a moment; `stored` gives what was sent
    before.
    """
    try:
        leads = parse_columns(raw, schema, now)
        if as_of is None or not ((as_of < leads.created) & (leads.created != NEVER)).any():
            return ParsedBatch(leads, {})
    except Unsupported:
        pass
    return _read_row_by_row(_parse_items(raw), schema, now, read_stored, as_of)


def _parse_items(raw: bytes) -> list[Any]:
    """The leads as they were sent; what is wrong with the body as a whole is raised."""
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise not_json() from None
    leads = parsed.get("leads") if isinstance(parsed, dict) and len(parsed) == 1 else None
    if isinstance(leads, list) and 0 < len(leads) <= bodies.MAX_BATCH:
        return leads
    try:
        bodies.BatchIn.model_validate_json(raw)
    except ValidationError as error:
        raise from_validation_error(error, model=bodies.BatchIn) from None
    raise not_json()


def _read_row_by_row(
    items: Sequence[Any],
    schema: AttributeSchema,
    now: int | None,
    read_stored: StoredLeadReader,
    as_of: int | None,
) -> ParsedBatch:
    read = [_parse_lead(item, f"body.leads[{i}]", schema, now) for i, item in enumerate(items)]
    stored_leads = _read_stored_leads([lead for lead in read if not isinstance(lead, Problem)], read_stored)
    results = [
        _check_moment(_build_facts(lead, i, schema, now, stored_leads), as_of) for i, lead in enumerate(read)
    ]
    problems = {i: result for i, result in enumerate(results) if isinstance(result, Problem)}
    return ParsedBatch(
        from_facts([result for result in results if isinstance(result, LeadFacts)], schema), problems
    )


def _check_moment(result: LeadFacts | Problem, as_of: int | None) -> LeadFacts | Problem:
    """A lead that was there at the moment that is asked for."""
    try:
        if isinstance(result, LeadFacts):
            check_as_of(result.created, as_of)
        return result
    except Problem as problem:
        return problem


def _parse_lead(item: object, path: str, schema: AttributeSchema, now: int | None) -> bodies.Lead | Problem:
    try:
        return bodies.Lead.model_validate_json(orjson.dumps(item))
    except orjson.JSONEncodeError:
        return _nesting_problem(item, path)
    except ValidationError as error:
        problem = from_validation_error(error, path, bodies.Lead)
        if problem.status == 400:
            return _nesting_problem(item, path)
        return problem.with_errors(find_value_errors(salvage(bodies.Lead, item), schema, now, path))


def _nesting_problem(item: object, path: str) -> Problem:
    """What could be read once and now cannot is nested too deeply for the careful reader."""
    return invalid_fields([field_error(path, item, "a value that is not nested so deeply")])


def _read_stored_leads(
    leads: Sequence[bodies.Lead], read_stored: StoredLeadReader
) -> Mapping[str, StoredLead] | Problem:
    """What was sent before of the leads that come with their id alone."""
    wanted = list({lead.lead_id for lead in leads if lead.is_id_only})
    try:
        return read_stored(wanted) if wanted else {}
    except StoreUnavailable as problem:
        return store_unavailable(
            "The store is away, so what was sent of this lead cannot be read.", problem.retry_after
        )


def _build_facts(
    lead: bodies.Lead | Problem,
    index: int,
    schema: AttributeSchema,
    now: int | None,
    stored_leads: Mapping[str, StoredLead] | Problem,
) -> LeadFacts | Problem:
    if isinstance(lead, Problem):
        return lead
    try:
        if not lead.is_id_only:
            return facts_from_body(lead, schema, now, f"body.leads[{index}]")
        if isinstance(stored_leads, Problem):
            return stored_leads
        stored_lead = stored_leads.get(lead.lead_id)
        return (
            facts_from_store(stored_lead, schema, now)
            if stored_lead
            else not_found("Nothing was sent of this lead.")
        )
    except Problem as problem:
        return problem
