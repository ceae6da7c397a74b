"""Telling tables of activities and of changes from each other, and those that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass, field

from features.crm.propose.links import Link, differs_by_zeros, find_link, find_shared
from features.crm.propose.parts import (
    find_activity_time,
    find_activity_type,
    find_activity_value,
    find_changed_column,
    find_changed_value,
)
from features.crm.propose.recognised import RecognisedTable
from features.messages import Message

_FEW_ROWS = 0.9


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
    for table in tables:
        link = find_link(table, leads, lead_id)
        if link is None:
            left_out[table.file] = _why_not_linked(table, leads, lead_id)
            continue
        history = _history_columns(table, link, stated)
        if find_activity_time(table.profile, table.recipe) is None:
            left_out[table.file] = Message(
                "{column} holds ids of {file}, but no column holds a time for every row, so it is neither a "
                "table of activities nor of changes",
                column=link.column,
                file=leads.file,
            )
        elif history is not None:
            changes.append(EventTable(table, link, history))
        else:
            activities.append(EventTable(table, link))
    activities.sort(key=lambda event: -len(event.table.profile))
    for event in changes[1:]:
        left_out[event.table.file] = Message(
            "[changes] reads one table, and {file} is it", file=changes[0].table.file
        )
    first_changes = next(iter(changes), None)
    return EventTables(activities=tuple(activities), changes=first_changes, left_out=left_out)


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
    key = profile.column(link.column)
    has_repeats = key.distinct < _FEW_ROWS * key.rows
    shared = tuple(c.name for c in profile.columns if c.name in stated and c.kind in ("text", "number"))
    if has_repeats and shared and find_activity_type(profile, recipe) in (None, *shared):
        return shared
    return None


def _why_not_linked(table: RecognisedTable, leads: RecognisedTable, lead_id: str) -> Message:
    shared = find_shared(table, leads)
    if shared is not None and shared.share > 0.1:
        return Message(
            "it shares only {column} with {file}, where {share:.0%} of its values are found; names, mail "
            "addresses and telephone numbers join no tables, so export the ids of the leads with it",
            column=shared.column,
            file=leads.file,
            share=shared.share,
        )
    cut = differs_by_zeros(table, leads, lead_id)
    if cut is not None:
        return Message(
            "its {column} and {lead_id} of {file} are alike without leading zeros only, which a spreadsheet "
            "takes away; export both as text",
            column=cut,
            lead_id=lead_id,
            file=leads.file,
        )
    nearest = find_link(table, leads, lead_id, min_share=0.0)
    if nearest is None or not nearest.share:
        return Message("no column of it holds ids of {file} ({lead_id})", file=leads.file, lead_id=lead_id)
    return Message(
        "only {share:.0%} of its {column} are ids of {file} ({lead_id})",
        share=nearest.share,
        column=nearest.column,
        file=leads.file,
        lead_id=lead_id,
    )
