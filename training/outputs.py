"""Where a scored list goes: Parquet, CSV or a table of a database; whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from features.errors import OutsideError, SettingsError
from features.files import whole_file
from features.reading import database_url
from features.settings import expanded

_ROWS_AT_ONCE = 20_000
DEFAULT_TABLE = "hotlead_scores"


def write_output(scores: pa.Table, to: str, table: str) -> None:
    """Write to a .parquet or .csv file or, where `to` is a database URL, to its `table`."""
    if "://" in to:
        _to_database(scores, expanded(to), table)
        return
    writer = _writer(to)
    with whole_file(Path(to)) as part:
        try:
            writer(scores, part)
        except pa.ArrowException as problem:
            raise OutsideError(f"{to}: cannot be written ({problem}).") from problem


def check_output(to: str) -> None:
    """Raise SettingsError for a place that cannot be written to, before any work is done."""
    if "://" not in to:
        _writer(to)


def _writer(to: str) -> Callable[[pa.Table, Path], Any]:
    writers: dict[str, Callable[[pa.Table, Path], Any]] = {
        ".parquet": lambda table, path: pq.write_table(table, path, compression="zstd"),
        ".csv": lambda table, path: pa_csv.write_csv(table, path),
    }
    ending = Path(to).suffix.lower()
    if ending not in writers:
        raise SettingsError(
            f"{to}: the list can be written to a file that ends in .parquet or .csv, or to a database "
            "URL such as sqlite:///crm.db."
        )
    return writers[ending]


def _to_database(scores: pa.Table, where: str, name: str) -> None:
    """In one transaction: the old table goes when the new one is whole."""
    from sqlalchemy import Column, MetaData, Table, create_engine
    from sqlalchemy.exc import SQLAlchemyError

    url = database_url(where, Path())
    table = Table(name, MetaData(), *(Column(f.name, _sql_type(f.type)) for f in scores.schema))
    try:
        with create_engine(url).begin() as connection:
            table.drop(connection, checkfirst=True)
            table.create(connection)
            for batch in scores.to_batches(max_chunksize=_ROWS_AT_ONCE):
                connection.execute(table.insert(), batch.to_pylist())
    except SQLAlchemyError as problem:
        why = str(getattr(problem, "orig", None) or problem).splitlines()[0]
        raise OutsideError(
            f"{url.render_as_string(hide_password=True)}, table {name}: cannot be written ({why}). "
            "The table is as it was before."
        ) from None


def _sql_type(kind: pa.DataType) -> Any:
    from sqlalchemy import DateTime, Float, Text

    if pa.types.is_floating(kind):
        return Float
    return DateTime(timezone=True) if pa.types.is_timestamp(kind) else Text
