"""Reading Parquet files as Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq

from features.columns import Ints
from features.crm.sources.files import TableFile
from features.crm.sources.nested import describe_left_out, flatten_table, needs_flattening
from features.crm.sources.rows import SourceRows, check_columns, joint_name, starts_of
from features.crm.sources.samples import RowSampler
from features.errors import DataError


def read_parquet(
    files: Sequence[TableFile], columns: Sequence[str] | None, max_bytes: int | None = None
) -> SourceRows:
    """Read all or some columns of Parquet files; nested columns are flattened. Of plain columns that take
    more than `max_bytes`, a sample of the rows is read.

    Raises SettingsError for a missing column, DataError if a file is no Parquet file.
    """
    paths = [file.path for file in files]
    packed = next((file for file in files if file.is_packed), None)
    if packed:
        return _read_packed(packed, columns)
    data = _dataset(paths)
    if needs_flattening(data.schema):
        table, left_out = _flatten(_to_table(paths[0], data, None), columns, str(paths[0]))
        positions = np.arange(table.num_rows)
    else:
        check_columns(columns, data.schema.names, str(paths[0]))
        positions, table = _sample(paths[0], data, columns, max_bytes)
        left_out = []
    counts = [fragment.count_rows() for fragment in data.get_fragments()]
    name = joint_name(paths)
    return SourceRows(
        name,
        table,
        positions + 1,
        sum(counts),
        files=tuple(p.name for p in paths),
        starts=starts_of(counts),
        notes=describe_left_out(name, left_out),
    )


def _read_packed(file: TableFile, columns: Sequence[str] | None) -> SourceRows:
    with file.open_whole() as stream:
        try:
            unpacked = pq.read_table(stream)
        except (pa.ArrowException, OSError) as problem:
            raise DataError(
                "{path}: cannot be read as Parquet: {problem}.", path=file.path, problem=problem
            ) from None
    table, left_out = _flatten(unpacked, columns, str(file.path))
    numbers = np.arange(1, table.num_rows + 1)
    notes = describe_left_out(file.path.name, left_out)
    return SourceRows(file.path.name, table, numbers, table.num_rows, notes=notes)


def _flatten(table: pa.Table, columns: Sequence[str] | None, location: str) -> tuple[pa.Table, list[str]]:
    flat, left_out = flatten_table(table)
    check_columns(columns, flat.column_names, location)
    return (flat.select(list(columns)) if columns is not None else flat), left_out


def _sample(
    path: Path, data: pa_dataset.Dataset, columns: Sequence[str] | None, max_bytes: int | None
) -> tuple[Ints, pa.Table]:
    """All rows, or a sample of them, with their positions."""
    if max_bytes is None:
        table = _to_table(path, data, columns)
        return np.arange(table.num_rows), table
    sampler = RowSampler(max_bytes)
    sampler.add(data.schema.empty_table().select(list(columns or data.schema.names)))
    try:
        for batch in data.to_batches(columns=list(columns) if columns is not None else None):
            sampler.add(pa.Table.from_batches([batch]))
    except (pa.ArrowException, OSError) as problem:
        raise DataError("{path}: cannot be read as Parquet: {problem}.", path=path, problem=problem) from None
    return sampler.result()


def _to_table(path: Path, data: pa_dataset.Dataset, columns: Sequence[str] | None) -> pa.Table:
    try:
        return data.to_table(columns=list(columns) if columns is not None else None)
    except (pa.ArrowException, OSError) as problem:
        raise DataError("{path}: cannot be read as Parquet: {problem}.", path=path, problem=problem) from None


def _dataset(paths: list[Path]) -> pa_dataset.Dataset:
    try:
        return pa_dataset.dataset([str(p) for p in paths], format="parquet")
    except (pa.ArrowException, OSError) as problem:
        raise DataError(
            "{path}: cannot be read as Parquet: {problem}.", path=paths[0], problem=problem
        ) from None
