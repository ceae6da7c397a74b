"""Reading a batch: by column where all is plainly right, lead by lead where somebody is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from features.clock import NEVER
from serving.leads import bodies
from serving.leads.batch_columns import Leads, by_column
from serving.leads.batch_fast_path import NotPlain, quick_batch
from serving.leads.lead_facts import Reading, Told, check_there, told_before, told_by, wrong_values
from serving.leads.partial_parse import salvage
from serving.store.store import StoreAway, StoredLead
from serving.web.field_errors import wrong
from serving.web.problems import Problem, away, not_found, not_json, of_validation, wrong_fields

Stored = Callable[[Sequence[str]], Mapping[str, StoredLead]]
"""What was sent of leads before, by id. Raises StoreAway."""


@dataclass(frozen=True)
class Batch:
    """The leads of a batch that can be scored, and by its place the problem of each that cannot."""

    leads: Leads
    problems: Mapping[int, Problem]

    @property
    def count(self) -> int:
        return len(self.leads) + len(self.problems)


def read_batch(raw: bytes, how: Reading, now: int | None, stored: Stored, as_of: int | None = None) -> Batch:
    """The leads of a batch. Raises Problem (400, 422) where the body as a whole is not valid.

    `now` (ms UTC) for a live score, None for a replay `as_of` a moment; `stored` gives what was sent
    before.
    """
    try:
        leads = quick_batch(raw, how, now)
        if as_of is None or not ((as_of < leads.created) & (leads.created != NEVER)).any():
            return Batch(leads, {})
    except NotPlain:
        pass
    return _careful(_items(raw), how, now, stored, as_of)


def _items(raw: bytes) -> list[Any]:
    """The leads as they were sent; what is wrong with the body as a whole is raised."""
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise not_json() from None
    leads = told.get("leads") if isinstance(told, dict) and len(told) == 1 else None
    if isinstance(leads, list) and 0 < len(leads) <= bodies.BATCH_MOST:
        return leads
    try:
        bodies.Batch.model_validate_json(raw)
    except ValidationError as error:
        raise of_validation(error, model=bodies.Batch) from None
    raise not_json()


def _careful(items: Sequence[Any], how: Reading, now: int | None, stored: Stored, as_of: int | None) -> Batch:
    read = [_lead(item, f"body.leads[{i}]", how, now) for i, item in enumerate(items)]
    before = _before([lead for lead in read if not isinstance(lead, Problem)], stored)
    told = [_there(_told(lead, i, how, now, before), as_of) for i, lead in enumerate(read)]
    problems = {i: each for i, each in enumerate(told) if isinstance(each, Problem)}
    return Batch(by_column([each for each in told if isinstance(each, Told)], how), problems)


def _there(told: Told | Problem, as_of: int | None) -> Told | Problem:
    """A lead that was there at the moment that is asked for."""
    try:
        if isinstance(told, Told):
            check_there(told.created, as_of)
        return told
    except Problem as problem:
        return problem


def _lead(item: object, where: str, how: Reading, now: int | None) -> bodies.Lead | Problem:
    try:
        return bodies.Lead.model_validate_json(orjson.dumps(item))
    except orjson.JSONEncodeError:
        return _too_deep(item, where)
    except ValidationError as error:
        problem = of_validation(error, where, bodies.Lead)
        if problem.status == 400:
            return _too_deep(item, where)
        return problem.beside(wrong_values(salvage(bodies.Lead, item), how, now, where))


def _too_deep(item: object, where: str) -> Problem:
    """What could be read once and now cannot is nested too deeply for the careful reader."""
    return wrong_fields([wrong(where, item, "a value that is not nested so deeply")])


def _before(leads: Sequence[bodies.Lead], stored: Stored) -> Mapping[str, StoredLead] | Problem:
    """What was sent before of the leads that come with their id alone."""
    wanted = list({lead.lead_id for lead in leads if lead.by_id_alone})
    try:
        return stored(wanted) if wanted else {}
    except StoreAway as problem:
        return away("The store is away, so what was sent of this lead cannot be read.", problem.retry_after)


def _told(
    lead: bodies.Lead | Problem,
    place: int,
    how: Reading,
    now: int | None,
    before: Mapping[str, StoredLead] | Problem,
) -> Told | Problem:
    if isinstance(lead, Problem):
        return lead
    try:
        if not lead.by_id_alone:
            return told_by(lead, how, now, f"body.leads[{place}]")
        if isinstance(before, Problem):
            return before
        found = before.get(lead.lead_id)
        return told_before(found, how, now) if found else not_found("Nothing was sent of this lead.")
    except Problem as problem:
        return problem
