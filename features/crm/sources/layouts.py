"""Where the table stands in a file: the separator, the line of the header, the rows below the data."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.I)
_TOTAL = re.compile(
    r"^\W*(grand |sub)?(totals?|sum|count|average)\b|^\W*(合計|総計|小計|件数|総件数|計)", re.I
)
_MAX_ROWS_ABOVE = 100
_HEADER_SHARE = 0.7
_NULL = r"\N"

Cells = Sequence[str]


@dataclass(frozen=True)
class Layout:
    """How the first lines of a text file are arranged.

    `skip_rows` lines stand above the header (`above` are the texts in them). Without a header
    `first_row` holds the cells of the first record, which is data.
    """

    separator: str
    skip_rows: int
    above: tuple[str, ...] = ()
    first_row: tuple[str, ...] | None = None


def find_layout(lines: Sequence[str]) -> Layout:
    """The layout of a text file from its first lines (with their line ends)."""
    named = _SEPARATOR_LINE.match(lines[0].rstrip("\r\n")) if lines else None
    start = 1 if named else 0
    candidates = (named[1],) if named else SEPARATORS
    return max((_layout_with(lines, start, c) for c in candidates), key=lambda scored: scored[0])[1]


def find_header(records: Sequence[Cells]) -> tuple[int, bool]:
    """The index of the record with the names of the columns, and whether it really holds names.

    The header is the first record as wide as the data that fills most of their columns. If its cells
    look like the data below it, the file has no header.
    """
    widths = Counter(len(r) for r in records if sum(map(bool, r)) > 1)
    if not widths:
        return next((i for i, r in enumerate(records) if any(r)), 0), True
    width = max(widths, key=lambda w: (widths[w], w))
    below = [r for r in records[len(records) // 3 :] if len(r) == width]
    filled = sum(any(r[i] for r in below) for i in range(width))
    for index, record in enumerate(records[:_MAX_ROWS_ABOVE]):
        if _is_as_wide(record, below) and sum(map(bool, record)) >= max(2, _HEADER_SHARE * filled):
            data = [r for r in records[index + 1 :] if len(r) == width and list(r) != list(record)]
            return index, not _is_data(record, data)
    return 0, True


def _is_as_wide(record: Cells, below: Sequence[Cells]) -> bool:
    """Whether a record has as many cells as the rows `below`, but for empty ones at the end."""
    width = len(below[0]) if below else len(record)
    return not any(record[width:]) and not any(any(row[len(record) :]) for row in below)


def count_footer_rows(rows: Sequence[Cells], width: int) -> int:
    """The number of the last `rows` that are no data: totals, or a report's name and date.

    `width` is the number of columns. A footer fills one or two cells where the data fill more.
    """
    usual = _usual_row(rows, width)
    count = 0
    for row in reversed(rows):
        if any(row) and not _is_footer(row, width, usual):
            break
        count += 1
    while count and not any(rows[len(rows) - count]):
        count -= 1
    return count if count < len(rows) else 0


def first_data_row(rows: Sequence[Cells], footer: int, width: int) -> Cells | None:
    """The first of the last `footer` rows that begins like the usual row and fills half of its cells."""
    usual = _usual_row(rows, width)
    for row in rows[max(len(rows) - footer, 0) :] if footer < len(rows) else ():
        if (
            len(row) == width
            and sum(map(bool, row)) >= 0.5 * usual.filled
            and _shape(row[0]) == usual.first_shape
        ):
            return row
    return None


def is_group_line(cells: Cells) -> bool:
    """Whether a row has at most one value, or is a subtotal with few."""
    filled = [cell for cell in cells if cell]
    return len(filled) < 2 or (bool(_TOTAL.match(filled[0])) and len(filled) < 0.5 * len(cells) + 1)


@dataclass(frozen=True)
class _UsualRow:
    """The number of cells that most rows fill, and the shape of the first cell of most."""

    filled: int
    first_shape: str | None


def _usual_row(rows: Sequence[Cells], width: int) -> _UsualRow:
    counts = Counter(sum(map(bool, row)) for row in rows if len(row) == width)
    filled = max(counts, key=lambda n: (counts[n], n), default=0)
    return _UsualRow(filled, _common_shape([row[0] for row in rows if len(row) == width > 0]))


def _is_footer(row: Cells, width: int, usual: _UsualRow) -> bool:
    filled = [cell for cell in row if cell]
    is_total = bool(_TOTAL.match(filled[0])) and len(filled) < max(2, 0.7 * usual.filled)
    is_single = len(filled) == 1 and usual.filled >= 3 and _shape(row[0]) not in ("", usual.first_shape)
    return is_total or is_single or (len(row) < width and len(filled) <= 0.4 * usual.filled)


def record_texts(records: Sequence[Cells]) -> list[str]:
    """Records as texts for people, without empty ones."""
    texts = (" ".join(" ".join(record).split()) for record in records)
    return [text for text in texts if text]


def numbered_names(header: Sequence[str]) -> list[str]:
    """Names for all columns: "column 7" for one without a name, "Status (1)" for one that is not alone."""
    names = [name if name.strip() else f"column {i}" for i, name in enumerate(header, start=1)]
    counts, earlier = Counter(names), Counter[str]()
    for index, name in enumerate(names):
        earlier[name] += 1
        if counts[name] > 1:
            names[index] = f"{name} ({earlier[name]})"
    return names


def _layout_with(lines: Sequence[str], start: int, separator: str) -> tuple[float, Layout]:
    """The layout with a separator, and how well the lines fit it."""
    records, line_numbers = _parse(lines[start:], separator)
    index, has_names = find_header(records)
    skip_rows = start + (line_numbers[index] if records else 0)
    above = [line.strip() for line in lines[:start]] + record_texts(records[:index])
    first = tuple(records[index]) if records and not has_names else None
    widths = Counter(len(r) for r in records if r)
    width = max(widths, key=lambda w: (widths[w] * (w > 1), w), default=1)
    below = [r for r in records if len(r) == width]
    fits = has_names and bool(records) and _is_as_wide(records[index], below)
    score = widths[width] / max(1, widths.total()) * width * (1.0 if fits else 0.1) if width > 1 else 0.0
    return score, Layout(separator, skip_rows, tuple(above), first)


def _parse(lines: Sequence[str], separator: str) -> tuple[list[list[str]], list[int]]:
    """The records of some lines, with the number of lines before each."""
    reader = csv.reader(lines, delimiter=separator)
    records, starts, start = [], [], 0
    try:
        for record in reader:
            records.append([cell.strip() for cell in record])
            starts.append(start)
            start = reader.line_num
    except csv.Error:
        pass  # the last lines of the sample may end within a cell
    return records, starts


def _is_data(record: Cells, below: Sequence[Cells]) -> bool:
    """Whether a record is like the records below it: numbers, dates and ids, or the same words."""
    if _NULL in record:
        return True
    columns = [[r[i] for r in below if r[i : i + 1] and r[i]] for i in range(len(record))]
    repeated = sum(bool(cell) and cells.count(cell) > 1 for cell, cells in zip(record, columns, strict=True))
    shapes = [_common_shape(cells) for cells in columns]
    typed = [(cell, shape) for cell, shape in zip(record, shapes, strict=True) if shape and "9" in shape]
    similar = sum(_shape(cell) == shape for cell, shape in typed)
    return similar > 0.5 * len(typed) > 0 or (similar > 0 and repeated > 0) or repeated >= 2


def _common_shape(cells: Sequence[str]) -> str | None:
    """The shape of at least eight in ten cells."""
    shapes = Counter(map(_shape, cells)).most_common(1)
    return shapes[0][0] if shapes and shapes[0][1] >= 0.8 * len(cells) else None


def _shape(cell: str) -> str:
    """Letters as a, digits as 9, in runs: the shape of L0012 is a9."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", cell))
