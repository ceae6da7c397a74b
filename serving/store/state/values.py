"""Reads and writes what the store remembers about itself, inside the caller's transaction."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Select, bindparam, select, update
from sqlalchemy.engine import Connection

from serving.store.tables import store_state


def read_value(connection: Connection, name: str) -> str | None:
    """The value of a name, locked until the transaction ends; None when there is none."""
    return connection.scalar(_select_value(), {"name": name})


def write_value(connection: Connection, name: str, value: str) -> None:
    """Set the value of a name."""
    c = store_state.c
    changed = connection.execute(update(store_state).where(c.name == name).values(value=value))
    if not changed.rowcount:
        connection.execute(store_state.insert().values(name=name, value=value))


@cache
def _select_value() -> Select[str]:
    # SQLite has no FOR UPDATE, and needs none: one transaction writes at a time.
    c = store_state.c
    return select(c.value).where(c.name == bindparam("name")).with_for_update()
