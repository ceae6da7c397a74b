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
from features.one_lead import Change, Event, OneLead
from features.settings import CrmSettings
from scoring.decision.score import BANT
from serving.leads import bodies
from serving.leads.values import Plain, number_of, text_of
from serving.web.field_errors import Wrong, wrong
from serving.web.problems import Problem, wrong_fields

if TYPE_CHECKING:
    from serving.store.store import StoredLead


NUMBER = 'a number, or a text of one such as "1,200"'


@dataclass(frozen=True)
class Reading:
    """How this company's attributes are read: which columns, as text or number, what is missing."""

    columns: Mapping[str, Literal["category", "number"]]
    missing: frozenset[str]
    roles: Mapping[str, str]
    dated: bool
    types: frozenset[str] | None

    @staticmethod
    def of(settings: CrmSettings) -> Reading:
        """As crm.toml says. `roles` are the columns of budget, authority, need and timing; `types` the
        activities that features name (None: they only count all of them)."""
        told = {role: getattr(settings.roles, role) for role in BANT}
        roles = {role: column for role, column in told.items() if column in settings.columns}
        missing, counted = frozenset({"", *settings.missing}), settings.table.activities
        types = None if counted == {"*"} else counted - {"*"}
        return Reading(settings.columns, missing, roles, settings.dated, types)

    def value(self, column: str, told: Plain, where: str) -> str | float | None:
        """A value of a known column as features take it. Raises Problem where it is no number."""
        if self.columns[column] == "category":
            return text_of(told, self.missing)
        try:
            return number_of(told, self.missing)
        except ValueError:
            raise wrong_fields([wrong(where, told, NUMBER)]) from None

    def strange(self, types: Iterable[str]) -> tuple[str, ...]:
        """The types of activity that no feature names: misspelt perhaps."""
        if self.types is None:
            return ()
        strange = {*types} - self.types
        return tuple(sorted(strange)) if strange else ()

    def wrong(self, told: Mapping[str, Plain], where: str) -> list[Wrong]:
        """The values of known columns that cannot be used."""
        return _wrong(
            partial(self.value, column, value, f"{where}.{column}")
            for column, value in told.items()
            if column in self.columns
        )


@dataclass(frozen=True, slots=True)
class Told:
    """All that is known of one lead. Times are ms UTC; `created` is NEVER where nothing dates it.

    `others` is what other leads of its account did; `ignored` are the attributes that no feature is
    made of, `strange` the types of activity that none names.
    """

    lead_id: str
    created: int
    attributes: Mapping[str, str | float | None]
    changes: Sequence[Change]
    events: Sequence[Event]
    others: Sequence[Event] = ()
    ignored: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()

    def view(self, moment: int) -> OneLead:
        """What was known strictly before `moment`; a lead that comes later is new then."""
        account = [*self.events, *self.others] if self.others else None
        created = min(self.created, moment)
        return OneLead(moment, created, self.attributes, self.events, self.changes, account)


def told_by(lead: bodies.Lead, how: Reading, now: int | None, path: str = "body") -> Told:
    """What a body tells of a lead. Raises Problem (422) for values that cannot be used, all of them.

    `now` (ms UTC) is given for a live score: nothing may lie in the future by more than clocks may
    differ. It is None for a moment in the past, which sees nothing after it anyway.
    """
    try:
        return _told_by(lead, how, now, path)
    except Problem:
        raise wrong_fields(wrong_values(lead, how, now, path)) from None


def _told_by(lead: bodies.Lead, how: Reading, now: int | None, path: str) -> Told:
    own = _events(lead.activities, now, f"{path}.activities")
    others = _events(lead.colleagues_activities, now, f"{path}.colleagues_activities")
    changes = [
        (
            c.column,
            _time(c.at, now, f"{path}.changes[{i}].at"),
            how.value(c.column, c.value, f"{path}.changes[{i}].value"),
        )
        for i, c in enumerate(lead.changes)
        if c.column in how.columns
    ]
    known = {
        column: how.value(column, value, f"{path}.attributes.{column}")
        for column, value in lead.attributes.items()
        if column in how.columns
    }
    created = (
        first_time([*own, *changes])
        if lead.created_at is None
        else _time(lead.created_at, now, f"{path}.created_at")
    )
    left = ignored(_named(lead), how.columns)
    strange = how.strange([kind for kind, _, _ in (*own, *others)])
    return Told(lead.lead_id, created, known, changes, own, others, left, strange)


def _named(lead: bodies.Lead) -> Iterable[str]:
    """The columns that a lead tells something of."""
    if not lead.changes:
        return lead.attributes
    return dict.fromkeys([*lead.attributes, *(change.column for change in lead.changes)])


