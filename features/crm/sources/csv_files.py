"""Reading CSV files as Arrow tables; all values are texts."""

from __future__ import annotations

import codecs
import csv
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from features.columns import Ints
from features.crm.rejects import Reject
from features.crm.sources.encodings import find_encoding, first_broken_line, reads_wrongly
from features.crm.sources.files import TableFile, read_error
from features.crm.sources.layouts import numbered_names
from features.crm.sources.rows import SourceRows, cell_count, check_columns
from features.crm.sources.samples import RowSampler
from features.crm.sources.trimming import find_no_data, trim
from features.crm.table_settings import Source
from features.errors import DataError, SettingsError
from features.messages import Message, quote_all

_ENCODINGS = Message(
    'encoding = "cp932" (Japanese Excel), "cp1252" (Western Excel), "utf-8", "utf-16" or another'
)
_RAGGED_TEXTS, _ROWS_TO_FIT = 100, 5


def read_csv(
    file: TableFile, source: Source, columns: Sequence[str] | None, max_bytes: int | None = None
) -> SourceRows:
    """Read all or some columns of a CSV file, packed or not; of a file that takes more than `max_bytes` in
    memory, a sample of its rows.

    Raises SettingsError for a missing column or encoding, DataError if the file is not as `source` says.
    """
    header, width = _read_header(file, source)
    names = numbered_names(source.header or header)
    check_columns(columns, names, _header_place(file.path, source.skip_rows))
    written = dict(zip(names, source.header or header, strict=True))
    other_names = names if names != header or len(header) != width else None
    ragged: list[pa_csv.InvalidRow] = []
    try:
        with _arrow_input(file) as arrow_input:
            reader = _open_csv(arrow_input, source, names, other_names, columns, ragged)
            positions, table = _read_batches(reader, written, max_bytes)
    except (pa.ArrowInvalid, UnicodeError) as problem:
        raise _csv_error(file, source, problem) from None
    except OSError as problem:
        raise read_error(file.path, problem) from None
    offset = source.skip_rows + (0 if source.header else 1)
    rows = _number_rows(file.path, table, positions, ragged, offset)
    return trim(rows, written, columns is None, source.skip_footer)


