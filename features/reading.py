"""Reading tables: CSV and Parquet files (one or a glob) and databases, as Arrow tables."""

from __future__ import annotations

import csv
import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from features.columns import Ints
from features.errors import DataError, OutsideError, SettingsError, nearest
from features.rejects import Reject
from features.settings import Source, expanded

_ROWS_AT_ONCE = 50_000
_ENCODINGS = 'encoding = "cp932" (Japanese Excel), "utf-8" or another that Python knows'


@dataclass(frozen=True)
class Rows:
    """A table as it was read: `numbers` are the rows' places in the source, counted from 1."""

    name: str
    table: pa.Table
    numbers: Ints
    read: int
    rejects: list[Reject] = field(default_factory=list)


def read_rows(source: Source, folder: Path, columns: Sequence[str] | None = None) -> Rows:
    """Read a table, all of its columns or some. CSV columns come as texts.

    Raises SettingsError for a missing file or column, OutsideError for a database that fails.
    """
    where = expanded(source.source)
    if source.is_database:
        return _from_database(source, database_url(where, folder), columns)
    paths = _paths(where, folder)
    if paths[0].suffix.lower() in (".parquet", ".pq"):
        return _from_parquet(paths, columns)
    return _joined([_from_csv(path, source, columns) for path in paths])


def column_names(source: Source, folder: Path) -> list[str]:
    """The names of a table's columns."""
    where = expanded(source.source)
    if source.is_database:
        limited = source.model_copy(
            update={"table": None, "query": f"SELECT * FROM ({_select(source, None)}) AS t LIMIT 1"}
        )
        return list(_from_database(limited, database_url(where, folder), None).table.column_names)
    path = _paths(where, folder)[0]
    if path.suffix.lower() in (".parquet", ".pq"):
        return list(_dataset([path]).schema.names)
    return _header(path, source)


def database_url(where: str, folder: Path) -> URL:
    """The URL of a database; the file of a relative SQLite one lies under `folder`."""
    try:
        url = make_url(where)
    except ArgumentError:
        raise SettingsError(
            f"{where.split('@')[-1]!r} is not a database URL such as sqlite:///crm.db or "
            "postgresql+psycopg://user@host/name."
        ) from None
    if url.get_backend_name() == "postgresql" and url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        path = folder / str(url.database)
        if not path.exists():
            raise SettingsError(f"{path}: there is no such database file.")
        url = url.set(database=str(path))
    return url


def _paths(where: str, folder: Path) -> list[Path]:
    path = folder / Path(where).expanduser()
    if glob.has_magic(where) and not path.exists():
        found = [Path(p) for p in sorted(glob.glob(str(path)))]
        if not found:
            raise SettingsError(f"{path}: no file matches this pattern.")
        return found
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file.")
    return [path]


