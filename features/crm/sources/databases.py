"""Reading tables and queries of databases."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import pyarrow as pa
from sqlalchemy.engine import URL

from features.columns import Ints
from features.crm.connections.duckdb_files import DuckDbDatabase, open_duckdb
from features.crm.connections.sql import SqlDatabase, open_sql
from features.crm.connections.urls import mask_password
from features.crm.sources.rows import SourceRows, check_columns, stack_tables
from features.crm.sources.samples import even_blocks
from features.crm.table_settings import Source
from features.errors import SettingsError, suggest_nearest
from features.messages import Message

_SAMPLE_ROWS, _ROWS_TO_WEIGH = 50_000, 1_000


def read_database(
    source: Source, url: URL, columns: Sequence[str] | None, max_bytes: int | None = None
) -> SourceRows:
    """Read all or some columns of the table or query of a database; with `max_bytes`, of a long table a
    sample of its rows that takes no more.

    Raises OutsideError if the database fails, SettingsError for a missing table or column.
    """
    name = source.table or "query"
    with _open(url, name) as database:
        if source.table:
            _check_table_exists(database, source.table, mask_password(url))
        query = _build_query(database, source)
        check_columns(columns, database.list_columns(query), f"{mask_password(url)}, {name}")
        if columns is not None:
            query = f"SELECT {', '.join(map(database.quote, columns))} FROM ({query}) q"
        numbers, table, count = _read_rows(database, query, max_bytes)
    return SourceRows(name, table, numbers, count)


def list_tables(url: URL, wanted: Sequence[str] = ()) -> list[str]:
    """The names of all tables and views, or of the `wanted` ones, also of other schemas ("sales.leads").

    Raises SettingsError for a wanted one that does not exist.
    """
    with _open(url, Message("its list of tables")) as database:
        for name in wanted:
            _check_table_exists(database, name, mask_password(url))
        return list(wanted) or sorted(set(database.list_tables(None)))


def _open(url: URL, subject: str | Message) -> AbstractContextManager[SqlDatabase | DuckDbDatabase]:
    return open_duckdb(url, subject) if url.get_backend_name() == "duckdb" else open_sql(url, subject)


def _check_table_exists(database: SqlDatabase | DuckDbDatabase, name: str, location: str) -> None:
    schema, _, table = name.rpartition(".")
    tables = database.list_tables(schema or None)
    if table not in tables:
        raise SettingsError(
            "{location}: there is no table {table!r}; {nearest}.",
            location=location,
            table=table,
            nearest=suggest_nearest(table, tables),
        )


def _build_query(database: SqlDatabase | DuckDbDatabase, source: Source) -> str:
    if source.query:
        return source.query.strip().rstrip(";")
    return f"SELECT * FROM {'.'.join(database.quote(part) for part in str(source.table).split('.'))}"


def _read_rows(
    database: SqlDatabase | DuckDbDatabase, query: str, max_bytes: int | None
) -> tuple[Ints, pa.Table, int]:
    """The numbers of the rows, the rows, and how many there are in all."""
    blocks = [] if max_bytes is None else _choose_blocks(database, query, max_bytes)
    if len(blocks) < 2:
        table = database.fetch(query)
        return np.arange(1, table.num_rows + 1), table, table.num_rows
    tables = [database.fetch(query, start, size) for start, size in blocks]
    numbers = [start + np.arange(1, t.num_rows + 1) for (start, _), t in zip(blocks, tables, strict=True)]
    return np.concatenate(numbers), stack_tables(tables), database.count(query)


def _choose_blocks(
    database: SqlDatabase | DuckDbDatabase, query: str, max_bytes: int
) -> list[tuple[int, int]]:
    """The blocks of rows of a sample that takes about `max_bytes` and has at most _SAMPLE_ROWS."""
    first = database.fetch(query, 0, _ROWS_TO_WEIGH)
    bytes_per_row = max(first.nbytes // max(first.num_rows, 1), 1)
    rows = min(max(max_bytes // bytes_per_row, _ROWS_TO_WEIGH), _SAMPLE_ROWS)
    return [] if first.num_rows < _ROWS_TO_WEIGH else even_blocks(database.count(query), rows)
