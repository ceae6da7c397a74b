"""PostgreSQL, through psycopg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import orjson
import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import SQLAlchemyError

from features.clock import CLOCKS_DIFFER_MS
from serving.store.backends.base import BUSY_SECONDS, Cursor, Database, DriverConnection, SqlRow
from serving.store.backends.inserts import PREDICTION_COLUMNS, quoted_columns, upsert_current_scores
from serving.store.errors import StoreUnavailable, describe_error
from serving.store.records import Prediction
from serving.store.tables import metadata

STATEMENT_SECONDS = 5.0
ACTIVITIES_LOCK_MS = 100
"""How long to wait for those who insert activities: meanwhile others wait too."""
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
_INVALID_STATES = ("22", "23", "54")
"""Classes of SQLSTATE that are caused by the content: data, constraints, program limits."""
_TRANSIENT_STATES = ("40001", "40P01")


class PostgresDatabase(Database):
    """A database at a URL. No error and no log shows the password."""

    begin = "BEGIN"
    errors = (psycopg.Error, OSError)
    mark, in_list = "%s", "= ANY(%s)"
    is_local = False

    def __init__(self, url: URL) -> None:
        _, connect_args = url.get_dialect()().create_connect_args(url)
        self._connect_args = {**_PATIENCE, **connect_args}
        engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: self._connect(""),
            isolation_level="AUTOCOMMIT",
            pool_size=8,
            hide_parameters=True,
        )
        super().__init__(engine)

    def connect(self, durable: bool) -> psycopg.Connection[SqlRow]:
        """A connection whose commits are on disk, whatever `durable` says: an asynchronous commit would be
        lost already when the process of PostgreSQL is killed, after "stored" was answered."""
        return self._connect(_DURABLE)

    def is_usable(self, connection: DriverConnection) -> bool:
        return isinstance(connection, psycopg.Connection) and not connection.closed

    def is_invalid(self, problem: Exception) -> bool:
        if not isinstance(problem, psycopg.Error):
            return super().is_invalid(problem)
        if problem.sqlstate is None:  # an error of the driver itself
            return isinstance(problem, psycopg.DataError | psycopg.ProgrammingError)
        return problem.sqlstate.startswith(_INVALID_STATES)

    def is_transient(self, problem: Exception) -> bool:
        return getattr(problem, "sqlstate", None) in _TRANSIENT_STATES

    def insert(self, cursor: Cursor, table: str, names: tuple[str, ...], rows: Sequence[SqlRow]) -> int:
        cursor.execute(_insert_if_new(table, names), (_json(names, rows),))
        return int(cursor.rowcount)

    def to_list(self, values: Sequence[str]) -> list[str]:
        return list(values)

    def insert_predictions(self, cursor: Cursor, rows: Sequence[Prediction], now: int) -> None:
        for part in _split_by_lead(rows):
            payload = _json(PREDICTION_COLUMNS, part)
            cursor.execute(_upsert_predictions(), (payload, now + CLOCKS_DIFFER_MS))

    def lock_activities(self, cursor: Cursor) -> None:
        cursor.execute(f"SET LOCAL lock_timeout = {ACTIVITIES_LOCK_MS}")
        cursor.execute("LOCK TABLE activities IN SHARE MODE")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as opened:
                connection = opened.execution_options(isolation_level="READ COMMITTED")
                with connection.begin():
                    connection.execute(text(_DURABLE_NOW))
                    yield connection
        except SQLAlchemyError as problem:
            raise StoreUnavailable(describe_error(problem)) from None

    @contextmanager
    def migration(self) -> Iterator[Connection]:
        with self.transaction() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            yield connection

    def _connect(self, setting: str) -> psycopg.Connection[SqlRow]:
        connection = psycopg.connect(**self._connect_args, autocommit=True)
        try:
            connection.execute(_LIMITS + setting)
        except BaseException:
            connection.close()
            raise
        return connection


@cache
def _insert_from_json(table: str, names: tuple[str, ...]) -> str:
    """Inserts rows from one JSON text: a short statement for any number, twice as fast as arrays."""
    columns = metadata.tables[table].c
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    typed = ", ".join(f'"{name}" {columns[name].type.compile(dialect)}' for name in names)
    selection = f"SELECT {quoted_columns(names)} FROM json_to_recordset(%s::json) AS incoming ({typed})"
    return f"INSERT INTO {table} ({quoted_columns(names)}) {selection}"


@cache
def _insert_if_new(table: str, names: tuple[str, ...]) -> str:
    return f'{_insert_from_json(table, names)} ON CONFLICT ("key", version) DO NOTHING'


@cache
def _upsert_predictions() -> str:
    inserted = f"{_insert_from_json('predictions', PREDICTION_COLUMNS)} RETURNING *"
    return f"WITH incoming AS ({inserted}) {upsert_current_scores('incoming WHERE NOT replay', '%s')}"


def _json(names: tuple[str, ...], rows: Sequence[SqlRow]) -> str:
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()


def _split_by_lead(rows: Sequence[SqlRow]) -> list[list[SqlRow]]:
    """Parts in which a lead occurs once, as an upsert requires, in the order of arrival.

    Each part is sorted by lead: two processes that lock the same rows in another order would deadlock.
    """
    parts: list[dict[str, SqlRow]] = []
    occurrences: dict[str, int] = {}
    for row in rows:
        turn = occurrences[row[0]] = occurrences.get(row[0], -1) + 1
        if turn == len(parts):
            parts.append({})
        parts[turn][row[0]] = row
    return [[part[lead_id] for lead_id in sorted(part)] for part in parts]