def _from_csv(path: Path, source: Source, columns: Sequence[str] | None) -> Rows:
    names = _header(path, source)
    check_columns(columns, names, str(path))
    ragged: list[pa_csv.InvalidRow] = []

    def set_aside(row: pa_csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    try:
        table = pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(encoding=source.encoding, use_threads=False),
            parse_options=pa_csv.ParseOptions(
                delimiter=source.separator, newlines_in_values=True, invalid_row_handler=set_aside
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                include_columns=list(columns) if columns is not None else None,
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, UnicodeError) as problem:
        raise _unreadable_csv(path, source, problem) from None
    bad = np.array([row.number - 1 for row in ragged], dtype=np.int64)
    read = table.num_rows + len(bad)
    numbers = np.setdiff1d(np.arange(1, read + 1), bad)
    rejects = [
        Reject(
            path.name,
            int(number),
            "",
            f"{row.actual_columns} cells",
            f"the header has {row.expected_columns} columns",
        )  # fmt: skip
        for number, row in zip(bad, ragged, strict=True)
    ]
    return Rows(path.name, table, numbers, read, rejects)


def _header(path: Path, source: Source) -> list[str]:
    import gzip

    opened = gzip.open if path.suffix == ".gz" else open
    encoding = (
        "utf-8-sig" if source.encoding.lower().replace("_", "-") == "utf-8" else source.encoding
    )
    try:
        with opened(path, "rt", encoding=encoding, newline="") as file:
            names = next(csv.reader(file, delimiter=source.separator), [])
    except LookupError:
        raise SettingsError(
            f"{path}: {source.encoding!r} is no encoding; use {_ENCODINGS}."
        ) from None
    except (UnicodeError, csv.Error) as problem:
        raise _unreadable_csv(path, source, problem) from None
    except OSError as problem:
        raise OutsideError(f"{path}: cannot be read ({problem.strerror or problem}).") from None
    if not names:
        raise DataError(f"{path}: is empty; a header and at least one row are needed.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{path}: the header names {twice[0]!r} twice; columns need names of their own."
        )
    return names


def _unreadable_csv(path: Path, source: Source, problem: Exception) -> DataError:
    if isinstance(problem, UnicodeError) or "UTF8" in str(problem):
        return DataError(
            f"{path}: is not {source.encoding}. Name its encoding in crm.toml: {_ENCODINGS}."
        )
    return DataError(
        f"{path}: cannot be read as CSV with separator {source.separator!r}: {problem}."
    )


def _from_parquet(paths: list[Path], columns: Sequence[str] | None) -> Rows:
    data = _dataset(paths)
    check_columns(columns, data.schema.names, str(paths[0]))
    try:
        table = data.to_table(columns=list(columns) if columns is not None else None)
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{paths[0]}: cannot be read as Parquet: {problem}.") from None
    name = paths[0].name if len(paths) == 1 else f"{paths[0].parent.name}/{len(paths)} files"
    return Rows(name, table, np.arange(1, table.num_rows + 1), table.num_rows)


def _dataset(paths: list[Path]) -> pa_dataset.Dataset:
    try:
        return pa_dataset.dataset([str(p) for p in paths], format="parquet")
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{paths[0]}: cannot be read as Parquet: {problem}.") from None


def _from_database(source: Source, url: URL, columns: Sequence[str] | None) -> Rows:
    name = source.table or "query"
    shown = url.render_as_string(hide_password=True)
    try:
        engine = create_engine(url)
        names = _names_of(engine, source)
        check_columns(columns, names, f"{shown}, {name}")
        chunks = list(_chunks(engine, _select(source, columns)))
    except SQLAlchemyError as problem:
        raise OutsideError(
            f"{shown}, {name}: the database does not answer as it should "
            f"({_first_line(problem)}). Nothing was written; see to it and run again."
        ) from None
    table = _stacked(chunks)
    return Rows(name, table, np.arange(1, table.num_rows + 1), table.num_rows)


def _names_of(engine: Engine, source: Source) -> list[str]:
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM ({_select(source, None)}) AS t LIMIT 0"))
        return list(found.keys())


def _select(source: Source, columns: Sequence[str] | None) -> str:
    if source.query:
        inner = source.query.strip().rstrip(";")
        return f"SELECT {_quoted(columns)} FROM ({inner}) AS q" if columns else inner
    table = ".".join(f'"{part}"' for part in str(source.table).split("."))
    return f"SELECT {_quoted(columns)} FROM {table}"


def _quoted(columns: Sequence[str] | None) -> str:
    escaped = (c.replace('"', '""') for c in columns or ())
    return ", ".join(f'"{c}"' for c in escaped) or "*"


def _chunks(engine: Engine, select: str) -> Iterator[pa.Table]:
    with engine.connect().execution_options(stream_results=True) as connection:
        found = connection.execute(text(select))
        names = list(found.keys())
        yield pa.table({name: pa.array([], pa.null()) for name in names})
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            values = zip(*rows, strict=True)
            yield pa.table({n: _array(list(v)) for n, v in zip(names, values, strict=True)})


def _array(values: list[object]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # SQLite columns may mix types; as texts they can be told apart later.
        return pa.array([None if v is None else str(v) for v in values], pa.string())


def _stacked(chunks: list[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(chunks, promote_options="permissive")
    except pa.ArrowTypeError:
        as_text = [pa.table({n: c[n].cast(pa.string()) for n in c.column_names}) for c in chunks]
        return pa.concat_tables(as_text, promote_options="permissive")


def _joined(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    try:
        table = pa.concat_tables([p.table for p in parts])
    except pa.ArrowInvalid:
        raise DataError(
            f"{parts[0].name} … {parts[-1].name}: the files differ in their columns."
        ) from None
    numbers = np.concatenate([p.numbers for p in parts])
    rejects = [r for p in parts for r in p.rejects]
    return Rows(
        f"{parts[0].name} … {parts[-1].name}", table, numbers, sum(p.read for p in parts), rejects
    )


def check_columns(wanted: Sequence[str] | None, names: Sequence[str], where: str) -> None:
    """Raise SettingsError naming the first of `wanted` that is not among `names`, with the nearest."""
    for column in wanted or ():
        if column not in names:
            raise SettingsError(
                f"{where}: there is no column {column!r} as crm.toml says; {nearest(column, list(names))}."
            )


def _first_line(problem: Exception) -> str:
    return str(getattr(problem, "orig", None) or problem).strip().splitlines()[0]
