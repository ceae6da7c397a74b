"""Reading tables and queries of databases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import TextClause, create_engine, inspect, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from features.crm.sources.rows import SourceRows, check_columns, stack_tables, to_array
from features.crm.table_settings import Source
from features.errors import OutsideError, SettingsError, suggest_nearest
from features.messages import Message

_ROWS_AT_ONCE = 50_000


def database_url(url_text: str, folder: Path) -> URL:
    """The URL of a database; a relative SQLite path is relative to `folder`."""
    try:
        url = make_url(url_text)
    except ArgumentError:
        raise SettingsError(
            "{value!r} is not a database URL such as sqlite:///crm.db or "
            "postgresql+psycopg://user@host/name.",
            value=url_text.split("@")[-1],
        ) from None
    if url.get_backend_name() == "postgresql" and url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        path = folder / str(url.database)
        if not path.exists():
            raise SettingsError("{path}: there is no such database file.", path=path)
        url = url.set(database=str(path))
    return url


def read_database(source: Source, url: URL, columns: Sequence[str] | None) -> SourceRows:
    """Read all or some columns of the table or query of a database.

    Raises OutsideError if the database fails, SettingsError for a missing table or column.
    """
    name = source.table or "query"
    with database_engine(url, name) as engine:
        _check_table_exists(engine, source, mask_password(url))
        check_columns(columns, _column_names(engine, source), f"{mask_password(url)}, {name}")
        table = stack_tables(list(_chunks(engine, _build_select(engine, source, columns))))
    return SourceRows(name, table, np.arange(1, table.num_rows + 1), table.num_rows)


@contextmanager
def database_engine(url: URL, subject: str | Message) -> Iterator[Engine]:
    """An engine that is disposed at the end.

    Raises OutsideError if the database fails, SettingsError if its driver is not installed.
    """
    try:
        engine = create_engine(url, poolclass=NullPool)
        yield engine
    except (ImportError, NoSuchModuleError) as problem:
        raise SettingsError(
            "{url}: the driver for this database is not there ({reason}). "
            "Install it, or name another driver in the URL.",
            url=mask_password(url),
            reason=_first_line(problem),
        ) from None
    except SQLAlchemyError as problem:
        raise OutsideError(
            "{url}, {subject}: the database does not answer as it should "
            "({reason}). Nothing was written; see to it and run again.",
            url=mask_password(url),
            subject=subject,
            reason=_first_line(problem),
        ) from None


def mask_password(url: URL) -> str:
    """A database URL without its password."""
    return url.render_as_string(hide_password=True)


def _check_table_exists(engine: Engine, source: Source, location: str) -> None:
    if source.query:
        return
    schema, _, table = str(source.table).rpartition(".")
    inspector = inspect(engine)
    if not inspector.has_table(table, schema=schema or None):
        tables = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
        raise SettingsError(
            "{location}: there is no table {table!r}; {nearest}.",
            location=location,
            table=table,
            nearest=suggest_nearest(table, tables),
        )


def _column_names(engine: Engine, source: Source) -> list[str]:
    with engine.connect() as connection:
        inner = _build_select(engine, source, None)
        return list(connection.execute(_sql(f"SELECT * FROM ({inner}) t WHERE 1 = 0")).keys())


def _build_select(engine: Engine, source: Source, columns: Sequence[str] | None) -> str:
    quote = engine.dialect.identifier_preparer.quote_identifier
    wanted = ", ".join(quote(c) for c in columns or ()) or "*"
    if source.query:
        inner = source.query.strip().rstrip(";")
        return f"SELECT {wanted} FROM ({inner}) q" if columns else inner
    table = ".".join(quote(part) for part in str(source.table).split("."))
    return f"SELECT {wanted} FROM {table}"


def _sql(query: str) -> TextClause:
    """SQL text in which a colon is no parameter."""
    return text(re.sub(r"(?<!:):(?=\w)", r"\:", query))


def _chunks(engine: Engine, select: str) -> Iterator[pa.Table]:
    with engine.connect().execution_options(stream_results=True) as connection:
        result = connection.execute(_sql(select))
        names = list(result.keys())
        yield pa.table({name: pa.array([], pa.null()) for name in names})
        while rows := result.fetchmany(_ROWS_AT_ONCE):
            values = zip(*rows, strict=True)
            yield pa.table({n: to_array(list(v)) for n, v in zip(names, values, strict=True)})


def _first_line(problem: Exception) -> str:
    return str(getattr(problem, "orig", None) or problem).strip().splitlines()[0]
