"""The deals of each lead: a deal names its lead or several, or a lead names its deal."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Bools, Ints
from features.crm.joining.ids import match_ids
from features.crm.leads import IdentifiedLeads, drop_duplicates
from features.crm.reader import Reader
from features.crm.sources.rows import SourceRows, check_columns
from features.crm.table_settings import DealsTable, deal_columns
from features.messages import Message

_NOT_A_LEAD = Message("deal of a lead that is not in the leads' table")


@dataclass(frozen=True)
class LeadDeals:
    """One row per lead and deal: the row of the deal, and that of its `lead` among all identified leads.

    `unclear` marks the leads that name a deal which is not in the table of the deals.
    """

    rows: SourceRows
    lead: Ints
    unclear: Bools


def match_deals(reader: Reader, leads: IdentifiedLeads, config: DealsTable) -> LeadDeals:
    """The deals of the leads; those of no lead are noted, those of unknown leads are rejected."""
    nobody = np.zeros(len(leads.ids), dtype=bool)
    if not config.source:
        return LeadDeals(leads.rows, np.arange(len(leads.ids), dtype=np.int64), nobody)
    rows = reader.read_table("deals", config)
    wanted = [c for c in (config.lead, config.id, *deal_columns(config)) if c]
    check_columns(wanted, rows.table.column_names, rows.name)
    if config.lead is None:
        return _deals_that_leads_name(reader, leads, rows, str(config.id))
    if config.lead_separator:
        rows, lead = match_several_leads(
            reader, rows, config.lead, config.lead_separator, leads.ids, _NOT_A_LEAD
        )
        return LeadDeals(rows, lead, nobody)
    rows, lead = reader.match_leads(rows, config.lead, leads.ids, _NOT_A_LEAD)
    return LeadDeals(rows, lead, nobody)


def _deals_that_leads_name(
    reader: Reader, leads: IdentifiedLeads, rows: SourceRows, deal_id: str
) -> LeadDeals:
    """The deals by the column of [leads] that holds their ids; several leads may have one deal."""
    column = str(reader.settings.leads.deal)
    rows = drop_duplicates(reader, rows, deal_id)
    named = reader.read_texts(leads.rows, column)
    deal, other_forms = match_ids(named, reader.read_texts(rows, deal_id).combine_chunks())
    reader.note("id_forms", "leads", column, other_forms)
    names_deal = np.asarray(pc.is_valid(named).to_numpy(zero_copy_only=False), dtype=bool)
    unclear = names_deal & (deal < 0)
    reader.note("no_deal", "leads", column, int(unclear.sum()))
    reader.note("no_lead", "deals", deal_id, rows.table.num_rows - len(np.unique(deal[deal >= 0])))
    lead = np.flatnonzero(deal >= 0)
    return LeadDeals(_take_rows(rows, deal[lead]), lead, unclear)


def match_several_leads(
    reader: Reader, rows: SourceRows, column: str, separator: str, lead_ids: pa.Array, reason: Message
) -> tuple[SourceRows, Ints]:
    """One row for each lead that a column lists between separators, and its position among `lead_ids`.

    Rows without a lead are noted, those of unknown leads alone are rejected with the reason.
    """
    rows = reader.drop_without_lead(rows, column)
    lists = pc.split_pattern(reader.read_texts(rows, column).combine_chunks(), separator)
    row = np.asarray(pc.list_parent_indices(lists).to_numpy(zero_copy_only=False), dtype=np.int64)
    ids = pc.utf8_trim_whitespace(lists.flatten())
    is_id = np.asarray(pc.not_equal(ids, "").to_numpy(zero_copy_only=False), dtype=bool)
    row, ids = row[is_id], pa.chunked_array([ids.filter(pa.array(is_id))])
    lead, other_forms = match_ids(ids, lead_ids)
    reader.note("id_forms", rows.part, column, other_forms)
    matched = np.zeros(rows.table.num_rows, dtype=bool)
    matched[row[lead >= 0]] = True
    reader.reject(rows, ~matched, column, reason)
    reader.note("unknown_contact", rows.part, column, int((matched[row] & (lead < 0)).sum()))
    return _take_rows(rows, row[lead >= 0]), lead[lead >= 0]


def _take_rows(rows: SourceRows, positions: Ints) -> SourceRows:
    """The rows at `positions`, which may repeat."""
    return replace(rows, table=rows.table.take(pa.array(positions)), numbers=rows.numbers[positions])
