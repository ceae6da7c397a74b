"""Reads the steps of sales from the store: closed deals, first contacts, and dates of next actions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from sqlalchemy import Table, func, null, select
from sqlalchemy.engine import Connection

from scoring.decision.sales_status import SalesStep
from serving.store.queries import ResultRow, Statement, in_chunks, is_newest
from serving.store.records import StepsByLead, StoredSteps
from serving.store.tables import RECORDS

_TABLES = RECORDS["outcomes"], RECORDS["handovers"]


def newest_rows(connection: Connection) -> tuple[int, ...]:
    """The newest row (`seq`) of each table that holds steps."""
    return tuple(connection.execute(_newest_row(table)).scalar_one() for table in _TABLES)


def count_rows(connection: Connection) -> int:
    """The number of rows of the tables that hold steps."""
    return sum(connection.execute(_count(table)).scalar_one() for table in _TABLES)


def read_steps(connection: Connection, after: tuple[int, ...] | None = None) -> StoredSteps:
    """The steps in the rows after `after`, the newest row of each table (None: in all rows)."""
    newest = newest_rows(connection)
    if after is None:
        all_rows = [row for table in _TABLES for row in connection.execute(_all_rows(table))]
        return StoredSteps(_group_steps(all_rows), {}, count_rows(connection), newest)
    new_rows: list[ResultRow] = []
    corrected_ids, row_count = set[str](), 0
    for table, first, last in zip(_TABLES, after, newest, strict=True):
        c = table.c
        is_new = (c.seq > first) & (c.seq <= last)
        # Only the newest versions: a version may arrive after the one that corrects it.
        new_rows += connection.execute(_all_rows(table).where(is_new))
        row_count += connection.execute(_count(table).where(is_new)).scalar_one()
        # A corrected key may have belonged to another lead before.
        corrected_keys = select(c.key).where(is_new, c.version > 1)
        corrected_leads = select(c.lead_id).where(c.key.in_(corrected_keys)).distinct()
        corrected_ids |= {*connection.execute(corrected_leads).scalars()}
    corrected = _read_all_steps(connection, sorted(corrected_ids))
    return StoredSteps(_group_steps(new_rows), corrected, row_count, newest)


def _read_all_steps(connection: Connection, lead_ids: Sequence[str]) -> StepsByLead:
    """All steps of the newest versions of some leads; an empty tuple for a lead without any."""
    rows = [
        row
        for chunk in in_chunks(lead_ids)
        for table in _TABLES
        for row in connection.execute(_all_rows(table).where(table.c.lead_id.in_(chunk)))
    ]
    return {**dict.fromkeys(lead_ids, ()), **_group_steps(rows)}


def _group_steps(rows: Iterable[ResultRow]) -> StepsByLead:
    """Steps by lead from rows of lead, time (ms UTC), action, and date of a next action (ms UTC, or None)."""
    steps_by_lead: dict[str, tuple[SalesStep, ...]] = {}
    for lead_id, time_ms, action, due in rows:
        if due is not None:
            steps_by_lead[lead_id] = (*steps_by_lead.get(lead_id, ()), SalesStep(time_ms, "next_action", due))
        elif action in ("won", "lost", "first_contact"):
            steps_by_lead[lead_id] = (*steps_by_lead.get(lead_id, ()), SalesStep(time_ms, action))
    return steps_by_lead


@cache
def _newest_row(table: Table) -> Statement:
    return select(func.coalesce(func.max(table.c.seq), 0))


@cache
def _count(table: Table) -> Statement:
    return select(func.count()).select_from(table)


@cache
def _all_rows(table: Table) -> Statement:
    """Lead, time, action and date of a next action of the newest versions."""
    c = table.c
    kind_columns = (c.outcome, null()) if "outcome" in c else (c.step, c.due_at)
    return select(c.lead_id, c.at, *kind_columns).where(is_newest(table))
