"""DuckDB databases, read as Arrow tables without a detour over Python values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlalchemy.engine import URL

from features.crm.connections.urls import advise_driver, describe_problem, mask_password
from features.errors import OutsideError, SettingsError
from features.messages import Message

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database()"


class DuckDbDatabase:
    """A connected DuckDB database."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def list_tables(self, schema: str | None) -> list[str]:
        """The names of the tables and views of a schema, or of the default one."""
        names = self._connection.execute(f"{_TABLES} AND table_schema = ?", [schema or "main"])
        return [str(row[0]) for row in names.fetchall()]

    def quote(self, name: str) -> str:
        """A name of a table or column as it stands in SQL."""
        escaped = name.replace('"', '""')
        return f'"{escaped}"'

    def list_columns(self, query: str) -> list[str]:
        """The names of the columns of a query."""
        return list(self._connection.sql(query).columns)

    def count(self, query: str) -> int:
        """The number of rows of a query."""
        # DuckDB allows no other statement before the last row of this one is fetched.
        ((count,),) = self._connection.execute(f"SELECT count(*) FROM ({query}) t").fetchall()
        return int(count)

    def fetch(self, query: str, start: int = 0, size: int | None = None) -> pa.Table:
        """The rows of a query, or `size` of them from the row `start` (counted from 0)."""
        block = query if size is None else f"SELECT * FROM ({query}) t LIMIT {size} OFFSET {start}"
        return self._connection.sql(block).to_arrow_table()


@contextmanager
def open_duckdb(url: URL, subject: str | Message) -> Iterator[DuckDbDatabase]:
    """A database, opened for reading only, that is closed at the end.

    Raises OutsideError if the database fails, SettingsError if DuckDB is not installed.
    """
    try:
        import duckdb  # an extra, which most installations do not need
    except ImportError as problem:
        raise SettingsError(
            "{url}: the driver for this database is not there ({reason}). {advice}",
            url=mask_password(url),
            reason=problem,
            advice=advise_driver(url),
        ) from None
    try:
        with duckdb.connect(str(url.database), read_only=True) as connection:
            yield DuckDbDatabase(connection)
    except duckdb.Error as problem:
        raise OutsideError(
            "{url}, {subject}: the database does not answer as it should "
            "({reason}). Nothing was written; see to it and run again.",
            url=mask_password(url),
            subject=subject,
            reason=describe_problem(problem, url),
        ) from None
