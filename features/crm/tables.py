"""Reading tables: CSV and Parquet files (one or a glob) and databases, as Arrow tables."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset
from sqlalchemy import TextClause, create_engine, inspect, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from features.columns import Ints
from features.crm.parsing import as_texts
from features.crm.rejects import Reject
from features.crm.table_settings import Source, expand_variables
from features.errors import DataError, OutsideError, SettingsError, suggest_nearest

_ROWS_AT_ONCE = 50_000
_ENCODINGS = 'encoding = "cp932" (Japanese Excel), "utf-8" or another that Python knows'


@dataclass(frozen=True)
class SourceRows:
    """A table as it was read: `numbers` are the row numbers in the source, counted from 1.

    Row numbers continue from one of several `files` to the next; `starts` holds the number of rows
    before each file. `part` is the table of crm.toml that names the source.
    """

    name: str
    table: pa.Table
    numbers: Ints
    read: int
    rejects: list[Reject] = field(default_factory=list)
    files: tuple[str, ...] = ()
    starts: tuple[int, ...] = (0,)
    part: str = ""

    def locate(self, number: int) -> tuple[str, int]:
        """The file of a row, and its row number in that file."""
        file_index = bisect_left(self.starts, number) - 1
        return (self.files or (self.name,))[file_index], number - self.starts[file_index]


def read_rows(source: Source, folder: Path, columns: Sequence[str] | None = None) -> SourceRows:
    """Read all or some columns of a table. CSV columns are texts.

    Raises SettingsError for a missing file or column, OutsideError for a database that fails.
    """
    location = expand_variables(source.source)
    if source.is_database:
        return _from_database(source, database_url(location, folder), columns)
    paths = _paths(location, folder)
    if paths[0].suffix.lower() in (".parquet", ".pq"):
        return _from_parquet(paths, columns)
    return _join([_from_csv(path, source, columns) for path in paths])


def database_url(url_text: str, folder: Path) -> URL:
    """The URL of a database; a relative SQLite path is relative to `folder`."""
    try:
        url = make_url(url_text)
    except ArgumentError:
        raise SettingsError(
            f"{url_text.split('@')[-1]!r} is not a database URL such as sqlite:///crm.db or "
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


def _paths(pattern: str, folder: Path) -> list[Path]:
    path = folder / Path(pattern).expanduser()
    if glob.has_magic(pattern) and not path.exists():
        matches = [Path(p) for p in sorted(glob.glob(str(path)))]
        if not matches:
            raise SettingsError(f"{path}: no file matches this pattern.")
        return matches
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file.")
    return [path]


def _from_csv(path: Path, source: Source, columns: Sequence[str] | None) -> SourceRows:
    names = _read_header(path, source)
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
        raise _csv_error(path, source, problem) from None
    except OSError as problem:
        raise _read_error(path, problem) from None
    bad = np.array([row.number - 1 for row in ragged], dtype=np.int64)
    read = table.num_rows + len(bad)
    numbers = np.setdiff1d(np.arange(1, read + 1), bad)
    return SourceRows(path.name, table, numbers, read, [_ragged_reject(path, row) for row in ragged])


def _ragged_reject(path: Path, row: pa_csv.InvalidRow) -> Reject:
    """A row with a different number of cells than the header; its number includes the header."""
    cells, wanted = f"{row.actual_columns} cells", f"the header has {row.expected_columns} columns"
    return Reject("", path.name, row.number - 1, "", cells, wanted)


def _read_header(path: Path, source: Source) -> list[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    encoding = _python_encoding(path, source)
    try:
        with opened(path, "rt", encoding=encoding, newline="") as file:
            names = next(csv.reader(file, delimiter=source.separator), [])
    except (UnicodeError, csv.Error) as problem:
        raise _csv_error(path, source, problem) from None
    except (OSError, EOFError) as problem:
        raise _read_error(path, problem) from None
    if not names:
        raise DataError(f"{path}: is empty; a header and at least one row are needed.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the header names {twice[0]!r} twice; columns need names of their own.")
    return names


def _python_encoding(path: Path, source: Source) -> str:
    """The encoding as Python calls it; a byte order mark before UTF-8 is skipped."""
    try:
        name = codecs.lookup(source.encoding).name
    except LookupError:
        raise SettingsError(f"{path}: {source.encoding!r} is no encoding; use {_ENCODINGS}.") from None
    return "utf-8-sig" if name == "utf-8" else name


def _read_error(path: Path, problem: Exception) -> OutsideError:
    why = getattr(problem, "strerror", None) or problem
    return OutsideError(f"{path}: cannot be read ({why}). Is it whole? Export it again.")


def _csv_error(path: Path, source: Source, problem: Exception) -> DataError:
    if isinstance(problem, UnicodeError) or "UTF8" in str(problem):
        return DataError(f"{path}: is not {source.encoding}. Name its encoding in crm.toml: {_ENCODINGS}.")
    return DataError(f"{path}: cannot be read as CSV with separator {source.separator!r}: {problem}.")


def _from_parquet(paths: list[Path], columns: Sequence[str] | None) -> SourceRows:
    data = _dataset(paths)
    check_columns(columns, data.schema.names, str(paths[0]))
    try:
        table = data.to_table(columns=list(columns) if columns is not None else None)
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{paths[0]}: cannot be read as Parquet: {problem}.") from None
    counts = [fragment.count_rows() for fragment in data.get_fragments()]
    return SourceRows(
        _joint_name(paths),
        table,
        np.arange(1, table.num_rows + 1),
        table.num_rows,
        files=tuple(p.name for p in paths),
        starts=_starts(counts),
    )


def _dataset(paths: list[Path]) -> pa_dataset.Dataset:
    try:
        return pa_dataset.dataset([str(p) for p in paths], format="parquet")
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{paths[0]}: cannot be read as Parquet: {problem}.") from None


def _from_database(source: Source, url: URL, columns: Sequence[str] | None) -> SourceRows:
    name = source.table or "query"
    with database_engine(url, name) as engine:
        _check_table_exists(engine, source, mask_password(url))
        check_columns(columns, _column_names(engine, source), f"{mask_password(url)}, {name}")
        table = _stack(list(_chunks(engine, _build_select(engine, source, columns))))
    return SourceRows(name, table, np.arange(1, table.num_rows + 1), table.num_rows)


@contextmanager
def database_engine(url: URL, subject: str) -> Iterator[Engine]:
    """An engine that is disposed at the end.

    Raises OutsideError if the database fails, SettingsError if its driver is not installed.
    """
    try:
        engine = create_engine(url, poolclass=NullPool)
        yield engine
    except (ImportError, NoSuchModuleError) as problem:
        raise SettingsError(
            f"{mask_password(url)}: the driver for this database is not there ({_first_line(problem)}). "
            "Install it, or name another driver in the URL."
        ) from None
    except SQLAlchemyError as problem:
        raise OutsideError(
            f"{mask_password(url)}, {subject}: the database does not answer as it should "
            f"({_first_line(problem)}). Nothing was written; see to it and run again."
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
        raise SettingsError(f"{location}: there is no table {table!r}; {suggest_nearest(table, tables)}.")


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
            yield pa.table({n: _to_array(list(v)) for n, v in zip(names, values, strict=True)})


def _to_array(values: list[object]) -> pa.Array:
    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError):
        array = None
    if array is None or isinstance(array.type, pa.BaseExtensionType):
        # SQLite columns may mix types, PostgreSQL has UUIDs; as texts they can be told apart later.
        return pa.array([None if v is None else str(v) for v in values], pa.string())
    return array


def _stack(chunks: list[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(chunks, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        as_text = [pa.table({n: as_texts(c[n], ()) for n in c.column_names}) for c in chunks]
        return pa.concat_tables(as_text, promote_options="permissive")


def _join(parts: list[SourceRows]) -> SourceRows:
    if len(parts) == 1:
        return parts[0]
    try:
        table = pa.concat_tables([p.table for p in parts])
    except pa.ArrowInvalid:
        raise DataError(f"{parts[0].name} … {parts[-1].name}: the files differ in their columns.") from None
    starts = _starts([p.read for p in parts])
    return SourceRows(
        _joint_name([Path(p.name) for p in parts]),
        table,
        np.concatenate([p.numbers + start for p, start in zip(parts, starts, strict=True)]),
        sum(p.read for p in parts),
        [r for p in parts for r in p.rejects],
        files=tuple(p.name for p in parts),
        starts=starts,
    )


def _joint_name(paths: list[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} … {paths[-1].name}"


def _starts(counts: list[int]) -> tuple[int, ...]:
    """The number of rows before each of several files."""
    return tuple(sum(counts[:i]) for i in range(len(counts)))


def check_columns(wanted: Sequence[str] | None, names: Sequence[str], location: str) -> None:
    """Raise SettingsError for the first of `wanted` that is not in `names`, with similar names."""
    for column in wanted or ():
        if column not in names:
            raise SettingsError(
                f"{location}: there is no column {column!r} as crm.toml says; "
                f"{suggest_nearest(column, list(names))}."
            )


def _first_line(problem: Exception) -> str:
    return str(getattr(problem, "orig", None) or problem).strip().splitlines()[0]
