"""Reading a sheet of an Excel workbook (.xlsx); dates and numbers stay dates and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

from features.crm.sources.files import TableFile
from features.crm.sources.layouts import numbered_names
from features.crm.sources.rows import SourceRows, check_columns
from features.crm.sources.trimming import ROWS_TO_COMPARE, check_footer, trim
from features.crm.table_settings import Source
from features.errors import DataError, SettingsError, suggest_nearest
from features.messages import Message

_ROWS_AT_START, _EXACT_DIGITS = 300, 1e15

ExcelValue = int | float | str | bool | date | datetime | time | timedelta


def read_workbook(
    file: TableFile, sheet_name: str | None, source: Source, columns: Sequence[str] | None
) -> SourceRows:
    """Read all or some columns of one sheet, by default the first.

    Raises SettingsError for a missing sheet or column, DataError if the file is no whole workbook.
    """
    sheet, cells = _read_sheet(file, sheet_name)
    location = sheet_place(file.path, sheet)
    below = cells[source.skip_rows :]
    if not below:
        raise DataError("{location}: is empty; a header and at least one row are needed.", location=location)
    header = list(source.header) or [cell_text(cell) for cell in below[0]]
    names = numbered_names(header)
    check_columns(columns, names, location)
    data = _without_end(below if source.header else below[1:], source.skip_footer, file.path.name)
    by_name = dict(zip(names, zip(*data, strict=True), strict=True)) if data else dict.fromkeys(names, ())
    table = pa.table({name: _to_column(by_name[name]) for name in columns or names})
    rows = SourceRows(file.path.name, table, np.arange(1, len(data) + 1), len(data))
    return trim(rows, dict(zip(names, header, strict=True)), columns is None)


def sheet_place(path: Path, sheet: str) -> Message:
    """Where a fault is: the file and the sheet."""
    return Message("{path}, sheet {sheet!r}", path=path, sheet=sheet)


def _without_end(data: list[list[ExcelValue]], skip_footer: int, name: str) -> list[list[ExcelValue]]:
    """The rows without empty ones at the end, and without the footer."""
    last = next((i for i in range(len(data), 0, -1) if any(cell != "" for cell in data[i - 1])), 0)
    if skip_footer and last:
        records = data[max(last - skip_footer - ROWS_TO_COMPARE, 0) : last]
        check_footer([[cell_text(c) for c in row] for row in records], skip_footer, len(data[0]), name)
    return data[: max(last - skip_footer, 0)]


@dataclass(frozen=True)
class SheetStart:
    """The first rows of a sheet as texts, and the number of all its rows."""

    cells: list[list[str]]
    height: int
    is_hidden: bool


def read_sheet_starts(file: TableFile) -> dict[str, SheetStart]:
    """The beginnings of all sheets, by name."""
    with file.open_whole() as stream:
        workbook = _open(file.path, stream)
        shown = {s.name for s in workbook.sheets_metadata if s.visible == SheetVisibleEnum.Visible}
        starts = {}
        for name in workbook.sheet_names:
            sheet = workbook.get_sheet_by_name(name)
            first_rows = sheet.to_python(skip_empty_area=False, nrows=_ROWS_AT_START)
            cells = [[cell_text(cell) for cell in row] for row in first_rows]
            starts[name] = SheetStart(cells, sheet.total_height, name not in shown)
    return starts


def cell_text(cell: ExcelValue) -> str:
    """A cell as text: a whole number without a point, a date in ISO 8601."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT_DIGITS:
        return str(int(cell))
    return str(cell).strip()


def _read_sheet(file: TableFile, name: str | None) -> tuple[str, list[list[ExcelValue]]]:
    with file.open_whole() as stream:
        workbook = _open(file.path, stream)
        names = workbook.sheet_names
        if name is not None and name not in names:
            raise SettingsError(
                "{path}: there is no sheet {name!r}; {nearest}.",
                path=file.path,
                name=name,
                nearest=suggest_nearest(name, names),
            )
        if not names:
            raise DataError("{path}: holds no sheet.", path=file.path)
        return name or names[0], _cells(workbook, name or names[0])


def _open(path: Path, stream: object) -> CalamineWorkbook:
    try:
        return CalamineWorkbook.from_filelike(stream)  # type: ignore[arg-type]
    except CalamineError as problem:
        raise DataError(
            "{path}: cannot be read as an Excel workbook ({problem}). Save it as .xlsx without a password.",
            path=path,
            problem=problem,
        ) from None


def _cells(workbook: CalamineWorkbook, sheet: str) -> list[list[ExcelValue]]:
    """The cells from the first row of the sheet on, so that rows count as in Excel."""
    return workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=False)


def _to_column(cells: Sequence[ExcelValue]) -> pa.Array:
    """One column: days or times if all cells are dates, (whole) numbers if all are numbers, else texts."""
    kinds = {type(cell) for cell in cells if cell != ""}
    values = [None if cell == "" else cell for cell in cells]
    if kinds == {date}:
        return pa.array(values, pa.date32())
    if kinds and kinds <= {date, datetime}:
        return pa.array([_at_midnight(v) for v in values], pa.timestamp("us"))
    if kinds and kinds <= {int, float}:
        numbers = pa.array(values, pa.float64())
        is_exact = pc.less(pc.abs(numbers), _EXACT_DIGITS)
        is_whole = pc.all(pc.and_(pc.equal(pc.floor(numbers), numbers), is_exact))
        return numbers.cast(pa.int64()) if is_whole.as_py() else numbers
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return pa.array([None if v is None else cell_text(v) for v in values], pa.string())


def _at_midnight(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value
