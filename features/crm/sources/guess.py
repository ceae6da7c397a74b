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
from features.crm.sources.workbooks import SheetStart, read_sheet_starts
from features.crm.table_settings import Source
from features.crm.tables import find_paths, read_rows
from features.errors import DataError

_LINES, _FOOTER_ROWS = 300, 60
_LANGUAGES = {
    "cp932": "Japanese (Shift_JIS of Windows)",
    "euc_jp": "Japanese (EUC)",
    "cp1252": "Western European (Windows)",
    "cp1250": "Central European (Windows)",
    "cp1251": "Cyrillic (Windows)",
    "cp1253": "Greek (Windows)",
    "mac_roman": "Western European (Mac)",
}


@dataclass(frozen=True)
class FoundTable:
    """A table of an export: its source, and its rows with notes on what is left out.

    `comments` explain keys of the source in crm.toml.
    """

    source: Source
    name: str
    rows: SourceRows
    comments: Mapping[str, str]


def find_tables(place: str, folder: Path, max_bytes: int) -> list[FoundTable]:
    """The tables of a file or of a pattern: several if a workbook has several sheets of data, or JSON lists.

    Of a CSV or Parquet file that takes more than `max_bytes`, the rows are a sample.

    Raises DataError for a file whose encoding or header is not clear.
    """
    file = find_table_file(find_paths(place, folder)[0])
    if file.kind == "workbook":
        return _find_sheets(file, place, folder)
    source, comments, notes = Source(source=place), dict[str, str](), list[str]()
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


def _describe_encoding(file: TableFile, encoding: FoundEncoding) -> tuple[dict[str, str], list[str]]:
    if encoding.is_certain:
        return {}, []
    words = ", ".join(map(repr, encoding.words))
    note = (
        f"{file.path.name}: read as {_LANGUAGES[encoding.name]}, as in {words}. "
        "If these words are wrong, correct `encoding`."
    )
    return {"encoding": f"as in {words}"}, [note]


def _first_lines(file: TableFile, encoding: str) -> list[str]:
    python_name = "utf-8-sig" if encoding == "utf-8" else encoding
    with file.open() as stream, TextIOWrapper(stream, encoding=python_name, newline="") as text:
        return list(islice(text, _LINES))


def _describe_layout(
    file: TableFile, layout: Layout, comments: dict[str, str], notes: list[str]
) -> tuple[dict[str, str], list[str]]:
    if not layout.skip_rows:
        return comments, notes
    above = _quote(layout.above) or "empty lines"
    note = f"{file.path.name}: the header is in line {layout.skip_rows + 1}; left out above it: {above}."
    return {**comments, "skip_rows": f"above the header: {above}"}, [*notes, note]


def _with_footer(
    source: Source,
    name: str,
    folder: Path,
    comments: dict[str, str],
    notes: list[str],
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
        comments = {**comments, "skip_footer": f"below the data: {below}"}
        notes = [*notes, f"{rows.name}: {count} rows left out below the data: {below}."]
    return FoundTable(source, name, replace(rows, notes=(*notes, *rows.notes)), comments)


def _quote(texts: Sequence[str]) -> str:
    shown = [f'"{text[:50]}"' for text in texts[:3]]
    return ", ".join(shown) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


def _no_header(location: str, first_row: tuple[str, ...]) -> DataError:
    shown = ", ".join(first_row[:6]) + (" …" if len(first_row) > 6 else "")
    return DataError(
        f"{location}: has no line with the names of its columns; the first is data already ({shown}). "
        f"Put a line with {len(first_row)} names above it and run again (in a crm.toml that you write "
        'yourself, `header = ["id", …]` names them).'
    )


def _find_sheets(file: TableFile, place: str, folder: Path) -> list[FoundTable]:
    """The sheets with data: those with a header and many rows below it."""
    starts = read_sheet_starts(file)
    tables = {name: start for name, start in starts.items() if _is_table(start)}
    longest = max((start.height for start in tables.values()), default=0)
    tables = {name: start for name, start in tables.items() if start.height >= 0.05 * longest}
    if not tables:
        raise DataError(
            f"{file.path}: no sheet holds a table ({', '.join(starts)}); one header and its rows are needed."
        )
    others = [name for name in starts if name not in tables]
    notes = [f"{file.path.name}: no table of leads in the sheets {', '.join(others)}."] if others else []
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
            raise _no_header(f"{file.path}, sheet {name!r}", tuple(start.cells[index]))
        layout = Layout("", index, tuple(record_texts(start.cells[:index])))
        first, names = groups.setdefault(tuple(start.cells[index]), (layout, []))
        if first.skip_rows != index:
            raise DataError(
                f"{file.path}: the sheets {names[0]!r} and {name!r} have the same columns, but the header in "
                f"rows {first.skip_rows + 1} and {index + 1}. Put their rows into one sheet and run again."
            )
        names.append(name)
    return list(groups.values())


def _is_table(start: SheetStart) -> bool:
    """Whether a sheet has a header of two names or more, and rows below it."""
    index, _ = find_header(start.cells)
    header = start.cells[index] if start.cells else []
    return sum(map(bool, header)) >= 2 and start.height - index > 2 and not start.is_hidden
