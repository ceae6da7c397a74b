"""From what was told of one lead, in a request or before, to the view that features are computed on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from features.clock import NEVER, iso, to_ms
from features.one_lead import AttributeChange, Event, OneLead
from features.settings import CrmSettings
from serving.leads import bodies
from serving.leads.values import JsonValue, parse_number, parse_text
from serving.web.field_errors import FieldError, field_error
from serving.web.problems import Problem, invalid_fields

if TYPE_CHECKING:
    from serving.store.store import StoredLead


NUMBER = 'a number, or a text of one such as "1,200"'


@dataclass(frozen=True)
class AttributeSchema:
    """How this company's attributes are read: which columns, as text or number, what is missing."""

    columns: Mapping[str, Literal["category", "number"]]
    missing: frozenset[str]
    roles: Mapping[str, str]
    dated: bool
    types: frozenset[str] | None

    @staticmethod
    def from_settings(settings: CrmSettings) -> AttributeSchema:
        """As crm.toml says. `roles` are the columns of budget, authority, need and timing; `types` the
        activities that features name (None: they only count all of them)."""
        missing, counted = frozenset({"", *settings.missing}), settings.table.activities
        types = None if counted == {"*"} else counted - {"*"}
        return AttributeSchema(settings.columns, missing, settings.role_columns, settings.dated, types)

    def parse_value(self, column: str, told: JsonValue, path: str) -> str | float | None:
        """A value of a known column as features take it. Raises Problem where it is no number."""
        if self.columns[column] == "category":
            return parse_text(told, self.missing)
        try:
            return parse_number(told, self.missing)
        except ValueError:
            raise invalid_fields([field_error(path, told, NUMBER)]) from None

    def find_unknown_types(self, types: Iterable[str]) -> tuple[str, ...]:
        """The types of activity that no feature names: misspelt perhaps."""
        if self.types is None:
            return ()
        unknown = {*types} - self.types
        return tuple(sorted(unknown)) if unknown else ()

    def find_errors(self, values: Mapping[str, JsonValue], path: str) -> list[FieldError]:
        """The values of known columns that cannot be used."""
        return _collect_errors(
            partial(self.parse_value, column, value, f"{path}.{column}")
            for column, value in values.items()
            if column in self.columns
        )


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """All that is known of one lead. Times are ms UTC; `created` is NEVER where nothing dates it.

    `others` is what other leads of its account did; `ignored` are the attributes that no feature is
    made of, `strange` the types of activity that none names.
    """

    lead_id: str
    created: int
    attributes: Mapping[str, str | float | None]
    changes: Sequence[AttributeChange]
    events: Sequence[Event]
    others: Sequence[Event] = ()
    ignored: tuple[str, ...] = ()
    unknown_types: tuple[str, ...] = ()

    def view(self, moment: int) -> OneLead:
        """What was known strictly before `moment`; a lead that comes later is new then."""
        account = [*self.events, *self.others] if self.others else None
        created = min(self.created, moment)
        return OneLead(moment, created, self.attributes, self.events, self.changes, account)


def facts_from_body(
    lead: bodies.Lead, schema: AttributeSchema, now: int | None, path: str = "body"
) -> LeadFacts:
    """What a body tells of a lead. Raises Problem (422) for values that cannot be used, all of them.

    `now` (ms UTC) is given for a live score: nothing may lie in the future by more than clocks may
    differ. It is None for a moment in the past, which sees nothing after it anyway.
    """
    try:
        return _build_facts(lead, schema, now, path)
    except Problem:
        raise invalid_fields(find_value_errors(lead, schema, now, path)) from None


def _build_facts(lead: bodies.Lead, schema: AttributeSchema, now: int | None, path: str) -> LeadFacts:
    events = _build_events(lead.activities, now, f"{path}.activities")
    others = _build_events(lead.colleagues_activities, now, f"{path}.colleagues_activities")
    changes = [
        (
            c.column,
            _parse_time(c.at, now, f"{path}.changes[{i}].at"),
            schema.parse_value(c.column, c.value, f"{path}.changes[{i}].value"),
        )
        for i, c in enumerate(lead.changes)
        if c.column in schema.columns
    ]
    attributes = {
        column: schema.parse_value(column, value, f"{path}.attributes.{column}")
        for column, value in lead.attributes.items()
        if column in schema.columns
    }
    created = (
        find_first_time([*events, *changes])
        if lead.created_at is None
        else _parse_time(lead.created_at, now, f"{path}.created_at")
    )
    ignored_columns = find_ignored(_named_columns(lead), schema.columns)
    unknown_types = schema.find_unknown_types([kind for kind, _, _ in (*events, *others)])
    return LeadFacts(
        lead.lead_id, created, attributes, changes, events, others, ignored_columns, unknown_types
    )


def _named_columns(lead: bodies.Lead) -> Iterable[str]:
    """The columns that a lead tells something of."""
    if not lead.changes:
        return lead.attributes
    return dict.fromkeys([*lead.attributes, *(change.column for change in lead.changes)])


