"""Why a table of an export is not joined to the leads: links that are named, and never applied."""

from __future__ import annotations

from dataclasses import dataclass

from features.crm.propose.links import candidate_ids, differs_by_zeros, find_link, find_shared
from features.crm.propose.recognised import RecognisedTable
from features.messages import Message


@dataclass(frozen=True)
class Detail:
    """A table to which a column of the leads refers."""

    table: RecognisedTable
    column: str


def find_details(leads: RecognisedTable, tables: list[RecognisedTable]) -> dict[str, Detail]:
    """The tables to which the leads refer, by their files."""
    return {table.file: Detail(table, column) for table in tables if (column := _refers(leads, table))}


def why_not_linked(
    table: RecognisedTable, leads: RecognisedTable, lead_id: str, details: dict[str, Detail]
) -> Message:
    """The reason, with the link that a person may have meant; `details` are what the leads refer to."""
    shared = find_shared(table, leads, lead_id)
    if shared is not None:
        return Message(
            "it shares only {column} with {file}, where {share:.0%} of its values are found; names, mail "
            "addresses, telephone numbers and accounts join no tables, so export the ids of the leads with "
            "it",
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
    path = _find_path(table, details)
    if path:
        return Message(
            "{file} refers to it by {path}, and details of a record are not joined; export the ids of the "
            "leads with it, or its columns with those of {file}",
            file=leads.file,
            path=path,
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


def _find_path(table: RecognisedTable, details: dict[str, Detail]) -> Message | None:
    """The columns by which the leads refer to a table, at once or through a third; None if none do."""
    if table.file in details:
        return Message("its {column}", column=details[table.file].column)
    for detail in details.values():
        if column := _refers(detail.table, table):
            return Message(
                "its {first} through {second} of {file}",
                first=detail.column,
                second=column,
                file=detail.table.file,
            )
    return None


def _refers(source: RecognisedTable, target: RecognisedTable) -> str:
    links = (find_link(source, target, target_id) for target_id in candidate_ids(target)[:1])
    return next((link.column for link in links if link), "")