def _attempts(lead: bodies.Lead, how: Reading, now: int | None, path: str) -> Iterator[Callable[[], object]]:
    """Each value of a body that may be wrong, to be tried one by one."""
    if lead.created_at is not None:
        yield partial(_time, lead.created_at, now, f"{path}.created_at")
    for column, value in lead.attributes.items():
        if column in how.columns:
            yield partial(how.value, column, value, f"{path}.attributes.{column}")
    for name in ("activities", "colleagues_activities"):
        for i, activity in enumerate(getattr(lead, name)):
            yield partial(_time, activity.at, now, f"{path}.{name}[{i}].at")
    for i, change in enumerate(lead.changes):
        if change.column in how.columns:
            yield partial(_time, change.at, now, f"{path}.changes[{i}].at")
            yield partial(how.value, change.column, change.value, f"{path}.changes[{i}].value")


def wrong_values(lead: bodies.Lead, how: Reading, now: int | None, path: str = "body") -> list[Wrong]:
    """All values of a body that cannot be used."""
    return _wrong(_attempts(lead, how, now, path))


def _wrong(attempts: Iterable[Callable[[], object]]) -> list[Wrong]:
    """What is wrong with the attempts that fail."""
    found: list[Wrong] = []
    for attempt in attempts:
        try:
            attempt()
        except Problem as problem:
            found.extend(problem.errors)
    return found


def told_before(stored: StoredLead, how: Reading, now: int | None) -> Told:
    """What was sent of a lead before: its attributes with their history, and its activities.

    What inside sales heard takes the place of the attribute of that role.
    """
    heard = [(how.roles[r], at, value) for r, at, value in stored.hearings if r in how.roles]
    changes, unusable = _usable([*stored.changes, *heard], how, now)
    columns = dict.fromkeys(column for column, _, _ in stored.changes)
    others = _others(stored)
    return Told(
        stored.lead_id,
        stored.created,
        {},
        changes,
        _until(stored.events, now),
        _until(others, now),
        (*ignored(columns, how.columns), *unusable),
        how.strange([kind for kind, _, _ in (*stored.events, *others)]),
    )


def _usable(told: Sequence[Change], how: Reading, now: int | None) -> tuple[list[Change], tuple[str, ...]]:
    """The changes of known columns, and the columns that hold what is no number (any more): crm.toml
    may have changed since. Such a value counts as not known."""
    changes: list[Change] = []
    unusable: dict[str, None] = {}
    for column, at, value in told:
        if column not in how.columns:
            continue
        plain = value if isinstance(value, str | int | float | bool) else None
        try:
            used = how.value(column, plain, column)
        except Problem:
            used = unusable[column] = None
        changes.append((column, at_most(at, now), used))
    return changes, tuple(unusable)


def _others(stored: StoredLead) -> list[Event]:
    """What other leads of its account did: all that the account did but its own."""
    own, others = Counter(stored.events), []
    for event in stored.account_events or ():
        if own[event]:
            own[event] -= 1
        else:
            others.append(event)
    return others


def ignored(attributes: Iterable[str], known: Mapping[str, object]) -> tuple[str, ...]:
    """The attributes that no feature is made of."""
    return tuple(name for name in attributes if name not in known)


def check_there(created: int, as_of: int | None) -> None:
    """Raise Problem (422) where a replay's moment lies before the lead was there. All in ms UTC; None
    for a live score, NEVER where nothing dates the lead."""
    if as_of is not None and as_of < created != NEVER:
        allowed = f"a moment when the lead was there: it came at {iso(created)}"
        raise wrong_fields([wrong("query.as_of", iso(as_of), allowed)])


def first_time(told: Sequence[Change | Event]) -> int:
    """The time of the first thing told; NEVER where there is none."""
    return min((at for _, at, _ in told), default=NEVER)


CLOCKS_DIFFER_MS = 300_000
"""So far may a sender's clock be ahead; what it tells of the next minutes is taken as now."""


def check_past(at: datetime, where: str, now: int) -> int:
    """`at` in ms UTC. Raises Problem (422) where it lies in the future."""
    ms = to_ms(at)
    if ms > now + CLOCKS_DIFFER_MS:
        told = at.isoformat()
        raise wrong_fields([wrong(where, told, f"a time that has come (it is {iso(now)})")])
    return ms


def at_most(at: int, now: int | None) -> int:
    """A time that a clock ahead of ours told, taken as now."""
    return at if now is None or at < now else now


def _time(at: datetime, now: int | None, where: str) -> int:
    return to_ms(at) if now is None else at_most(check_past(at, where, now), now)


def _events(told: Sequence[bodies.Activity], now: int | None, path: str) -> list[Event]:
    return [
        (a.type, _time(a.at, now, f"{path}[{i}].at"), math.nan if a.value is None else a.value)
        for i, a in enumerate(told)
    ]


def _until(events: Sequence[Event], now: int | None) -> list[Event]:
    return [(kind, at_most(at, now), value) for kind, at, value in events]
