"""Taking out of a table what is no data: footers, repeated headers, blank rows, columns without a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Bools
from features.crm.parsing import as_texts
from features.crm.sources.layouts import first_data_row, is_group_line
from features.crm.sources.rows import SourceRows, cell_count
from features.errors import DataError
from features.messages import Message, abridge, quote_all

ROWS_TO_COMPARE = 100
_ONE_CELL = cell_count(1)


def trim(rows: SourceRows, written: Mapping[str, str], is_complete: bool, skip_footer: int = 0) -> SourceRows:
    """Leave out the footer, repeated headers, blank rows, and empty columns without a name.

    `written` holds the name of each column as it stands in the file. Blank rows are only known where
    the table `is_complete`, with all its columns.
    """
    if skip_footer:
        last = last_records(rows, ",", skip_footer + ROWS_TO_COMPARE)
        check_footer(last, skip_footer, rows.table.num_columns, rows.name)
        rows = _drop_footer(rows, skip_footer)
    rows = _drop_blank_columns(rows, written) if is_complete else rows
    header = [written[name] for name in rows.table.column_names]
    repeated = _equal_everywhere(rows.table, header)
    if repeated is not None:
        rows, repeated = _drop_group_lines(rows, repeated)
    rows = _drop_rows(rows, repeated, Message("repeating the header"))
    blank = _equal_everywhere(rows.table, [""] * len(header)) if is_complete else None
    rows = _drop_rows(rows, blank, Message("without a value"))
    return replace(rows, notes=(*rows.notes, *_describe_names(rows, written)))


def find_no_data(table: pa.Table, written: Mapping[str, str]) -> Bools | None:
    """The rows that repeat the header or are blank; None if there is none."""
    repeated = _equal_everywhere(table, [written[name] for name in table.column_names])
    blank = _equal_everywhere(table, [""] * table.num_columns)
    return blank if repeated is None else repeated if blank is None else repeated | blank


def check_footer(records: Sequence[Sequence[str]], skip_footer: int, width: int, name: str) -> None:
    """Raise DataError if one of the last rows, which are to be left out, looks like the data above them."""
    row = first_data_row(records, skip_footer, width)
    if row is not None:
        raise DataError(
            "{name}: skip_footer = {skip_footer} leaves out the last {skip_footer} rows, but one of them "
            "looks like data ({values} …). Correct skip_footer in crm.toml for this export.",
            name=name,
            skip_footer=skip_footer,
            values=row[:4],
        )


def _drop_footer(rows: SourceRows, count: int) -> SourceRows:
    """Without the last `count` rows of the source."""
    last = rows.read - count
    inside = rows.numbers <= last
    return replace(
        rows,
        table=rows.table.filter(pa.array(inside)),
        numbers=rows.numbers[inside],
        read=min(rows.read, max(last, 0)),
        rejects=[r for r in rows.rejects if r.row <= last],
        ragged={number: text for number, text in rows.ragged.items() if number <= last},
        dropped=rows.dropped + min(rows.read, count),
    )


def last_records(rows: SourceRows, separator: str, count: int) -> list[list[str]]:
    """The last `count` rows of a source as cells, also those with another number of cells or none."""
    last = rows.read + rows.dropped
    table = rows.table.slice(max(rows.table.num_rows - count, 0))
    columns = [as_texts(column, ()).to_pylist() for column in table.columns]
    numbers = rows.numbers[len(rows.numbers) - table.num_rows :].tolist()
    complete = dict(zip(numbers, zip(*columns, strict=True), strict=True)) if columns else {}
    ragged = {n: [cell.strip(' "\r\n') for cell in text.split(separator)] for n, text in rows.ragged.items()}
    return [
        [cell or "" for cell in complete.get(number, ())] or ragged.get(number, [])
        for number in range(max(last - count, 0) + 1, last + 1)
    ]


def _drop_group_lines(rows: SourceRows, repeated: Bools) -> tuple[SourceRows, Bools]:
    """Without the titles and subtotals of groups, which stand right above a repeated header."""
    ragged = {reject.row for reject in rows.rejects if reject.value == _ONE_CELL}
    lines: set[int] = set()
    for position in np.flatnonzero(repeated).tolist():
        number, index = int(rows.numbers[position]) - 1, position - 1
        while number in ragged or (index >= 0 and rows.numbers[index] == number):
            cells = [str(_ONE_CELL)] if number in ragged else _cells(rows, index)
            if not is_group_line(cells):
                break
            if any(cells):
                lines.add(number)
            index -= number not in ragged
            number -= 1
    inside = ~np.isin(rows.numbers, list(lines))
    note = _rows_left_out(rows, len(lines), Message("titles and subtotals of groups"))
    others = replace(
        rows,
        table=rows.table.filter(pa.array(inside)),
        numbers=rows.numbers[inside],
        read=rows.read - len(lines),
        dropped=rows.dropped + len(lines),
        rejects=[reject for reject in rows.rejects if reject.row not in lines],
        notes=(*rows.notes, note) if lines else rows.notes,
    )
    return others, repeated[inside]


def _cells(rows: SourceRows, index: int) -> list[str]:
    row = rows.table.slice(index, 1)
    return [str(value or "") for column in row.columns for value in column.to_pylist()]


def _drop_rows(rows: SourceRows, mask: Bools | None, reason: Message) -> SourceRows:
    count = 0 if mask is None else int(mask.sum())
    if mask is None or not count:
        return rows
    return replace(
        rows,
        table=rows.table.filter(pa.array(~mask)),
        numbers=rows.numbers[~mask],
        read=rows.read - count,
        dropped=rows.dropped + count,
        notes=(*rows.notes, _rows_left_out(rows, count, reason)),
    )


def _rows_left_out(rows: SourceRows, count: int, reason: Message) -> Message:
    return Message("{file}: {count:,} rows left out, {reason}.", file=rows.name, count=count, reason=reason)


def _drop_blank_columns(rows: SourceRows, written: Mapping[str, str]) -> SourceRows:
    """Without the columns that have neither a name nor a value."""
    nameless = (name for name in rows.table.column_names if not written[name].strip())
    blank = [name for name in nameless if _is_blank(rows.table[name])]
    if not blank:
        return rows
    note = Message(
        "{file}: {count} columns left out, without a name or a value.", file=rows.name, count=len(blank)
    )
    return replace(rows, table=rows.table.drop_columns(blank), notes=(*rows.notes, note))


def _describe_names(rows: SourceRows, written: Mapping[str, str]) -> Iterator[Message]:
    """Sentences about the columns that are not named as in the file."""
    twice = [n for n in rows.table.column_names if written[n].strip() and written[n] != n]
    for name in dict.fromkeys(written[n] for n in twice):
        yield Message(
            "{file}: the header names {name!r} more than once; read as {names}.",
            file=rows.name,
            name=name,
            names=quote_all(n for n in twice if written[n] == name),
        )
    nameless = [n for n in rows.table.column_names if not written[n].strip()]
    if nameless:
        yield Message(
            "{file}: without a name, but with values: read as {names}.",
            file=rows.name,
            names=abridge(quote_all(nameless), 6),
        )


def _is_blank(column: pa.ChunkedArray) -> bool:
    if column.null_count == len(column):
        return True
    return pa.types.is_string(column.type) and bool(pc.all(_is_equal(column, "")).as_py())


def _equal_everywhere(table: pa.Table, cells: Sequence[str]) -> Bools | None:
    """The rows whose cells are all equal to `cells`; None if there is none."""
    if not table.num_columns or not _occurs(table.column(0), cells[0]):
        return None
    mask: pa.ChunkedArray | None = None
    for column, cell in zip(table.columns, cells, strict=True):
        equal = _is_equal(column, cell)
        mask = equal if mask is None else pc.and_(mask, equal)
        if not pc.any(mask).as_py():
            return None
    return None if mask is None else np.asarray(mask.to_numpy(zero_copy_only=False), dtype=bool)


def _occurs(column: pa.ChunkedArray, cell: str) -> bool:
    """Whether a column of texts may hold a text; much faster than comparing all rows."""
    if not pa.types.is_string(column.type) or column.null_count:
        return True
    return any(pc.index(chunk, pa.scalar(cell)).as_py() >= 0 for chunk in column.chunks)


def _is_equal(column: pa.ChunkedArray, cell: str) -> pa.ChunkedArray:
    """Where a column holds a text; a null is an empty text."""
    if not pa.types.is_string(column.type):
        is_null = pc.is_null(column)
        return is_null if not cell else pc.and_(is_null, pa.scalar(False))
    return pc.equal(pc.fill_null(column, ""), cell)
