"""Finding out how the files of an export are read, for `hotlead init`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

from features.crm.sources.csv_files import encoding_error
from features.crm.sources.encodings import FoundEncoding, find_encoding
from features.crm.sources.files import TableFile, find_table_file
from features.crm.sources.json_files import find_record_keys
from features.crm.sources.layouts import Layout, count_footer_rows, find_header, find_layout, record_texts
from features.crm.sources.rows import SourceRows
from features.crm.sources.trimming import last_records
from features.crm.sources.workbooks import SheetStart, read_sheet_starts, sheet_place
from features.crm.table_settings import Source
from features.crm.tables import find_paths, read_rows
from features.errors import DataError
from features.messages import Message, abridge, quote_all

_LINES, _FOOTER_ROWS = 300, 60
_LANGUAGES = {
    "cp932": Message("Japanese (Shift_JIS of Windows)"),
    "euc_jp": Message("Japanese (EUC)"),
    "cp1252": Message("Western European (Windows)"),
    "cp1250": Message("Central European (Windows)"),
    "cp1254": Message("Turkish (Windows)"),
    "cp1251": Message("Cyrillic (Windows)"),
    "cp1253": Message("Greek (Windows)"),
    "mac_roman": Message("Western European (Mac)"),
}


@dataclass(frozen=True)
class FoundTable:
    """A table of an export: its source, and its rows with notes on what is left out.

    `comments` explain keys of the source in crm.toml.
    """

    source: Source
    name: str
    rows: SourceRows
    comments: Mapping[str, Message]


def find_tables(place: str, folder: Path, max_bytes: int) -> list[FoundTable]:
    """The tables of a file or of a pattern: several if a workbook has several sheets of data, or JSON lists.

    Of a CSV or Parquet file that takes more than `max_bytes`, the rows are a sample.

    Raises DataError for a file whose encoding or header is not clear.
    """
    file = find_table_file(find_paths(place, folder)[0])
    if file.kind == "workbook":
        return _find_sheets(file, place, folder)
    source, comments, notes = Source(source=place), dict[str, Message](), list[Message]()
    if file.kind in ("csv", "json"):
        encoding = _find_encoding(file)
        source = source.model_copy(update={"encoding": encoding.name})
        comments, notes = _describe_encoding(file, encoding)
    if file.kind == "csv":
        layout = find_layout(_first_lines(file, encoding.name))
        if layout.first_row is not None:
            raise _no_header(str(file.path), layout.first_row)
        source = source.model_copy(update={"separator": layout.separator, "skip_rows": layout.skip_rows})
        comments, notes = _describe_layout(file, layout, comments, notes)
    keys = find_record_keys(file, source) if file.kind == "json" else []
    if len(keys) < 2:
        return [_with_footer(source, Path(place).stem, folder, comments, notes, max_bytes)]
    sources = [source.model_copy(update={"records": key}) for key in keys]
    return [_with_footer(s, str(s.records).rpartition(".")[2], folder, comments, []) for s in sources]


def _find_encoding(file: TableFile) -> FoundEncoding:
    encoding = find_encoding(file)
    if encoding is None:
        raise encoding_error(file, "utf-8")
    return encoding


def _describe_encoding(file: TableFile, encoding: FoundEncoding) -> tuple[dict[str, Message], list[Message]]:
    if encoding.is_certain:
        return {}, []
    words = quote_all(encoding.words)
    note = Message(
        "{file}: read as {encoding}, as in {words}. If these words are wrong, correct `encoding`.",
        file=file.path.name,
        encoding=_LANGUAGES[encoding.name],
        words=words,
    )
    return {"encoding": Message("as in {words}", words=words)}, [note]


def _first_lines(file: TableFile, encoding: str) -> list[str]:
    python_name = "utf-8-sig" if encoding == "utf-8" else encoding
    with file.open() as stream, TextIOWrapper(stream, encoding=python_name, newline="") as text:
        return list(islice(text, _LINES))


def _describe_layout(
    file: TableFile, layout: Layout, comments: dict[str, Message], notes: list[Message]
) -> tuple[dict[str, Message], list[Message]]:
    if not layout.skip_rows:
        return comments, notes
    above = _quote(layout.above) if layout.above else Message("empty lines")
    note = Message(
        "{file}: the header is in line {line}; left out above it: {above}.",
        file=file.path.name,
        line=layout.skip_rows + 1,
        above=above,
    )
    comment = Message("above the header: {above}", above=above)
    return {**comments, "skip_rows": comment}, [*notes, note]


def _with_footer(
    source: Source,
    name: str,
    folder: Path,
    comments: dict[str, Message],
    notes: list[Message],
    max_bytes: int | None = None,
) -> FoundTable:
    """The table as it is read without the rows below the data."""
    rows = read_rows(source, folder, max_bytes=max_bytes)
    last = last_records(rows, source.separator, _FOOTER_ROWS)
    count = count_footer_rows(last, rows.table.num_columns)
    if count and len(rows.files or (rows.name,)) == 1:
        below = _quote(record_texts(last[-count:]))
        source = source.model_copy(update={"skip_footer": count})
        rows = read_rows(source, folder, max_bytes=max_bytes)
        comments = {**comments, "skip_footer": Message("below the data: {below}", below=below)}
        note = Message(
            "{file}: {count} rows left out below the data: {below}.", file=rows.name, count=count, below=below
        )
        notes = [*notes, note]
    return FoundTable(source, name, replace(rows, notes=(*notes, *rows.notes)), comments)


def _quote(texts: Sequence[str]) -> Message:
    return abridge([f'"{text[:50]}"' for text in texts], 3)


def _no_header(location: str | Message, first_row: tuple[str, ...]) -> DataError:
    return DataError(
        "{location}: has no line with the names of its columns; the first is data already ({values}). "
        "Put a line with {count} names above it and run again (in a crm.toml that you write "
        'yourself, `header = ["id", …]` names them).',
        location=location,
        values=abridge(first_row, 6),
        count=len(first_row),
    )


def _find_sheets(file: TableFile, place: str, folder: Path) -> list[FoundTable]:
    """The sheets with data: those with a header and many rows below it."""
    starts = read_sheet_starts(file)
    tables = {name: start for name, start in starts.items() if _is_table(start)}
    longest = max((start.height for start in tables.values()), default=0)
    tables = {name: start for name, start in tables.items() if start.height >= 0.05 * longest}
    if not tables:
        raise DataError(
            "{path}: no sheet holds a table ({names}); one header and its rows are needed.",
            path=file.path,
            names=[*starts],
        )
    others = [name for name in starts if name not in tables]
    note = Message("{file}: no table of leads in the sheets {names}.", file=file.path.name, names=others)
    notes = [note] if others else []
    results: list[FoundTable] = []
    groups = _group_sheets(file, tables)
    for layout, names in groups:
        sheet = tuple(names) if len(names) > 1 else names[0] if len(starts) > 1 else None
        source = Source(source=place, skip_rows=layout.skip_rows, sheet=sheet)
        comments, sheet_notes = _describe_layout(file, layout, {}, notes if not results else [])
        table_name = Path(place).stem if len(groups) == 1 else names[0]
        results.append(_with_footer(source, table_name, folder, comments, sheet_notes))
    return results


def _group_sheets(file: TableFile, sheets: Mapping[str, SheetStart]) -> list[tuple[Layout, list[str]]]:
    """The sheets by their columns: those of one group are one table, such as a sheet a year."""
    groups: dict[tuple[str, ...], tuple[Layout, list[str]]] = {}
    for name, start in sheets.items():
        index, has_names = find_header(start.cells)
        if not has_names:
            raise _no_header(sheet_place(file.path, name), tuple(start.cells[index]))
        layout = Layout("", index, tuple(record_texts(start.cells[:index])))
        first, names = groups.setdefault(tuple(start.cells[index]), (layout, []))
        if first.skip_rows != index:
            raise DataError(
                "{path}: the sheets {first!r} and {second!r} have the same columns, but the header in "
                "rows {first_row} and {second_row}. Put their rows into one sheet and run again.",
                path=file.path,
                first=names[0],
                second=name,
                first_row=first.skip_rows + 1,
                second_row=index + 1,
            )
        names.append(name)
    return list(groups.values())


def _is_table(start: SheetStart) -> bool:
    """Whether a sheet has a header of two names or more, and rows below it."""
    index, _ = find_header(start.cells)
    header = start.cells[index] if start.cells else []
    return sum(map(bool, header)) >= 2 and start.height - index > 2 and not start.is_hidden
