"""What the store is asked about the steps of sales: closed deals, contacts, and dates of next actions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, func, null, select
from sqlalchemy.engine import Connection

from scoring.decision.sales_status import Step
from serving.leads.sales_status import Steps
from serving.store.queries import is_newest
from serving.store.tables import RECORDS

_TABLES = RECORDS["outcomes"], RECORDS["handovers"]
_LEADS_AT_ONCE = 1_000


def newest_rows(connection: Connection) -> tuple[int, ...]:
    """The newest row of each table that holds steps."""
    return tuple(connection.execute(_newest_row(table)).scalar_one() for table in _TABLES)


def count(connection: Connection) -> int:
    """The number of rows of the tables that hold steps."""
    return sum(connection.execute(_count(table)).scalar_one() for table in _TABLES)


def steps(connection: Connection, after: tuple[int, ...] | None = None) -> Steps:
    """The steps in the rows after those of each table (None: all that count)."""
    upto = newest_rows(connection)
    if after is None:
        rows = [row for table in _TABLES for row in connection.execute(_all(table))]
        return Steps(_by_lead(rows), {}, count(connection), upto)
    came: list[Any] = []
    wrong, looked_at = set[str](), 0
    for table, first, last in zip(_TABLES, after, upto, strict=True):
        asked = {"after": first, "upto": last}
        came += connection.execute(_came(table), asked)
        looked_at += connection.execute(_count_of(table), asked).scalar_one()
        wrong |= {*connection.execute(_corrected(table), asked).scalars()}
    return Steps(_by_lead(came), _whole(connection, wrong), looked_at, upto)


def _whole(connection: Connection, lead_ids: Iterable[str]) -> dict[str, tuple[Step, ...]]:
    """All steps that count of some leads."""
    asked = sorted(lead_ids)
    found: list[Any] = []
    for start in range(0, len(asked), _LEADS_AT_ONCE):
        part = {"asked": asked[start : start + _LEADS_AT_ONCE]}
        for table in _TABLES:
            found += connection.execute(_of_leads(table), part)
    return {**dict.fromkeys(asked, ()), **_by_lead(found)}


def _by_lead(rows: Iterable[Any]) -> dict[str, tuple[Step, ...]]:
    """Steps by lead, from rows of lead, time, what was done, and date of a next action."""
    found: dict[str, tuple[Step, ...]] = {}
    for lead_id, at, what, due in rows:
        if due is not None:
            found[lead_id] = (*found.get(lead_id, ()), Step(at, "next_action", due))
        elif what in ("won", "lost", "first_contact"):
            found[lead_id] = (*found.get(lead_id, ()), Step(at, what))
    return found


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
    own = (c.outcome, null()) if "outcome" in c else (c.step, c.due_at)
    return select(c.lead_id, c.at, *own)


@cache
def _all(table: Table) -> Select[Any]:
    return _rows(table).where(is_newest(table))


@cache
def _of_leads(table: Table) -> Select[Any]:
    return _all(table).where(table.c.lead_id.in_(bindparam("asked", expanding=True)))


def _lately(table: Table) -> ColumnElement[bool]:
    return (table.c.seq > bindparam("after")) & (table.c.seq <= bindparam("upto"))


@cache
def _came(table: Table) -> Select[Any]:
    """The rows that came lately and count: a version may come after the one that corrects it."""
    return _all(table).where(_lately(table))


@cache
def _count_of(table: Table) -> Select[Any]:
    return _count(table).where(_lately(table))


@cache
def _corrected(table: Table) -> Select[Any]:
    """The leads of whom something was corrected lately, under this id or another."""
    keys = select(table.c.key).where(_lately(table), table.c.version > 1)
    return select(table.c.lead_id).where(table.c.key.in_(keys)).distinct()
