"""Writing a scored list to Parquet, CSV or a database table, completely or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import BigInteger, Column, DateTime, Float, MetaData, Table, Text, create_engine, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from features.crm.connections.urls import database_url
from features.crm.table_settings import expand_variables
from features.crm.values.csv_output import write_csv
from features.errors import OutsideError, SettingsError
from features.files import atomic_file
from features.messages import Message

_ROWS_AT_ONCE = 20_000
DEFAULT_TABLE = "hotlead_scores"


def write_output(scores: pa.Table, to: str, table: str, has_mark: bool = False) -> None:
    """Write to a .parquet or .csv file or, if `to` is a database URL, to its `table`.

    `has_mark`: a CSV file begins with the byte order mark that Excel needs for other than ASCII.
    """
    if "://" in to:
        _write_table(scores, expand_variables(to), table)
        return
    writer = _find_writer(to, has_mark)
    with atomic_file(Path(to)) as part:
        try:
            writer(scores, part)
        except pa.ArrowException as problem:
            raise OutsideError("{to}: cannot be written ({problem}).", to=to, problem=problem) from problem


def check_output(to: str) -> None:
    """Raise SettingsError or OutsideError if `to` cannot be written."""
    if "://" not in to:
        _find_writer(to)
        return
    url = _parse_url(expand_variables(to))
    if _new_file(url) is None:
        with _open_transaction(url, Message("cannot be reached")):
            pass


def _find_writer(to: str, has_mark: bool = False) -> Callable[[pa.Table, Path], Any]:
    writers: dict[str, Callable[[pa.Table, Path], Any]] = {
        ".parquet": lambda table, path: pq.write_table(table, path, compression="zstd"),
        ".csv": lambda table, path: write_csv(table, path, has_mark),
    }
    ending = Path(to).suffix.lower()
    if ending not in writers:
        raise SettingsError(
            "{to}: the list can be written to a file that ends in .parquet or .csv, or to a database "
            "URL such as sqlite:///crm.db.",
            to=to,
        )
    return writers[ending]


def _write_table(scores: pa.Table, target: str, name: str) -> None:
    """Replace the table in one transaction."""
    url = _parse_url(target)
    new_file = _new_file(url)
    table = Table(name, MetaData(), *(Column(f.name, _sql_type(f.type)) for f in scores.schema))
    is_complete = False
    try:
        with _open_transaction(url, Message("table {name}: cannot be written", name=name)) as connection:
            table.drop(connection, checkfirst=True)
            table.create(connection)
            for batch in scores.to_batches(max_chunksize=_ROWS_AT_ONCE):
                connection.execute(table.insert(), batch.to_pylist())
        is_complete = True
    finally:
        if new_file and not is_complete:
            new_file.unlink(missing_ok=True)


@contextmanager
def _open_transaction(url: URL, failed: Message) -> Iterator[Connection]:
    """A transaction that is rolled back on an error; OutsideError then says what `failed`."""
    shown = url.render_as_string(hide_password=True)
    try:
        engine = create_engine(url)
    except (SQLAlchemyError, ImportError) as problem:
        raise SettingsError(
            "{shown}: no driver for this database is installed ({problem}).", shown=shown, problem=problem
        ) from None
    if url.get_backend_name() == "sqlite":
        # Python's sqlite3 begins no transaction for DROP and CREATE by itself.
        event.listen(engine, "connect", lambda dbapi, _: setattr(dbapi, "isolation_level", None))
        event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            yield connection
    except (SQLAlchemyError, ValueError, OverflowError) as problem:
        why = str(getattr(problem, "orig", None) or problem).splitlines()[0]
        raise OutsideError(
            "{shown}, {failed} ({why}). It is as it was before.", shown=shown, failed=failed, why=why
        ) from None
    finally:
        engine.dispose()


def _parse_url(target: str) -> URL:
    """The URL of a database to write to; an SQLite file may not exist yet."""
    path = Path(target.removeprefix("sqlite:///"))
    if not target.startswith("sqlite:///") or path.exists():
        return database_url(target, Path())
    if not path.resolve().parent.is_dir():
        raise OutsideError(
            "{path}: there is no folder {parent}; make it or choose another.", path=path, parent=path.parent
        )
    return make_url(target)


def _new_file(url: URL) -> Path | None:
    """The SQLite file that would be created; None if the database exists."""
    if url.get_backend_name() != "sqlite" or Path(str(url.database)).exists():
        return None
    return Path(str(url.database))


def _sql_type(kind: pa.DataType) -> Any:
    if pa.types.is_floating(kind):
        return Float
    if pa.types.is_integer(kind):
        return BigInteger
    return DateTime(timezone=True) if pa.types.is_timestamp(kind) else Text
