"""Reading the deals, from a separate table or from the leads' table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.clock import NEVER
from features.columns import Bools, Floats, Ints
from features.crm.leads import IdentifiedLeads, Leads
from features.crm.parsing import encode_column, find_positions
from features.crm.reader import Reader, filter_rows
from features.crm.sources.rows import SourceRows, check_columns
from features.crm.table_settings import DealsTable, deal_columns
from features.crm_data import Outcomes


@dataclass(frozen=True)
class Deals:
    """Won and lost deals, one row per deal; `lead` is the row of its lead among all identified leads.

    `unclear` marks the leads with a rejected deal: their outcome is unknown, so they are excluded
    instead of counting as lost.
    """

    table: pa.Table
    lead: Ints
    closed_at: Ints
    won: Bools
    amount: Floats
    unclear: Bools

    def filter_by_leads(self, leads: Leads) -> Deals:
        """The deals of the selected leads, with `lead` as row among these."""
        lead = leads.lead_index.row[self.lead]
        use = lead >= 0
        table = self.table if use.all() else self.table.filter(pa.array(use))
        return Deals(
            table,
            lead[use],
            self.closed_at[use],
            self.won[use],
            self.amount[use],
            np.zeros(len(leads.ids), dtype=bool),
        )

    def to_outcomes(self, leads: int) -> Outcomes:
        """The first close and first win of each lead, and the amount of the win, else of the last deal."""
        closed_at, won_at = np.full(leads, NEVER), np.full(leads, NEVER)
        np.minimum.at(closed_at, self.lead, self.closed_at)
        np.minimum.at(won_at, self.lead[self.won], self.closed_at[self.won])
        amounts = np.full(leads, np.nan)
        lost_by_age = np.flatnonzero(~self.won)[np.argsort(self.closed_at[~self.won], kind="stable")]
        won_by_age = np.flatnonzero(self.won)[np.argsort(self.closed_at[self.won], kind="stable")]
        for rows in (lost_by_age, won_by_age[::-1]):
            amounts[self.lead[rows]] = self.amount[rows]  # of a lead's rows the last one stays
        return Outcomes(closed_at, won_at, amounts)


def read_deals(reader: Reader, leads: IdentifiedLeads) -> Deals:
    """The deals of the wanted leads; deals with an unusable outcome or date are rejected."""
    config = reader.settings.deals
    if config is None:
        return _no_deals(leads)
    rows, lead = _match_leads(reader, leads, config)
    wanted = lead >= 0
    wanted[wanted] = leads.wanted[lead[wanted]]
    rows, lead = filter_rows(rows, wanted), lead[wanted]
    meaning = classify_outcomes(reader, rows, config)
    decided = np.isin(meaning, ("won", "lost"))
    unclear = np.zeros(len(leads.ids), dtype=bool)
    unclear[lead[meaning == "unknown"]] = True
    rows, lead, won = filter_rows(rows, decided), lead[decided], meaning[decided] == "won"
    newest = int(leads.created[leads.wanted].max(initial=0))
    closed_at = _read_close_times(reader, rows, config, newest)
    good = closed_at != NEVER
    unclear[lead[~good]] = True
    rows, lead = filter_rows(rows, good), lead[good]
    return Deals(rows.table, lead, closed_at[good], won[good], _read_amounts(reader, rows, config), unclear)


def _no_deals(leads: IdentifiedLeads) -> Deals:
    nothing = np.empty(0, dtype=np.int64)
    return Deals(
        leads.rows.table.slice(0, 0),
        nothing,
        nothing,
        nothing.astype(bool),
        nothing.astype(np.float64),
        np.zeros(len(leads.ids), dtype=bool),
    )


def _match_leads(reader: Reader, leads: IdentifiedLeads, config: DealsTable) -> tuple[SourceRows, Ints]:
    if not config.source:
        return leads.rows, np.arange(len(leads.ids), dtype=np.int64)
    rows = reader.read_table("deals", config)
    wanted = [c for c in (config.lead, *deal_columns(config)) if c]
    check_columns(wanted, rows.table.column_names, rows.name)
    lead = find_positions(reader.read_texts(rows, str(config.lead)), leads.ids)
    reader.reject(rows, lead < 0, str(config.lead), "deal of a lead that is not in the leads' table")
    return rows, lead


def classify_outcomes(
    reader: Reader, rows: SourceRows, config: DealsTable
) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """The meaning of each outcome: "won", "lost", "open" or (then the row is rejected) "unknown"."""
    if config.outcome is None:
        return np.full(rows.table.num_rows, "won")
    outcome = encode_column(rows.table[config.outcome], reader.missing - {*config.won, *config.lost})
    means = np.array([_classify_outcome(value, config) for value in (*outcome.categories, None)])
    meaning = means[outcome.codes]
    allowed = f"is not among won {list(config.won)}, lost {list(config.lost)}, ignore {list(config.ignore)}"
    reader.reject(rows, meaning == "unknown", config.outcome, allowed)
    return np.asarray(meaning)


def _classify_outcome(value: str | None, config: DealsTable) -> str:
    if value is None or value in config.ignore:
        return "open"
    if value in config.won:
        return "won"
    # Without a list of lost values everything that is not won or ignored is lost.
    return "lost" if value in config.lost or not config.lost else "unknown"


def _read_close_times(reader: Reader, rows: SourceRows, config: DealsTable, newest: int) -> Ints:
    """The close of each deal; `newest` is the time of the newest lead."""
    if not config.closed_at:
        return np.zeros(rows.table.num_rows, dtype=np.int64)
    need = "a won or lost deal needs the date of its close"
    return reader.read_closes(rows, config, config.closed_at, need, newest)


def _read_amounts(reader: Reader, rows: SourceRows, config: DealsTable) -> Floats:
    if not config.amount:
        return np.full(rows.table.num_rows, np.nan)
    return reader.read_numbers(rows, config.amount)