def _list_checks(
    lead: bodies.Lead, schema: AttributeSchema, now: int | None, path: str
) -> Iterator[Callable[[], object]]:
    """Each value of a body that may be wrong, to be tried one by one."""
    if lead.created_at is not None:
        yield partial(_parse_time, lead.created_at, now, f"{path}.created_at")
    for column, value in lead.attributes.items():
        if column in schema.columns:
            yield partial(schema.parse_value, column, value, f"{path}.attributes.{column}")
    for name in ("activities", "colleagues_activities"):
        for i, activity in enumerate(getattr(lead, name)):
            yield partial(_parse_time, activity.at, now, f"{path}.{name}[{i}].at")
    for i, change in enumerate(lead.changes):
        if change.column in schema.columns:
            yield partial(_parse_time, change.at, now, f"{path}.changes[{i}].at")
            yield partial(schema.parse_value, change.column, change.value, f"{path}.changes[{i}].value")


def find_value_errors(
    lead: bodies.Lead, schema: AttributeSchema, now: int | None, path: str = "body"
) -> list[FieldError]:
    """All values of a body that cannot be used."""
    return _collect_errors(_list_checks(lead, schema, now, path))


def _collect_errors(attempts: Iterable[Callable[[], object]]) -> list[FieldError]:
    """What is wrong with the attempts that fail."""
    errors: list[FieldError] = []
    for attempt in attempts:
        try:
            attempt()
        except Problem as problem:
            errors.extend(problem.errors)
    return errors


def facts_from_store(stored: StoredLead, schema: AttributeSchema, now: int | None) -> LeadFacts:
    """What was sent of a lead before: its attributes with their history, and its activities.

    What inside sales heard takes the place of the attribute of that role.
    """
    heard = [(schema.roles[r], time_ms, value) for r, time_ms, value in stored.hearings if r in schema.roles]
    changes, unusable = _select_usable([*stored.changes, *heard], schema, now)
    columns = dict.fromkeys(column for column, _, _ in stored.changes)
    others = _colleague_events(stored)
    return LeadFacts(
        stored.lead_id,
        stored.created,
        {},
        changes,
        _limit_events(stored.events, now),
        _limit_events(others, now),
        (*find_ignored(columns, schema.columns), *unusable),
        schema.find_unknown_types([kind for kind, _, _ in (*stored.events, *others)]),
    )


def _select_usable(
    rows: Sequence[AttributeChange], schema: AttributeSchema, now: int | None
) -> tuple[list[AttributeChange], tuple[str, ...]]:
    """The changes of known columns, and the columns that hold what is no number (any more): crm.toml
    may have changed since. Such a value counts as not known."""
    changes: list[AttributeChange] = []
    unusable: dict[str, None] = {}
    for column, time_ms, value in rows:
        if column not in schema.columns:
            continue
        plain = value if isinstance(value, str | int | float | bool) else None
        try:
            parsed = schema.parse_value(column, plain, column)
        except Problem:
            parsed = unusable[column] = None
        changes.append((column, limit_to_now(time_ms, now), parsed))
    return changes, tuple(unusable)


def _colleague_events(stored: StoredLead) -> list[Event]:
    """What other leads of its account did: all that the account did but its own."""
    own_counts, others = Counter(stored.events), []
    for event in stored.account_events or ():
        if own_counts[event]:
            own_counts[event] -= 1
        else:
            others.append(event)
    return others


def find_ignored(attributes: Iterable[str], columns: Mapping[str, object]) -> tuple[str, ...]:
    """The attributes that no feature is made of."""
    return tuple(name for name in attributes if name not in columns)


def check_as_of(created: int, as_of: int | None) -> None:
    """Raise Problem (422) where a replay's moment lies before the lead was there. All in ms UTC; None
    for a live score, NEVER where nothing dates the lead."""
    if as_of is not None and as_of < created != NEVER:
        allowed = f"a moment when the lead was there: it came at {iso(created)}"
        raise invalid_fields([field_error("query.as_of", iso(as_of), allowed)])


def find_first_time(items: Sequence[AttributeChange | Event]) -> int:
    """The time of the first thing told; NEVER where there is none."""
    return min((time_ms for _, time_ms, _ in items), default=NEVER)


CLOCKS_DIFFER_MS = 300_000
"""So far may a sender's clock be ahead; what it tells of the next minutes is taken as now."""


def check_past(moment: datetime, path: str, now: int) -> int:
    """`at` in ms UTC. Raises Problem (422) where it lies in the future."""
    ms = to_ms(moment)
    if ms > now + CLOCKS_DIFFER_MS:
        received = moment.isoformat()
        raise invalid_fields([field_error(path, received, f"a time that has come (it is {iso(now)})")])
    return ms


def limit_to_now(time_ms: int, now: int | None) -> int:
    """A time that a clock ahead of ours told, taken as now."""
    return time_ms if now is None or time_ms < now else now


def _parse_time(moment: datetime, now: int | None, path: str) -> int:
    return to_ms(moment) if now is None else limit_to_now(check_past(moment, path, now), now)


def _build_events(activities: Sequence[bodies.LeadActivity], now: int | None, path: str) -> list[Event]:
    return [
        (a.type, _parse_time(a.at, now, f"{path}[{i}].at"), math.nan if a.value is None else a.value)
        for i, a in enumerate(activities)
    ]


def _limit_events(events: Sequence[Event], now: int | None) -> list[Event]:
    return [(kind, limit_to_now(time_ms, now), value) for kind, time_ms, value in events]
