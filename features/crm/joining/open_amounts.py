"""The amounts of open leads: what the deal that is still open, or the lead itself, is expected to bring.

An amount of a closed deal is none of them: it was known only after the close.
"""

from __future__ import annotations

import numpy as np

from features.columns import Bools, Floats, Ints
from features.crm.leads import IdentifiedLeads
from features.crm.reader import Reader, filter_rows
from features.crm.sources.rows import SourceRows
from features.crm.table_settings import DealsTable
from features.messages import Message
from features.numbers import MAX_AMOUNT


def read_lead_amounts(reader: Reader, leads: IdentifiedLeads) -> Floats:
    """The amount of each identified lead by [leads] `amount` (nan: unknown)."""
    column = reader.settings.leads.amount
    if not column:
        return np.full(len(leads.ids), np.nan)
    amount = np.full(len(leads.ids), np.nan)
    amount[leads.wanted] = _read_amounts(reader, filter_rows(leads.rows, leads.wanted), column)
    return amount


def add_deal_amounts(
    reader: Reader, config: DealsTable, rows: SourceRows, lead: Ints, is_open: Bools, amount: Floats
) -> Floats:
    """The amounts of leads with those of their open deals in place of their own; of several the largest.

    `lead` is the row of each deal's lead in `amount`."""
    if not config.amount or not is_open.any():
        return amount
    of_deal = _read_amounts(reader, filter_rows(rows, is_open), config.amount)
    largest = np.full(len(amount), -np.inf)
    np.fmax.at(largest, lead[is_open], of_deal)
    return np.where(np.isfinite(largest), largest, amount)


def _read_amounts(reader: Reader, rows: SourceRows, column: str) -> Floats:
    """Finite numbers from 0 to MAX_AMOUNT; others become missing and are reported."""
    amount = reader.read_numbers(rows, column)
    is_wrong = ~np.isnan(amount) & ~((amount >= 0) & (amount <= MAX_AMOUNT))
    allowed = Message("is no amount of an open lead: a number from 0 to {most:,}", most=int(MAX_AMOUNT))
    reader.empty_values(rows, is_wrong, column, allowed)
    return np.where(is_wrong, np.nan, amount)
