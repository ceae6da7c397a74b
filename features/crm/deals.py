"""Reading the deals, from a separate table or from the leads' table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import NEVER, days_to_ms
from features.columns import Bools, Floats, Ints
from features.crm.joining.lead_deals import match_deals
from features.crm.joining.open_amounts import add_deal_amounts, read_lead_amounts
from features.crm.leads import IdentifiedLeads, Leads
from features.crm.parsing import encode_column
from features.crm.reader import Reader, filter_rows
from features.crm.sources.rows import SourceRows
from features.crm.table_settings import DealsTable, RowConditions
from features.crm_data import Outcomes
from features.messages import Message


@dataclass(frozen=True, kw_only=True)
class Deals:
    """Won and lost deals, one row per deal; `lead` is the row of its lead among all identified leads.

    `unclear` marks the leads with a rejected deal: their outcome is unknown, so they are excluded
    instead of counting as lost. `open_amount` is by lead, that of its open deal or its own (nan: unknown).
    """

    table: pa.Table
    lead: Ints
    closed_at: Ints
    won: Bools
    amount: Floats
    unclear: Bools
    open_amount: Floats

    def filter_by_leads(self, leads: Leads) -> Deals:
        """The deals of the selected leads, with `lead` as row among these."""
        lead = leads.lead_index.row[self.lead]
        use = lead >= 0
        table = self.table if use.all() else self.table.filter(pa.array(use))
        return Deals(
            table=table,
            lead=lead[use],
            closed_at=self.closed_at[use],
            won=self.won[use],
            amount=self.amount[use],
            unclear=np.zeros(len(leads.ids), dtype=bool),
            open_amount=self.open_amount[leads.lead_index.row >= 0],
        )

    def closed_until(self, snapshot: int) -> Deals:
        """The deals with closes before the snapshot (ms UTC): what is recorded as closed was closed by then,
        even where its date is a planned one."""
        return replace(self, closed_at=np.minimum(self.closed_at, snapshot - 1))

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
    config, open_amount = reader.settings.deals, read_lead_amounts(reader, leads)
    if config is None:
        return _no_deals(leads, open_amount)
    matched = match_deals(reader, leads, config)
    unclear = matched.unclear.copy()
    wanted = leads.wanted[matched.lead]
    rows, lead = filter_rows(matched.rows, wanted), matched.lead[wanted]
    meaning = classify_outcomes(reader, rows, config)
    decided = np.isin(meaning, ("won", "lost"))
    unclear[lead[meaning == "unknown"]] = True
    neither = np.setdiff1d(lead[meaning == "neither"], lead[decided])
    unclear[neither] = True
    reader.note("neither", "leads", str(config.outcome), len(neither))
    open_amount = add_deal_amounts(reader, config, rows, lead, meaning == "open", open_amount)
    rows, lead, won = filter_rows(rows, decided), lead[decided], meaning[decided] == "won"
    newest = int(leads.created[leads.wanted].max(initial=0))
    latest = _lost_at_latest(reader, leads, lead)
    closed_at = _read_close_times(reader, rows, config, won, latest, newest)
    good = closed_at != NEVER
    unclear[lead[~good]] = True
    rows, lead = filter_rows(rows, good), lead[good]
    deals = Deals(
        table=rows.table,
        lead=lead,
        closed_at=closed_at[good],
        won=won[good],
        amount=_read_amounts(reader, rows, config),
        unclear=unclear,
        open_amount=open_amount,
    )
    return _add_lost_leads(reader, leads, deals, matched.lead)


def _add_lost_leads(reader: Reader, leads: IdentifiedLeads, deals: Deals, with_deal: Ints) -> Deals:
    """The deals and, for each lead that is lost without one, a row without values."""
    conditions = reader.settings.leads.lost_where
    if not conditions:
        return deals
    is_lost = reader.select_rows(leads.rows, conditions) & leads.wanted & ~deals.unclear
    is_lost[with_deal] = False
    lead = np.flatnonzero(is_lost)
    reader.note("undated_lost", "leads", next(iter(conditions)), len(lead))
    dated = bool(reader.settings.deals and reader.settings.deals.closed_at)
    closed_at = _lost_at_latest(reader, leads, lead) if dated else np.zeros(len(lead), dtype=np.int64)
    table = pa.table(
        {n: pa.nulls(len(lead), deals.table.schema.field(n).type) for n in deals.table.column_names}
    )
    return replace(
        deals,
        table=pa.concat_tables([deals.table, table.cast(deals.table.schema)]),
        lead=np.concatenate([deals.lead, lead]),
        closed_at=np.concatenate([deals.closed_at, closed_at]),
        won=np.concatenate([deals.won, np.zeros(len(lead), dtype=bool)]),
        amount=np.concatenate([deals.amount, np.full(len(lead), np.nan)]),
    )


def _no_deals(leads: IdentifiedLeads, open_amount: Floats) -> Deals:
    nothing = np.empty(0, dtype=np.int64)
    return Deals(
        table=leads.rows.table.slice(0, 0),
        lead=nothing,
        closed_at=nothing,
        won=nothing.astype(bool),
        amount=nothing.astype(np.float64),
        unclear=np.zeros(len(leads.ids), dtype=bool),
        open_amount=open_amount,
    )


def classify_outcomes(
    reader: Reader, rows: SourceRows, config: DealsTable
) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """The meaning of each outcome: "won", "lost", "open", "neither" or, for a rejected row, "unknown"."""
    if config.outcome is None:
        return np.full(rows.table.num_rows, "won")
    outcome = encode_column(rows.table[config.outcome], reader.missing - {*config.won, *config.lost})
    means = np.array([_classify_outcome(value, config) for value in (*outcome.categories, None)])
    meaning = means[outcome.codes].astype("<U7")
    meaning[_select_rows(reader, rows, config.lost_where) & np.isin(meaning, ("open", "unknown"))] = "lost"
    meaning[_select_rows(reader, rows, config.open_where)] = "open"
    allowed = Message(
        "is not among won {won}, lost {lost}, ignore {ignore}",
        won=str([*config.won]),
        lost=str([*config.lost]),
        ignore=str([*config.ignore]),
    )
    reader.reject(rows, meaning == "unknown", config.outcome, allowed)
    return np.asarray(meaning)


def _select_rows(reader: Reader, rows: SourceRows, conditions: RowConditions) -> Bools:
    """The rows by those columns that the table has; a file of closed deals may lack some."""
    columns = rows.table.column_names
    return reader.select_rows(
        rows, {column: conditions[column] for column in conditions if column in columns}
    )


def _classify_outcome(value: str | None, config: DealsTable) -> str:
    if value is None or value in config.ignore:
        return "open"
    if value in config.won:
        return "won"
    if value in config.leave_out:
        return "neither"
    # Without a list of lost values everything that is not won or ignored is lost.
    return "lost" if value in config.lost or not config.lost else "unknown"


def _lost_at_latest(reader: Reader, leads: IdentifiedLeads, lead: Ints) -> Ints:
    """When lost deals without a date count as lost: as the horizon ends, at most at the newest lead."""
    if not len(lead) or not leads.wanted.any():
        return np.zeros(len(lead), dtype=np.int64)
    newest = leads.created[leads.wanted].max()
    horizon = days_to_ms(reader.settings.target.horizon_days)
    return np.asarray(np.minimum(leads.created[lead] + horizon, newest), dtype=np.int64)


def _read_close_times(
    reader: Reader, rows: SourceRows, config: DealsTable, won: Bools, lost_at_latest: Ints, newest: int
) -> Ints:
    """When each deal closed (ms UTC, NEVER for rejected rows); 0 throughout without a column of dates.

    `newest` is the time of the newest lead.
    """
    if not config.closed_at:
        return np.zeros(rows.table.num_rows, dtype=np.int64)
    if not config.lost_at and not config.undated_lost:
        return _read_dates(reader, rows, config, config.closed_at, newest)
    closed_at = np.full(rows.table.num_rows, NEVER)
    closed_at[won] = _read_dates(reader, filter_rows(rows, won), config, config.closed_at, newest)
    column = config.lost_at or config.closed_at
    lost = ~won
    if config.undated_lost:
        dated = np.asarray(pc.is_valid(reader.read_texts(rows, column)).to_numpy(zero_copy_only=False), bool)
        undated = lost & ~dated
        closed_at[undated] = lost_at_latest[undated]
        reader.note("undated_lost", "deals", column, int(undated.sum()))
        lost &= dated
    closed_at[lost] = _read_dates(reader, filter_rows(rows, lost), config, column, newest)
    return closed_at


def _read_dates(reader: Reader, rows: SourceRows, config: DealsTable, column: str, newest: int) -> Ints:
    need = Message("a won or lost deal needs the date of its close")
    return reader.read_closes(rows, config, column, need, newest)


def _read_amounts(reader: Reader, rows: SourceRows, config: DealsTable) -> Floats:
    if not config.amount:
        return np.full(rows.table.num_rows, np.nan)
    return reader.read_numbers(rows, config.amount)
