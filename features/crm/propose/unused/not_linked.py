"""Why a table of an export is not joined to the leads: links that are named, and never applied."""

from __future__ import annotations

from features.crm.propose.links import candidate_ids, differs_by_zeros, find_link, find_shared
from features.crm.propose.recognised import RecognisedTable
from features.messages import Message


def why_not_linked(
    table: RecognisedTable, leads: RecognisedTable, lead_id: str, tables: list[RecognisedTable]
) -> Message:
    """The reason, with the link that a person may have meant; `tables` are all but leads and deals."""
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
    path = _find_path(leads, table, [bridge for bridge in tables if bridge is not table])
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


def _find_path(
    source: RecognisedTable, target: RecognisedTable, others: list[RecognisedTable]
) -> Message | None:
    """The columns by which a table refers to another one, at once or through a third; None if none do."""
    if column := _refers(source, target):
        return Message("its {column}", column=column)
    for bridge in others:
        first, second = _refers(source, bridge), _refers(bridge, target)
        if first and second:
            return Message(
                "its {first} through {second} of {file}", first=first, second=second, file=bridge.file
            )
    return None


def _refers(source: RecognisedTable, target: RecognisedTable) -> str:
    links = (find_link(source, target, target_id) for target_id in candidate_ids(target)[:1])
    return next((link.column for link in links if link), "")
