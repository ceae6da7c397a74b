"""All that is known of one lead, from a request or from the store, and the view that features work on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from pydantic import ValidationError

from features.bots.bursts import leave_out_bursts
from features.clock import NEVER
from features.large.column_bursts import leave_out_column_bursts
from features.large.event_columns import EventColumns, join_events, to_columns
from features.large.large_lead import MANY_EVENTS, LargeLead
from features.one_lead import AttributeChange, Event, OneLead
from serving.leads.bodies import Lead, LeadActivity
from serving.leads.field_types import AttributeSchema, ParseContext
from serving.leads.large_bodies import DIRECT_BYTES, parse_large_lead
from serving.store.records import StoredLead
from serving.web.field_errors import MAX_ERRORS, from_validation_error


class UnknownLead(Exception):
    """Nothing is stored about the lead of this id."""


class LeadNotCreated(Exception):
    """A lead did not exist at the moment it is to be scored at. Both times are ms UTC."""

    def __init__(self, as_of: int, created: int) -> None:
        super().__init__("the lead did not exist at that moment")
        self.as_of, self.created = as_of, created


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadFacts:
    """All that is known of one lead. Times are ms UTC; `created` is NEVER if nothing dates it.

    `events` are the activities that people made, `others` those of other leads of its account; `ignored` are
    the attributes that no feature uses, `unknown_types` the activity types that no feature names. `amount` is
    what its open deal is expected to bring (None: unknown), which no feature sees.
    """

    lead_id: str
    created: int
    attributes: Mapping[str, object]
    changes: Sequence[AttributeChange]
    events: Sequence[Event]
    others: Sequence[Event] = ()
    ignored: tuple[str, ...] = ()
    unknown_types: tuple[str, ...] = ()
    amount: float | None = None

    def view(self, moment: int) -> OneLead:
        """What was known strictly before `moment` (ms UTC); a lead that was created later is new then."""
        created = min(self.created, moment)
        if isinstance(self.events, EventColumns) or isinstance(self.others, EventColumns):
            lead = to_columns(self.events)
            joined = join_events([lead, self.others]) if self.others else None
            return LargeLead(moment, created, self.attributes, lead, self.changes, joined)
        account = [*self.events, *self.others] if self.others else None
        return OneLead(moment, created, self.attributes, self.events, self.changes, account)


ParsedLead: TypeAlias = LeadFacts | str
"""A lead to score: its facts, or its id, by which it is scored from the store."""


def parse_lead(
    body: bytes | Mapping[str, object],
    schema: AttributeSchema,
    now: int | None,
    path: str = "body",
    as_of: int | None = None,
    max_errors: int = MAX_ERRORS,
) -> ParsedLead:
    """The lead of a request, from JSON or from parsed JSON.

    `now` (ms UTC) is None for a score as of an earlier moment, `as_of` (ms UTC). Times of the next minutes,
    from a clock ahead of ours, count as now. Raises InvalidFields with the errors, formal and semantic, of
    which `max_errors` are described, and NotJson.
    """
    context = ParseContext(schema, now)
    if isinstance(body, bytes) and len(body) <= DIRECT_BYTES:
        try:
            lead = Lead.model_validate_json(body, context=context)
        except ValidationError as error:
            if error.error_count() <= MAX_ERRORS:
                raise from_validation_error(error, path, Lead) from None
            lead = parse_large_lead(body, context, path)
    else:
        lead = parse_large_lead(body, context, path, max_errors)
    if lead.model_fields_set == {"lead_id"}:
        return lead.lead_id
    return _build_facts(lead, schema, NEVER if now is None else now, as_of)


def _build_facts(lead: Lead, schema: AttributeSchema, latest: int, as_of: int | None) -> LeadFacts:
    columns = schema.columns
    events, others = _build_events(lead.activities), _build_events(lead.colleagues_activities)
    changes: list[AttributeChange] = [
        (change.column, min(change.at, latest), change.value)
        for change in lead.changes
        if change.column in columns
    ]
    attributes = {column: value for column, value in lead.attributes.items() if column in columns}
    created = lead.created_at
    if created is None:
        created = min((time_ms for _, time_ms, _ in (*events, *changes)), default=NEVER)
    changed = [change.column for change in lead.changes]
    return LeadFacts(
        lead_id=lead.lead_id,
        created=min(created, latest) if created != NEVER else NEVER,
        attributes=attributes,
        changes=changes,
        events=_select_events(events, schema, latest, as_of),
        others=_select_events(others, schema, latest, as_of),
        ignored=schema.find_ignored(dict.fromkeys([*lead.attributes, *changed])),
        unknown_types=schema.find_unknown_types([kind for kind, _, _ in (*events, *others)]),
        amount=lead.amount,
    )


def _build_events(activities: Sequence[LeadActivity]) -> list[Event]:
    return [
        (activity.type, activity.at, math.nan if activity.value is None else activity.value)
        for activity in activities
    ]


def _select_events(
    events: Sequence[Event], schema: AttributeSchema, latest: int, as_of: int | None
) -> Sequence[Event]:
    """The activities that people made, by all that was known before `as_of`; those of a clock ahead of ours
    count as `latest`. What a machine made shows in the times as they were sent."""
    if isinstance(events, EventColumns):
        return _select_columns(events, schema, latest, as_of)
    if schema.leaves_out_bursts:
        events = leave_out_bursts(events, as_of)
    if latest == NEVER:
        return events
    return [event if event[1] <= latest else (event[0], latest, event[2]) for event in events]


def _select_columns(
    events: EventColumns, schema: AttributeSchema, latest: int, as_of: int | None
) -> EventColumns:
    """As `_select_events`, of very many activities."""
    if schema.leaves_out_bursts:
        events = leave_out_column_bursts(events, as_of)
    is_past = latest == NEVER or events.times_ms.max(initial=0) <= latest
    return events if is_past else replace(events, times_ms=np.minimum(events.times_ms, latest))


def facts_from_store(
    stored: StoredLead, schema: AttributeSchema, now: int | None, as_of: int | None = None
) -> LeadFacts:
    """What was sent about a lead before: its attributes with their history, and its activities.

    What inside sales heard takes the place of the attribute of that role. `now` (ms UTC) is None for a score
    as of an earlier moment, `as_of` (ms UTC).
    """
    latest = NEVER if now is None else now
    heard: list[AttributeChange] = [
        (schema.roles[role], time_ms, value)
        for role, time_ms, value in stored.hearings
        if role in schema.roles
    ]
    changes, unusable = _select_usable([*stored.changes, *heard], schema, latest)
    columns = dict.fromkeys(column for column, _, _ in stored.changes)
    others = [_select_events(events, schema, latest, as_of) for events in stored.colleagues]
    is_large = sum(map(len, others)) > MANY_EVENTS
    return LeadFacts(
        lead_id=stored.lead_id,
        created=stored.created,
        attributes={},
        changes=changes,
        events=_select_events(stored.events, schema, latest, as_of),
        others=join_events(others) if is_large else [event for events in others for event in events],
        ignored=(*schema.find_ignored(columns), *unusable),
        unknown_types=schema.find_unknown_types(_iter_types(stored)),
        amount=stored.amount,
    )


def _iter_types(stored: StoredLead) -> Iterator[str]:
    for events in (stored.events, *stored.colleagues):
        if isinstance(events, EventColumns):
            yield from events.find_types()
        else:
            yield from [kind for kind, _, _ in events]


def _select_usable(
    rows: Sequence[AttributeChange], schema: AttributeSchema, latest: int
) -> tuple[list[AttributeChange], tuple[str, ...]]:
    """The changes of known columns, and the number columns that hold texts: crm.toml may have changed since
    they were stored. Such a value counts as not known."""
    changes: list[AttributeChange] = []
    unusable: dict[str, None] = {}
    for column, time_ms, value in rows:
        if column not in schema.columns:
            continue
        plain = value if isinstance(value, str | int | float | bool) else None
        try:
            parsed = schema.parse_value(column, plain)
        except ValueError:
            parsed = unusable[column] = None
        changes.append((column, min(time_ms, latest), parsed))
    return changes, tuple(unusable)
