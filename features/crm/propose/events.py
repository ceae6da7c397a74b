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

_FEW_ROWS = 0.9


@dataclass(frozen=True, kw_only=True)
class EventTables:
    """The table of the activities and that of the changes, with their links to the leads.

    `history` are the columns of a table of changes with one row per moment; `left_out` has the reason for
    each linked table that is not used.
    """

    activities: RecognisedTable | None = None
    activity_link: Link | None = None
    changes: RecognisedTable | None = None
    change_link: Link | None = None
    history: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def activity_time(self) -> str | None:
        return (
            find_activity_time(self.activities.profile, self.activities.recipe) if self.activities else None
        )

    @property
    def activity_type(self) -> str | None:
        return (
            find_activity_type(self.activities.profile, self.activities.recipe) if self.activities else None
        )

    @property
    def activity_value(self) -> str | None:
        return find_activity_value(self.activities.profile) if self.activities else None

    @property
    def change_time(self) -> str | None:
        return find_activity_time(self.changes.profile, self.changes.recipe) if self.changes else None

    @property
    def change_columns(self) -> tuple[str, str] | None:
        """The column with the name of the changed column, and that with its value."""
        if not self.changes or self.history:
            return None
        column = find_changed_column(self.changes.profile, self.changes.recipe)
        value = find_changed_value(self.changes.profile, self.changes.recipe)
        return (column, value) if column and value else None

    @property
    def changed_columns(self) -> tuple[str, ...]:
        """The columns whose history is told."""
        if self.change_columns and self.changes:
            return self.changes.profile.column(self.change_columns[0]).common
        return self.history


def find_events(
    tables: list[RecognisedTable], leads: RecognisedTable, lead_id: str, stated: set[str]
) -> EventTables:
    """The events among `tables`. `stated` are columns of leads and deals whose history may be told."""
    left_out, links = dict[str, str](), dict[str, Link]()
    changes: list[tuple[RecognisedTable, tuple[str, ...]]] = []
    activities: list[RecognisedTable] = []
    for table in tables:
        link = find_link(table, leads, lead_id)
        if link is None:
            left_out[table.file] = _why_not_linked(table, leads, lead_id)
            continue
        links[table.name] = link
        history = _history_columns(table, link, stated)
        if find_activity_time(table.profile, table.recipe) is None:
            left_out[table.file] = (
                f"{link.column} holds ids of {leads.file}, but no column holds a time for every row, so it "
                "is neither a table of activities nor of changes"
            )
        elif history is not None:
            changes.append((table, history))
        else:
            activities.append(table)
    activities.sort(key=lambda t: (t.recipe.part != "activities", -len(t.profile)))
    for table in activities[1:]:
        left_out[table.file] = (
            f"[activities] reads one table, and {activities[0].file} is it; put both into one file or view "
            "with a column for the type"
        )
    for table, _ in changes[1:]:
        left_out[table.file] = f"[changes] reads one table, and {changes[0][0].file} is it"
    first, change = next(iter(activities), None), next(iter(changes), None)
    return EventTables(
        activities=first,
        activity_link=links[first.name] if first else None,
        changes=change[0] if change else None,
        change_link=links[change[0].name] if change else None,
        history=change[1] if change else (),
        left_out=left_out,
    )


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


def _why_not_linked(table: RecognisedTable, leads: RecognisedTable, lead_id: str) -> str:
    shared = find_shared(table, leads)
    if shared is not None and shared.share > 0.1:
        return (
            f"it shares only {shared.column} with {leads.file}, where {shared.share:.0%} of its values are "
            "found; names, mail addresses and telephone numbers join no tables, so export the ids of the "
            "leads with it"
        )
    cut = differs_by_zeros(table, leads, lead_id)
    if cut is not None:
        return (
            f"its {cut} and {lead_id} of {leads.file} are alike without leading zeros only, which a "
            "spreadsheet takes away; export both as text"
        )
    nearest = find_link(table, leads, lead_id, min_share=0.0)
    if nearest is None or not nearest.share:
        return f"no column of it holds ids of {leads.file} ({lead_id})"
    return f"only {nearest.share:.0%} of its {nearest.column} are ids of {leads.file} ({lead_id})"
