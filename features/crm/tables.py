"""Reading tables: files (CSV, Excel, JSON, Parquet; one or a glob) and databases, as Arrow tables."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from features.crm.connections.urls import database_url
from features.crm.sources.csv_files import read_csv
from features.crm.sources.databases import read_database
from features.crm.sources.files import TableFile, find_table_file
from features.crm.sources.json_files import read_json
from features.crm.sources.parquet_files import read_parquet
from features.crm.sources.rows import SourceRows, join_rows
from features.crm.sources.workbooks import read_workbook
from features.crm.table_settings import Source, expand_variables
from features.errors import SettingsError
from features.messages import abridge


def read_rows(
    source: Source, folder: Path, columns: Sequence[str] | None = None, max_bytes: int | None = None
) -> SourceRows:
    """Read all or some columns of a table. CSV columns are texts.

    Of a CSV or Parquet file or a table of a database that takes more than `max_bytes`, a sample of the rows
    is read.

    Raises SettingsError for a missing file or column, DataError for a file that is no such table,
    OutsideError for a database or a file that fails.
    """
    location = expand_variables(source.source)
    if source.is_database:
        return read_database(source, database_url(location, folder), columns, max_bytes)
    files = [find_table_file(path) for path in find_paths(location, folder)]
    if all(file.kind == "parquet" for file in files):
        return read_parquet(files, columns, max_bytes)
    if all(file.kind == "json" for file in files):
        return read_json(files, source, columns)
    limit = None if max_bytes is None else max_bytes // len(files)
    return join_rows([_read_file(file, source, columns, limit) for file in files])


def find_paths(pattern: str, folder: Path) -> list[Path]:
    """The files that a path or a pattern names, sorted. Raises SettingsError if there is none."""
    path = folder / Path(pattern).expanduser()
    if glob.has_magic(pattern) and not path.exists():
        matches = [Path(p) for p in sorted(glob.glob(str(path)))]
        if not matches:
            raise SettingsError("{path}: no file matches this pattern.", path=path)
        return matches
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.is_file())
        raise SettingsError(
            "{path}: is a folder. Name the files in it that are needed ({names}).",
            path=path,
            names=abridge(names, 8),
        )
    if not path.is_file():
        raise SettingsError("{path}: there is no such file.", path=path)
    return [path]


def _read_file(
    file: TableFile, source: Source, columns: Sequence[str] | None, max_bytes: int | None
) -> SourceRows:
    if source.sheet is not None and file.kind != "workbook":
        raise SettingsError(
            "{path}: `sheet` belongs to an Excel workbook; take it out of crm.toml.", path=file.path
        )
    if file.kind == "parquet":
        return read_parquet([file], columns)
    if file.kind == "json":
        return read_json([file], source, columns)
    if file.kind == "csv":
        return read_csv(file, source, columns, max_bytes)
    return _read_sheets(file, source, columns)


def _read_sheets(file: TableFile, source: Source, columns: Sequence[str] | None) -> SourceRows:
    """The rows of a sheet, or of several below one another."""
    if not isinstance(source.sheet, tuple):
        return read_workbook(file, source.sheet, source, columns)
    parts = [(sheet, read_workbook(file, sheet, source, columns)) for sheet in source.sheet]
    return join_rows([replace(rows, name=f"{rows.name}, {sheet}") for sheet, rows in parts])
