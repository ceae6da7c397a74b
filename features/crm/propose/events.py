"""Telling tables of activities and of changes from each other, and those that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass, field

from features.crm.profile import ColumnProfile
from features.crm.propose.links import Link, find_link
from features.crm.propose.outcomes import find_outcomes
from features.crm.propose.parts import (
    find_activity_time,
    find_activity_type,
    find_activity_value,
    find_changed_column,
    find_changed_value,
)
from features.crm.propose.recognised import RecognisedTable
from features.crm.propose.unused.not_linked import find_details, why_not_linked
from features.crm.propose.words import has_word
from features.messages import Message

_FEW_ROWS = 0.9
_ONE_ROW_EACH = Message(
    "it has one row a lead, which may be written only when a deal is made; if its rows are activities, add "
    "it as one more [[activities]]"
)


@dataclass(frozen=True)
class EventTable:
    """A table of activities or of changes with its link to the leads.

    `history` are the columns of a table of changes with one row per moment.
    """

    table: RecognisedTable
    link: Link
    history: tuple[str, ...] = ()

    @property
    def time(self) -> str | None:
        return find_activity_time(self.table.profile, self.table.recipe)

    @property
    def type(self) -> str | None:
        return find_activity_type(self.table.profile, self.table.recipe)

    @property
    def value(self) -> str | None:
        return find_activity_value(self.table.profile)

    @property
    def changed(self) -> tuple[str, str] | None:
        """The column with the name of the changed column, and that with its value."""
        if self.history:
            return None
        column = find_changed_column(self.table.profile, self.table.recipe)
        value = find_changed_value(self.table.profile, self.table.recipe)
        return (column, value) if column and value else None


@dataclass(frozen=True, kw_only=True)
class EventTables:
    """The tables of the activities, the one with most rows first, and that of the changes.

    `left_out` has the reason for each linked table that is not used.
    """

    activities: tuple[EventTable, ...] = ()
    changes: EventTable | None = None
    left_out: dict[str, Message] = field(default_factory=dict)

    @property
    def all(self) -> tuple[EventTable, ...]:
        return (*self.activities, *((self.changes,) if self.changes else ()))

    @property
    def changed_columns(self) -> tuple[str, ...]:
        """The columns whose history is told."""
        if self.changes is None:
            return ()
        names = self.changes.changed
        return self.changes.table.profile.column(names[0]).common if names else self.changes.history

    def type_name(self, activity: EventTable) -> str:
        """The type of all rows of a table of activities without a column for it: its name, if there are
        several tables."""
        return activity.table.name if len(self.activities) > 1 else "activity"


def find_events(
    tables: list[RecognisedTable], leads: RecognisedTable, lead_id: str, stated: set[str]
) -> EventTables:
    """The events among `tables`. `stated` are columns of leads and deals whose history may be told."""
    left_out = dict[str, Message]()
    changes, activities = list[EventTable](), list[EventTable]()
    details = find_details(leads, tables)
    for table in tables:
        link = find_link(table, leads, lead_id)
        if link is None:
            left_out[table.file] = why_not_linked(table, leads, lead_id, details)
            continue
        history = _history_columns(table, link, stated)
        reason = _why_no_events(table, link, leads, history is not None)
        if reason:
            left_out[table.file] = reason
        elif history is not None:
            changes.append(EventTable(table, link, history))
        else:
            activities.append(EventTable(table, link))
    activities.sort(key=lambda event: (not _is_named(event.table), -_key(event.table, event.link).rows))
    for event in activities[1:]:
        if not _is_named(event.table) and not _has_repeats(event.table, event.link):
            left_out[event.table.file] = _ONE_ROW_EACH
    for event in changes[1:]:
        left_out[event.table.file] = Message(
            "[changes] reads one table, and {file} is it", file=changes[0].table.file
        )
    selected = tuple(event for event in activities if event.table.file not in left_out)
    return EventTables(activities=selected, changes=next(iter(changes), None), left_out=left_out)


def _why_no_events(
    table: RecognisedTable, link: Link, leads: RecognisedTable, is_changes: bool
) -> Message | None:
    """Why a linked table holds neither activities nor changes; None if it does."""
    if find_activity_time(table.profile, table.recipe) is None:
        return Message(
            "{column} holds ids of {file}, but no column holds a time for every row, so it is neither a "
            "table of activities nor of changes",
            column=link.column,
            file=leads.file,
        )
    outcome = next((o for o in find_outcomes(table.profile, table.recipe) if o.won and o.lost), None)
    if outcome and not is_changes and table.recipe.part != "activities":
        return Message(
            "its {column} tells won from lost, and the outcome is read elsewhere", column=outcome.name
        )
    return None


def _is_named(table: RecognisedTable) -> bool:
    return table.recipe.part == "activities" or has_word(table.name, "activity_table")


def _has_repeats(table: RecognisedTable, link: Link) -> bool:
    key = _key(table, link)
    return key.distinct < _FEW_ROWS * key.rows


def _key(table: RecognisedTable, link: Link) -> ColumnProfile:
    return table.profile.column(link.column)


def _history_columns(table: RecognisedTable, link: Link, stated: set[str]) -> tuple[str, ...] | None:
    """The columns of a table with one row per moment; empty if it names the changed column; None if it holds
    activities."""
    profile, recipe = table.profile, table.recipe
    if recipe.part == "activities":
        return None
    column, value = find_changed_column(profile, recipe), find_changed_value(profile, recipe)
    if column and value and column != value:
        return ()
    names = {c.name for c in profile.columns}
    listed = [name for name in recipe.columns("columns", profile) if name in names]
    if listed:
        return tuple(listed)
    has_repeats = _has_repeats(table, link)
    shared = tuple(c.name for c in profile.columns if c.name in stated and c.kind in ("text", "number"))
    if has_repeats and shared and find_activity_type(profile, recipe) in (None, *shared):
        return shared
    return None
