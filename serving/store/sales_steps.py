"""What the store is asked about the steps of sales: closed deals, contacts, and dates of next actions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, func, null, select
from sqlalchemy.engine import Connection

from scoring.decision.sales_status import SalesStep
from serving.leads.sales_status import StoredSteps
from serving.store.queries import is_newest
from serving.store.tables import RECORDS

_TABLES = RECORDS["outcomes"], RECORDS["handovers"]
_LEADS_AT_ONCE = 1_000


def newest_rows(connection: Connection) -> tuple[int, ...]:
    """The newest row of each table that holds steps."""
    return tuple(connection.execute(_newest_row(table)).scalar_one() for table in _TABLES)


def count_rows(connection: Connection) -> int:
    """The number of rows of the tables that hold steps."""
    return sum(connection.execute(_count(table)).scalar_one() for table in _TABLES)


def read_steps(connection: Connection, after: tuple[int, ...] | None = None) -> StoredSteps:
    """The steps in the rows after those of each table (None: all that count)."""
    upto = newest_rows(connection)
    if after is None:
        rows = [row for table in _TABLES for row in connection.execute(_all_rows(table))]
        return StoredSteps(_group_steps(rows), {}, count_rows(connection), upto)
    new_rows: list[Any] = []
    corrected_ids, row_count = set[str](), 0
    for table, first, last in zip(_TABLES, after, upto, strict=True):
        params = {"after": first, "upto": last}
        new_rows += connection.execute(_new_rows(table), params)
        row_count += connection.execute(_count_new(table), params).scalar_one()
        corrected_ids |= {*connection.execute(_corrected_leads(table), params).scalars()}
    return StoredSteps(_group_steps(new_rows), _read_all_steps(connection, corrected_ids), row_count, upto)


def _read_all_steps(connection: Connection, lead_ids: Iterable[str]) -> dict[str, tuple[SalesStep, ...]]:
    """All steps that count of some leads."""
    sorted_ids = sorted(lead_ids)
    rows: list[Any] = []
    for start in range(0, len(sorted_ids), _LEADS_AT_ONCE):
        part = {"asked": sorted_ids[start : start + _LEADS_AT_ONCE]}
        for table in _TABLES:
            rows += connection.execute(_of_leads(table), part)
    return {**dict.fromkeys(sorted_ids, ()), **_group_steps(rows)}


def _group_steps(rows: Iterable[Any]) -> dict[str, tuple[SalesStep, ...]]:
    """Steps by lead, from rows of lead, time, what was done, and date of a next action."""
    steps_by_lead: dict[str, tuple[SalesStep, ...]] = {}
    for lead_id, time_ms, action, due in rows:
        if due is not None:
            steps_by_lead[lead_id] = (*steps_by_lead.get(lead_id, ()), SalesStep(time_ms, "next_action", due))
        elif action in ("won", "lost", "first_contact"):
            steps_by_lead[lead_id] = (*steps_by_lead.get(lead_id, ()), SalesStep(time_ms, action))
    return steps_by_lead


@cache
def _newest_row(table: Table) -> Select[Any]:
    return select(func.coalesce(func.max(table.c.seq), 0))


@cache
def _count(table: Table) -> Select[Any]:
    return select(func.count()).select_from(table)


@cache
def _rows(table: Table) -> Select[Any]:
    """Lead, time, what was done, and date of a next action."""
    c = table.c
    kind_columns = (c.outcome, null()) if "outcome" in c else (c.step, c.due_at)
    return select(c.lead_id, c.at, *kind_columns)


@cache
def _all_rows(table: Table) -> Select[Any]:
    return _rows(table).where(is_newest(table))


@cache
def _of_leads(table: Table) -> Select[Any]:
    return _all_rows(table).where(table.c.lead_id.in_(bindparam("asked", expanding=True)))


def _is_new(table: Table) -> ColumnElement[bool]:
    return (table.c.seq > bindparam("after")) & (table.c.seq <= bindparam("upto"))


@cache
def _new_rows(table: Table) -> Select[Any]:
    """The rows that came lately and count: a version may come after the one that corrects it."""
    return _all_rows(table).where(_is_new(table))


@cache
def _count_new(table: Table) -> Select[Any]:
    return _count(table).where(_is_new(table))


@cache
def _corrected_leads(table: Table) -> Select[Any]:
    """The leads of whom something was corrected lately, under this id or another."""
    keys = select(table.c.key).where(_is_new(table), table.c.version > 1)
    return select(table.c.lead_id).where(table.c.key.in_(keys)).distinct()