def _open_csv(
    arrow_input: Any,
    source: Source,
    names: list[str],
    other_names: list[str] | None,
    columns: Sequence[str] | None,
    ragged: list[pa_csv.InvalidRow],
) -> pa_csv.CSVStreamingReader:
    """A reader of the file's batches; `other_names` are others than those of its header. Rows with another
    number of cells are added to `ragged` while it reads."""

    def set_aside(row: pa_csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    return pa_csv.open_csv(
        arrow_input,
        read_options=pa_csv.ReadOptions(
            encoding=source.encoding,
            use_threads=False,
            skip_rows=source.skip_rows,
            column_names=other_names,
            skip_rows_after_names=int(other_names is not None and not source.header),
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=source.separator, newlines_in_values=True, invalid_row_handler=set_aside
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            include_columns=list(columns) if columns is not None else None,
            strings_can_be_null=False,
        ),
    )


def _header_place(path: Path, skip_rows: int) -> Message:
    """The file, and the line of its header if that is not the first."""
    if not skip_rows:
        return Message("{text}", text=path)
    return Message("{path}, header in line {line}", path=path, line=skip_rows + 1)


def _read_batches(
    reader: pa_csv.CSVStreamingReader, written: Mapping[str, str], max_bytes: int | None
) -> tuple[Ints, pa.Table]:
    """All rows, or a sample of them (with all repeated headers and blank rows), and their positions."""
    if max_bytes is None:
        table = reader.read_all()
        return np.arange(table.num_rows), table
    sampler = RowSampler(max_bytes)
    sampler.add(reader.schema.empty_table())
    for batch in reader:
        table = pa.Table.from_batches([batch])
        sampler.add(table, find_no_data(table, written))
    return sampler.result()


def _number_rows(
    path: Path, table: pa.Table, positions: Ints, ragged: list[pa_csv.InvalidRow], offset: int
) -> SourceRows:
    """The rows at `positions` with their numbers; `offset` is what pyarrow counts before the first one."""
    bad = np.array([row.number - offset for row in ragged], dtype=np.int64)
    read = (int(positions[-1]) + 1 if len(positions) else 0) + len(bad)
    good_rows_before_bad = bad - 1 - np.arange(len(bad))
    numbers = positions + 1 + np.searchsorted(good_rows_before_bad, positions, side="right")
    rejects = [_ragged_reject(path, row, row.number - offset) for row in ragged]
    texts = {row.number - offset: row.text for row in deque(ragged, maxlen=_RAGGED_TEXTS)}
    return SourceRows(path.name, table, numbers, read, rejects, ragged=texts)


def _ragged_reject(path: Path, row: pa_csv.InvalidRow, number: int) -> Reject:
    """A row with a different number of cells than the header."""
    reason = Message("the header has {count} columns", count=row.expected_columns)
    return Reject("", path.name, number, "", cell_count(row.actual_columns), reason)


@contextmanager
def _arrow_input(file: TableFile) -> Iterator[Any]:
    """What pyarrow reads: the path, or the stream of a table in a .zip."""
    if file.member is None and (file.path.suffix == ".gz" or not file.is_packed):
        yield file.path
        return
    with file.open() as stream:
        yield pa.PythonFile(stream, mode="r")


def _read_header(file: TableFile, source: Source) -> tuple[list[str], int]:
    """The first record after the skipped lines, made as wide as the rows below it, and its width before."""
    encoding = python_encoding(file.path, source)
    if reads_wrongly(file, encoding):
        raise encoding_error(file, source.encoding)
    try:
        with file.open() as stream:
            first = _first_records(stream, encoding, source)
    except (UnicodeError, csv.Error) as problem:
        raise _csv_error(file, source, problem) from None
    if not first:
        raise DataError("{path}: is empty; a header and at least one row are needed.", path=file.path)
    width = len(first[0])
    if source.header and len(source.header) != width:
        raise SettingsError(
            "{path}: `header` names {count} columns, but the file has {width}.",
            path=file.path,
            count=len(source.header),
            width=width,
        )
    return (first[0] if source.header else _fit_width(first[0], first[1:])), width


def _first_records(stream: IO[bytes], encoding: str, source: Source) -> list[list[str]]:
    with TextIOWrapper(stream, encoding=encoding, newline="") as text:
        for _ in range(source.skip_rows):
            text.readline()
        records = csv.reader(text, delimiter=source.separator)
        return list(islice((record for record in records if record), _ROWS_TO_FIT + 1))


def _fit_width(header: list[str], below: list[list[str]]) -> list[str]:
    """The header as wide as the rows below it where they differ by separators at the end of the line."""
    widths = {len(row) for row in below}
    width = widths.pop() if len(widths) == 1 else len(header)
    if any(name.strip() for name in header[width:]) or any(any(row[len(header) :]) for row in below):
        return header
    return [*header[:width], *[""] * (width - len(header))]


def python_encoding(path: Path, source: Source) -> str:
    """The encoding as Python calls it; a byte order mark before UTF-8 is skipped.

    Raises SettingsError if there is no such encoding.
    """
    try:
        name = codecs.lookup(source.encoding).name
    except LookupError:
        raise SettingsError(
            "{path}: {encoding!r} is no encoding; use {encodings}.",
            path=path,
            encoding=source.encoding,
            encodings=_ENCODINGS,
        ) from None
    return "utf-8-sig" if name == "utf-8" else name


def _csv_error(file: TableFile, source: Source, problem: Exception) -> DataError:
    if isinstance(problem, UnicodeError) or "UTF8" in str(problem):
        return encoding_error(file, source.encoding)
    return DataError(
        "{path}: cannot be read as CSV with separator {separator!r}: {problem}.",
        path=file.path,
        separator=source.separator,
        problem=problem,
    )


def encoding_error(file: TableFile, encoding: str) -> DataError:
    """The error for a file in another encoding than crm.toml names, with the one that fits."""
    fitting = find_encoding(file)
    start = Message("{path}: is not {encoding}.", path=file.path, encoding=encoding)
    if fitting and fitting.words:
        return DataError(
            '{start} Name its encoding in crm.toml: encoding = "{name}" (it then holds {words}).',
            start=start,
            name=fitting.name,
            words=quote_all(fitting.words),
        )
    if fitting:
        return DataError(
            '{start} Name its encoding in crm.toml: encoding = "{name}".', start=start, name=fitting.name
        )
    line = first_broken_line(file)
    if line:
        return DataError(
            "{start} It is UTF-8 but for line {line:,}, which is damaged: mend or export it again.",
            start=start,
            line=line,
        )
    return DataError(
        "{start} Name its encoding in crm.toml: {encodings}; or save the file as UTF-8 and run again.",
        start=start,
        encodings=_ENCODINGS,
    )
