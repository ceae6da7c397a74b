"""Leads that count as open, although a log of stages or their own status says that they are lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from features.columns import Bools, Ints
from features.crm.joining.ids import match_ids
from features.crm.load import Loaded
from features.crm.propose.detected import DetectedTables
from features.crm.propose.links import find_link
from features.crm.propose.outcomes import is_in
from features.crm.propose.parts import find_activity_time
from features.crm.propose.recognised import RecognisedTable
from features.crm.propose.words import has_word
from features.messages import Message

_MOST_VALUES = 60


def describe_lost_elsewhere(detected: DetectedTables, loaded: Loaded) -> Iterator[Message]:
    """One sentence for each table whose newest state of open leads is lost; `loaded` is the CRM as read.

    The states of the table of the outcome are not looked at.
    """
    if detected.deals is None:
        return
    states = [(detected.leads, detected.lead_id)]
    for table in detected.others:
        link = find_link(table, detected.leads, detected.lead_id)
        states += [(table, link.column)] if link and not link.separator else []
    for table, lead_column in states:
        for column, values in _lost_values(table):
            count = _count_open(table, lead_column, is_in(table.profile, column, values), loaded)
            if count and table is detected.leads:
                yield Message(
                    "{count:,} leads count as open, though {column} of {file} is {values}, because their "
                    "deals in {deals} are open; close these deals in the CRM, or leave them out with "
                    "[leads] skip_where",
                    count=count,
                    column=column,
                    file=table.file,
                    values=values,
                    deals=detected.deals.table.file,
                )
            elif count:
                yield Message(
                    "{count:,} leads count as open, though {column} of {file} ends with {values}; export the "
                    "present state of each lead as a column of {leads}, and name it in [leads] lost_where",
                    count=count,
                    column=column,
                    file=table.file,
                    values=values,
                    leads=detected.leads.file,
                )


def _lost_values(table: RecognisedTable) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The columns of states with the values that mean lost."""
    for column in table.profile.columns:
        is_state = has_word(column.name, "outcome") or has_word(column.name, "changed_value")
        if column.kind == "text" and is_state and column.distinct <= _MOST_VALUES:
            counted = table.profile.counts(column.name)
            values = tuple(v for v in counted if table.recipe.meaning(v, column.name) == "lost")
            if values:
                yield column.name, values


def _count_open(table: RecognisedTable, lead_column: str, is_lost: Bools, loaded: Loaded) -> int:
    """The number of open leads whose newest row is lost."""
    crm = loaded.crm
    ids = table.profile.texts(lead_column)
    position, _ = match_ids(ids, pa.array(crm.lead_ids.tolist(), pa.string()))
    rows = _by_time(table)
    rows = rows[position[rows] >= 0]
    last = np.full(len(crm), -1, np.int64)
    last[position[rows]] = rows
    has_row = last >= 0
    lost = np.zeros(len(crm), dtype=bool)
    lost[has_row] = is_lost[last[has_row]]
    return int((lost & ~crm.outcomes.closed).sum())


def _by_time(table: RecognisedTable) -> Ints:
    """The rows, the oldest first; as they stand in the file if no column has their times."""
    time = find_activity_time(table.profile, table.recipe)
    moments = table.profile.times(time) if time else np.zeros(len(table.profile), np.int64)
    return np.asarray(np.argsort(moments, kind="stable"), dtype=np.int64)
