"""Reading the leads' table: one row per lead, with id, time, account and attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.clock import NEVER
from features.columns import Bools, Column, Ints
from features.crm.parsing import as_numbers, encode_column, find_positions
from features.crm.reader import LeadIndex, Reader, filter_rows, lead_order, rows_as_texts, since_ms
from features.crm.sources.rows import SourceRows, check_columns
from features.crm.table_settings import deal_columns
from features.errors import DataError
from features.messages import Message
from features.settings import CrmSettings


@dataclass(frozen=True)
class IdentifiedLeads:
    """All leads with an id, once each; `created` is NEVER for an unusable date.

    `wanted` marks those with a date that is not before `since`.
    """

    rows: SourceRows
    ids: pa.Array
    created: Ints
    wanted: Bools


@dataclass(frozen=True)
class Leads:
    """The selected leads, and an index of all known leads."""

    rows: SourceRows
    ids: pa.Array
    created: Ints
    account: NDArray[np.int32]
    group: NDArray[np.int32]
    lead_index: LeadIndex


def read_leads(reader: Reader) -> IdentifiedLeads:
    """Read the leads' table; rows without an id or a date are rejected."""
    settings = reader.settings
    rows = reader.read_table("leads", settings.leads)
    check_columns(_required_columns(settings), rows.table.column_names, rows.name)
    rows = _drop_without_id(reader, rows)
    created = _read_created(reader, rows)
    wanted = (created != NEVER) & (created >= since_ms(settings))
    return IdentifiedLeads(rows, _read_ids(reader, rows), created, wanted)


def select_leads(reader: Reader, identified: IdentifiedLeads, mask: Bools) -> Leads:
    """Select the leads to use. Raises DataError if there are none."""
    rows, created = filter_rows(identified.rows, mask), identified.created[mask]
    if not rows.table.num_rows:
        summary = reader.rejects.summary() or Message("  The table holds no rows.")
        raise DataError("{table}: no lead is left to work with.\n{summary}", table=rows.name, summary=summary)
    by_account = reader.settings.leads.account is not None
    account = _number_accounts(reader, rows)
    group = account if by_account else _group_duplicates(rows.table, reader.settings.leads.id == "row")
    row = np.where(mask, np.cumsum(mask) - 1, -1).astype(np.int64)
    ranked = created if lead_order(reader.settings) != "rank" else _rank(created)
    ids = identified.ids.filter(pa.array(mask))
    return Leads(rows, ids, ranked, account, group, LeadIndex(identified.ids, row))


def lead_attributes(reader: Reader, rows: SourceRows) -> dict[str, Column]:
    """The columns that features and segments take from the leads' table."""
    kinds = reader.settings.columns
    wanted = dict.fromkeys((*base_columns(reader.settings), *reader.settings.segments.values()))
    return {c: reader.read_column(rows, c, kinds[c]) for c in wanted}


def base_columns(settings: CrmSettings) -> list[str]:
    """The columns whose value features, and a segment's attribute in a model, take from the leads' table."""
    uses = settings.with_segments(settings.segment_attributes).column_uses
    return list(dict.fromkeys(use.column for use in uses if use.availability != "history"))


def drop_duplicates(reader: Reader, rows: SourceRows, column: str) -> SourceRows:
    """The first row of each id; a later one with other content is rejected.

    Rows without an id all remain.
    """
    ids = reader.read_texts(rows, column)
    first = find_positions(ids, pc.unique(ids))
    _, first_row = np.unique(first, return_index=True)
    repeated = pc.is_valid(ids).to_numpy(zero_copy_only=False).astype(bool)
    repeated[first_row] = False
    if not repeated.any():
        return rows
    later = np.flatnonzero(repeated)
    same = rows_as_texts(rows.table, later) == rows_as_texts(rows.table, first_row[first[later]])
    conflicting = repeated.copy()
    conflicting[later[same]] = False
    reader.reject(rows, conflicting, column, Message("the same id stands earlier with other content"))
    return filter_rows(rows, ~repeated)


def _required_columns(settings: CrmSettings) -> list[str]:
    lead_columns = [
        None if settings.leads.id == "row" else settings.leads.id,
        settings.leads.created_at,
        settings.leads.account,
        settings.leads.deal,
        settings.leads.amount,
        settings.order_column,
        *settings.leads.skip_where,
        *settings.leads.lost_where,
    ]
    deals = settings.deals
    deal = [] if deals is None or deals.source else deal_columns(deals)
    wanted = (*lead_columns, *deal, *base_columns(settings), *settings.segments.values())
    return [column for column in wanted if column]


def _drop_without_id(reader: Reader, rows: SourceRows) -> SourceRows:
    """The rows with an id; of identical rows, the first."""
    column = reader.settings.leads.id
    if column == "row":
        return rows
    has_id = pc.is_valid(reader.read_texts(rows, column)).to_numpy(zero_copy_only=False).astype(bool)
    reader.reject(rows, ~has_id, column, Message("a lead needs an id"))
    return drop_duplicates(reader, filter_rows(rows, has_id), column)


def _read_ids(reader: Reader, rows: SourceRows) -> pa.Array:
    if reader.settings.leads.id == "row":
        return pa.array([str(n) for n in rows.numbers], pa.string())
    return reader.read_texts(rows, reader.settings.leads.id).combine_chunks()


def _read_created(reader: Reader, rows: SourceRows) -> Ints:
    """The time or order value of each row; NEVER for rejected rows."""
    s, count = reader.settings, rows.table.num_rows
    if s.leads.created_at and lead_order(s) == "date":
        need = Message("a lead needs the date it was created")
        return reader.read_times(rows, s.leads, s.leads.created_at, need)
    if s.order_column:
        return _read_order(reader, rows, s.order_column)
    if s.order == "file":
        return np.arange(count, dtype=np.int64)
    return np.zeros(count, dtype=np.int64)


def _read_order(reader: Reader, rows: SourceRows, column: str) -> Ints:
    """Ranks of a column of numbers, else of dates."""
    parsed = as_numbers(rows.table[column], reader.missing, reader.number_format(rows, column))
    unknown = np.isnan(parsed.values)
    if parsed.unreadable.any():
        dates = reader.parse_times(rows, column, reader.settings.leads.time_format_of(column))
        if dates.unreadable.sum() < parsed.unreadable.sum():
            parsed, unknown = dates, dates.values == NEVER
    reader.reject(rows, unknown, column, Message("the order needs a number or a date"))
    return np.where(unknown, NEVER, _rank(np.where(unknown, 0, parsed.values)))


def _rank(values: NDArray[np.generic]) -> Ints:
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)


def _number_accounts(reader: Reader, rows: SourceRows) -> NDArray[np.int32]:
    """Account numbers; a lead without an account gets a separate number."""
    count = rows.table.num_rows
    if not reader.settings.leads.account:
        return np.arange(count, dtype=np.int32)
    accounts = encode_column(rows.table[reader.settings.leads.account], reader.missing)
    single_accounts = np.arange(count) + len(accounts.categories)
    return np.where(accounts.codes >= 0, accounts.codes, single_accounts).astype(np.int32)


def _group_duplicates(table: pa.Table, by_row: bool) -> NDArray[np.int32]:
    """Groups of identical rows; without repeats one group per row."""
    if not by_row:
        return np.arange(table.num_rows, dtype=np.int32)
    content = rows_as_texts(table, np.arange(table.num_rows))
    return np.unique(content.astype(str), return_inverse=True)[1].astype(np.int32)
