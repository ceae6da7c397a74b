"""Writing CSV that spreadsheets open safely, in any language.

A text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV injection); numbers
stay numbers. A byte order mark tells Excel that a file is UTF-8; readers of Hotlead accept both.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

BYTE_ORDER_MARK: Final = "\ufeff"
_FORMULA = "'*[=+\\-@\t\r\n＝＋－＠]"
"""Japanese Excel takes the wide signs for formulas too. A text that has an apostrophe before one gets a
second one, so that `unescape_formula` restores every text."""
_NUMBER = r"[+\-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?"
_IS_FORMULA, _IS_NUMBER = re.compile(_FORMULA), re.compile(_NUMBER)
_IS_ESCAPED = re.compile(f"'{_FORMULA}")


def escape_formula(cell: object) -> object:
    """The cell as it is written: no value is empty, a text that looks like a formula stays a text."""
    if cell is None:
        return ""
    if isinstance(cell, str) and _IS_FORMULA.match(cell) and not _IS_NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def unescape_formula(text: str) -> str:
    """The text that `escape_formula` wrote."""
    return text[1:] if _IS_ESCAPED.match(text) else text


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV, without a byte order mark."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([escape_formula(name) for name in head])
    writer.writerows([escape_formula(cell) for cell in row] for row in rows)
    return out.getvalue()


def write_csv(table: pa.Table, path: Path, has_mark: bool) -> None:
    """Write a table of plain columns or dictionaries; texts are escaped, times are ISO 8601 in UTC."""
    columns = [_escape_column(column) for column in table.columns]
    with path.open("wb") as file:
        file.write(BYTE_ORDER_MARK.encode() if has_mark else b"")
        pa_csv.write_csv(pa.table(columns, names=table.column_names), file)


def _escape_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if not pa.types.is_string(kind):
        return column
    is_formula = pc.and_not(
        pc.match_substring_regex(column, f"^{_FORMULA}"), pc.match_substring_regex(column, f"^{_NUMBER}$")
    )
    return pc.if_else(is_formula, pc.binary_join_element_wise("'", column, ""), column)
