"""The deals: what became of each lead, from a table of their own or from the leads' table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.clock import NEVER
from features.columns import Bools, Floats, Ints
from features.crm.leads import Identified, Leads
from features.crm.parsing import encoded, positions
from features.crm.reader import Reader, taken
from features.crm.tables import Rows, check_columns
from features.crm_data import Outcomes
from features.settings import DealsTable, deal_columns


@dataclass(frozen=True)
class Deals:
    """Won and lost deals, a row a deal; `lead` is the row of its lead among all identified ones.

    `unclear` are the leads with a deal that was set aside: whether they were won, lost or are
    still open cannot be told, so they are left out rather than taken for lost.
    """

    table: pa.Table
    lead: Ints
    at: Ints
    won: Bools
    amount: Floats
    unclear: Bools

    def of(self, leads: Leads) -> Deals:
        """The deals of the leads that are kept, `lead` being their row among those."""
        lead = leads.places.row[self.lead]
        use = lead >= 0
        table = self.table if use.all() else self.table.filter(pa.array(use))
        return Deals(
            table,
            lead[use],
            self.at[use],
            self.won[use],
            self.amount[use],
            np.zeros(len(leads.ids), dtype=bool),
        )

    def outcomes(self, leads: int) -> Outcomes:
        """The first close and first win of each lead, with the amount of the win, else the last."""
        closed_at, won_at = np.full(leads, NEVER), np.full(leads, NEVER)
        np.minimum.at(closed_at, self.lead, self.at)
        np.minimum.at(won_at, self.lead[self.won], self.at[self.won])
        amounts = np.full(leads, np.nan)
        lost_by_age = np.flatnonzero(~self.won)[np.argsort(self.at[~self.won], kind="stable")]
        won_by_age = np.flatnonzero(self.won)[np.argsort(self.at[self.won], kind="stable")]
        for rows in (lost_by_age, won_by_age[::-1]):
            amounts[self.lead[rows]] = self.amount[rows]  # of a lead's rows the last one stays
        return Outcomes(closed_at, won_at, amounts)


def read_deals(reader: Reader, leads: Identified) -> Deals:
    """The deals of the wanted leads; an outcome or a date that cannot be used sets them aside."""
    told = reader.settings.deals
    if told is None:
        return _no_deals(leads)
    rows, lead = _with_leads(reader, leads, told)
    wanted = lead >= 0
    wanted[wanted] = leads.wanted[lead[wanted]]
    rows, lead = taken(rows, wanted), lead[wanted]
    meaning = meanings(reader, rows, told)
    decided = np.isin(meaning, ("won", "lost"))
    unclear = np.zeros(len(leads.ids), dtype=bool)
    unclear[lead[meaning == "unknown"]] = True
    rows, lead, won = taken(rows, decided), lead[decided], meaning[decided] == "won"
    at = _closes(reader, rows, told)
    good = at != NEVER
    unclear[lead[~good]] = True
    rows, lead = taken(rows, good), lead[good]
    return Deals(rows.table, lead, at[good], won[good], _amounts(reader, rows, told), unclear)


def _no_deals(leads: Identified) -> Deals:
    nothing = np.empty(0, dtype=np.int64)
    return Deals(
        leads.rows.table.slice(0, 0),
        nothing,
        nothing,
        nothing.astype(bool),
        nothing.astype(np.float64),
        np.zeros(len(leads.ids), dtype=bool),
    )


def _with_leads(reader: Reader, leads: Identified, told: DealsTable) -> tuple[Rows, Ints]:
    if not told.source:
        return leads.rows, np.arange(len(leads.ids), dtype=np.int64)
    rows = reader.read("deals", told)
    wanted = [c for c in (told.lead, *deal_columns(told)) if c]
    check_columns(wanted, rows.table.column_names, rows.name)
    lead = positions(reader.texts(rows, str(told.lead)), leads.ids)
    reader.reject(rows, lead < 0, str(told.lead), "deal of a lead that is not in the leads' table")
    return rows, lead


def meanings(reader: Reader, rows: Rows, told: DealsTable) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """What each deal's outcome means: "won", "lost", "open" or (then the row is rejected) "unknown"."""
    if told.outcome is None:
        return np.full(rows.table.num_rows, "won")
    outcome = encoded(rows.table[told.outcome], reader.missing - {*told.won, *told.lost})
    means = np.array([_meaning(value, told) for value in (*outcome.categories, None)])
    meaning = means[outcome.codes]
    allowed = f"is not among won {list(told.won)}, lost {list(told.lost)}, ignore {list(told.ignore)}"
    reader.reject(rows, meaning == "unknown", told.outcome, allowed)
    return np.asarray(meaning)


def _meaning(value: str | None, told: DealsTable) -> str:
    if value is None or value in told.ignore:
        return "open"
    if value in told.won:
        return "won"
    # Without a list of lost values everything that is not won or ignored is lost.
    return "lost" if value in told.lost or not told.lost else "unknown"


def _closes(reader: Reader, rows: Rows, told: DealsTable) -> Ints:
    if not told.closed_at:
        return np.zeros(rows.table.num_rows, dtype=np.int64)
    return reader.times(rows, told, told.closed_at, "a won or lost deal needs the date of its close")


def _amounts(reader: Reader, rows: Rows, told: DealsTable) -> Floats:
    if not told.amount:
        return np.full(rows.table.num_rows, np.nan)
    return reader.numbers(rows, told.amount)
