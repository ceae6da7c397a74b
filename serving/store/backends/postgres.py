"""PostgreSQL, through psycopg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import orjson
import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import SQLAlchemyError

from serving.store.backends.base import (
    BUSY_SECONDS,
    CLOCKS_DIFFER_MS,
    Database,
    Row,
    StoreAway,
    reason,
)
from serving.store.records import Kind
from serving.store.tables import metadata
from serving.store.upserts import PREDICTION_COLUMNS, current_from, listed

STATEMENT_SECONDS = 5.0
_MIGRATION_LOCK = 0x686F746C656164  # "hotlead"

_PATIENCE = {"connect_timeout": "2", "tcp_user_timeout": "5000", "keepalives_idle": "30"}
_LIMITS = (
    f"SET statement_timeout = {STATEMENT_SECONDS * 1000:.0f}; SET lock_timeout = {BUSY_SECONDS * 1000:.0f}; "
)
_DURABLE, _DURABLE_NOW = (
    f"SELECT set_config('synchronous_commit', 'on', {this_transaction}) "
    "WHERE current_setting('synchronous_commit') = 'off'"
    for this_transaction in ("false", "true")
)
_QUICK = "SET synchronous_commit = off"
_CONTENT = ("22", "23", "54")
"""Classes of SQLSTATE about what was sent: data, constraints, limits of the program."""
_PASSING = ("40001", "40P01")


class PostgresDatabase(Database):
    """A database by URL. The password stays in here: no error and no log shows it."""

    begin = "BEGIN"
    errors = (psycopg.Error, OSError)
    local = False

    def __init__(self, url: URL) -> None:
        _, told = url.get_dialect()().create_connect_args(url)
        self._told = {**_PATIENCE, **told}
        engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: self._opened(""),
            isolation_level="AUTOCOMMIT",
            pool_size=8,
            hide_parameters=True,
        )
        super().__init__(engine)

    def connect(self, durable: bool) -> psycopg.Connection[Row]:
        return self._opened(_DURABLE if durable else _QUICK)

    def usable(self, connection: Any) -> bool:
        return not connection.closed

    def refuses(self, problem: Exception) -> bool:
        if not isinstance(problem, psycopg.Error):
            return super().refuses(problem)
        if problem.sqlstate is None:  # said by the driver itself
            return isinstance(problem, psycopg.DataError | psycopg.ProgrammingError)
        return problem.sqlstate.startswith(_CONTENT)

    def passes(self, problem: Exception) -> bool:
        return getattr(problem, "sqlstate", None) in _PASSING

    def insert(self, cursor: Any, table: str, names: tuple[str, ...], rows: Sequence[Row]) -> int:
        cursor.execute(_insert(table, names), (_json(names, rows),))
        return int(cursor.rowcount)

    def held(self, cursor: Any, kind: Kind, keys: Sequence[str]) -> list[tuple[str, int, str]]:
        which = f'SELECT "key", version, digest FROM {kind} WHERE "key" = ANY(%s)'
        told: list[tuple[str, int, str]] = cursor.execute(which, (list(keys),)).fetchall()
        return told

    def remember(self, cursor: Any, rows: Sequence[Row], now: int) -> None:
        for part in _each_lead_once(rows):
            told = _json(PREDICTION_COLUMNS, part)
            cursor.execute(_remember(), (told, now + CLOCKS_DIFFER_MS))

    def told(self, cursor: Any, lead_ids: Sequence[str]) -> list[Row]:
        which = "SELECT lead_id, as_of, scored_at, request_id FROM predictions WHERE lead_id = ANY(%s)"
        rows: list[Row] = cursor.execute(which, (list(lead_ids),)).fetchall()
        return rows

    def erase(self, cursor: Any, table: str, lead_id: str) -> int:
        return int(cursor.execute(f"DELETE FROM {table} WHERE lead_id = %s", (lead_id,)).rowcount)

    def prune(self, cursor: Any, before: int, most: int) -> int:
        old = "SELECT seq FROM predictions WHERE scored_at < %s LIMIT %s"
        gone = cursor.execute(f"DELETE FROM predictions WHERE seq IN ({old})", (before, most))
        return int(gone.rowcount)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as opened:
                connection = opened.execution_options(isolation_level="READ COMMITTED")
                with connection.begin():
                    connection.execute(text(_DURABLE_NOW))
                    yield connection
        except SQLAlchemyError as problem:
            raise StoreAway(reason(problem)) from None

    @contextmanager
    def migration(self) -> Iterator[Connection]:
        with self.transaction() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            yield connection

    def _opened(self, setting: str) -> psycopg.Connection[Row]:
        connection = psycopg.connect(**self._told, autocommit=True)
        try:
            connection.execute(_LIMITS + setting)
        except BaseException:
            connection.close()
            raise
        return connection


@cache
def _rows(table: str, names: tuple[str, ...]) -> str:
    """Rows as one JSON text: one short statement, however many rows; arrays take twice the time."""
    columns = metadata.tables[table].c
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    typed = ", ".join(f'"{name}" {columns[name].type.compile(dialect)}' for name in names)
    told = f"SELECT {listed(names)} FROM json_to_recordset(%s::json) AS told ({typed})"
    return f"INSERT INTO {table} ({listed(names)}) {told}"


@cache
def _insert(table: str, names: tuple[str, ...]) -> str:
    return f'{_rows(table, names)} ON CONFLICT ("key", version) DO NOTHING'


@cache
def _remember() -> str:
    inserted = f"{_rows('predictions', PREDICTION_COLUMNS)} RETURNING *"
    return f"WITH told AS ({inserted}) {current_from('told WHERE NOT replay', '%s')}"


def _json(names: tuple[str, ...], rows: Sequence[Row]) -> str:
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()


def _each_lead_once(rows: Sequence[Row]) -> list[list[Row]]:
    """Parts in which a lead occurs once, as an upsert wants it; in the order told.

    By lead in each part: two processes that hold each other's rows would wait for ever.
    """
    parts: list[dict[str, Row]] = []
    seen: dict[str, int] = {}
    for row in rows:
        turn = seen[row[0]] = seen.get(row[0], -1) + 1
        if turn == len(parts):
            parts.append({})
        parts[turn][row[0]] = row
    return [[part[lead_id] for lead_id in sorted(part)] for part in parts]
