"""Databases that SQLAlchemy connects to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from sqlalchemy import Select, TextClause, create_engine, inspect, literal_column, select, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from features.crm.connections.urls import advise_driver, describe_problem, mask_password
from features.crm.sources.rows import stack_tables, to_array
from features.errors import OutsideError, SettingsError
from features.messages import Message

_ROWS_AT_ONCE = 20_000


class SqlDatabase:
    """A connected database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list_tables(self, schema: str | None) -> list[str]:
        """The names of the tables and views of a schema, or of the default one."""
        inspector = inspect(self._connection)
        return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]

    def quote(self, name: str) -> str:
        """A name of a table or column as it stands in SQL."""
        return self._connection.dialect.identifier_preparer.quote_identifier(name)

    def list_columns(self, query: str) -> list[str]:
        """The names of the columns of a query."""
        return list(self._connection.execute(_sql(f"SELECT * FROM ({query}) t WHERE 1 = 0")).keys())

    def count(self, query: str) -> int:
        """The number of rows of a query."""
        return int(self._connection.execute(_sql(f"SELECT count(*) FROM ({query}) t")).scalar_one())

    def fetch(self, query: str, start: int = 0, size: int | None = None) -> pa.Table:
        """The rows of a query, or `size` of them from the row `start` (counted from 0).

        A server hands them out in parts (a server-side cursor), so that only the result is in memory.
        """
        dialect = self._connection.dialect.name
        statement = _sql(query) if size is None else select_block(dialect, query, start, size)
        result = self._connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(statement)
        names = list(result.keys())
        chunks = [pa.table({name: pa.array([], pa.null()) for name in names})]
        for rows in result.partitions(_ROWS_AT_ONCE):
            values = zip(*rows, strict=True)
            chunks.append(pa.table({n: to_array(list(v)) for n, v in zip(names, values, strict=True)}))
        return stack_tables(chunks)


@contextmanager
def open_sql(url: URL, subject: str | Message) -> Iterator[SqlDatabase]:
    """A database that is closed at the end.

    Raises OutsideError if the database fails, SettingsError if its driver is not installed.
    """
    try:
        with create_engine(url, poolclass=NullPool).connect() as connection:
            yield SqlDatabase(connection)
    except (ImportError, NoSuchModuleError) as problem:
        raise SettingsError(
            "{url}: the driver for this database is not there ({reason}). {advice}",
            url=mask_password(url),
            reason=describe_problem(problem, url),
            advice=advise_driver(url),
        ) from None
    except SQLAlchemyError as problem:
        raise OutsideError(
            "{url}, {subject}: the database does not answer as it should "
            "({reason}). Nothing was written; see to it and run again.",
            url=mask_password(url),
            subject=subject,
            reason=describe_problem(problem, url),
        ) from None


def select_block(dialect: str, query: str, start: int, size: int) -> Select[tuple[object, ...]]:
    """A statement for `size` rows of a query from the row `start` (counted from 0), in SQL of a dialect."""
    block: Select[tuple[object, ...]] = (
        select(literal_column("*")).select_from(_sql(f"({query}) t")).limit(size).offset(start)
    )
    # SQL Server has OFFSET only behind an order; this one leaves the rows as they stand.
    return block.order_by(text("(SELECT NULL)")) if dialect == "mssql" else block


def _sql(query: str) -> TextClause:
    """SQL text in which a colon is no parameter."""
    return text(re.sub(r"(?<!:):(?=\w)", r"\:", query))
