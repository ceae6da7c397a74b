"""Why a table of an export is not joined to the leads: links that are named, and never applied."""

from __future__ import annotations

from features.crm.propose.links import candidate_ids, differs_by_zeros, find_link, find_shared
from features.crm.propose.recognised import RecognisedTable

_EXPORT = "export the ids of the leads with it"


def why_not_linked(
    table: RecognisedTable, leads: RecognisedTable, lead_id: str, tables: list[RecognisedTable]
) -> str:
    """The reason, with the link that a person may have meant; `tables` are all but leads and deals."""
    shared = find_shared(table, leads, lead_id)
    if shared is not None:
        return (
            f"it shares only {shared.column} with {leads.file}, where {shared.share:.0%} of its values are "
            f"found; names, mail addresses, telephone numbers and accounts join no tables, so {_EXPORT}"
        )
    cut = differs_by_zeros(table, leads, lead_id)
    if cut is not None:
        return (
            f"its {cut} and {lead_id} of {leads.file} are alike without leading zeros only, which a "
            "spreadsheet takes away; export both as text"
        )
    path = _find_path(leads, table, [bridge for bridge in tables if bridge is not table])
    if path:
        return (
            f"{leads.file} refers to it by {path}, and details of a record are not joined; {_EXPORT}, or its "
            f"columns with those of {leads.file}"
        )
    nearest = find_link(table, leads, lead_id, min_share=0.0)
    if nearest is None or not nearest.share:
        return f"no column of it holds ids of {leads.file} ({lead_id})"
    return f"only {nearest.share:.0%} of its {nearest.column} are ids of {leads.file} ({lead_id})"


def _find_path(source: RecognisedTable, target: RecognisedTable, others: list[RecognisedTable]) -> str:
    """The columns by which a table refers to another one, at once or through a third; empty if none do."""
    if column := _refers(source, target):
        return f"its {column}"
    for bridge in others:
        first, second = _refers(source, bridge), _refers(bridge, target)
        if first and second:
            return f"its {first} through {second} of {bridge.file}"
    return ""


def _refers(source: RecognisedTable, target: RecognisedTable) -> str:
    links = (find_link(source, target, target_id) for target_id in candidate_ids(target)[:1])
    return next((link.column for link in links if link), "")
