"""Ids that Excel cut to numbers such as 4.59245E+18, so that different records share one."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DataError

_CUT = r"^\d([.,]\d+)?[eE]\+\d{2,3}$"
_EXACT_DIGITS = 1e15


def find_cut_ids(column: pa.ChunkedArray) -> list[str]:
    """The values of a column that were longer whole numbers before Excel cut them to 15 digits or fewer."""
    if pa.types.is_floating(column.type):
        cut = column.filter(pc.fill_null(pc.greater_equal(pc.abs(column), _EXACT_DIGITS), False))
        return [f"{value:.5E}" for value in cut.to_pylist()]
    if not pa.types.is_string(column.type):
        return []
    candidates = column.filter(pc.fill_null(pc.match_substring(column, "E+", ignore_case=True), False))
    trimmed = pc.utf8_trim_whitespace(candidates)
    return [str(v) for v in trimmed.filter(pc.match_substring_regex(trimmed, _CUT)).to_pylist()]


def check_ids_are_whole(table: pa.Table, column: str, location: str) -> None:
    """Raise DataError if a column of ids holds some that Excel cut."""
    cut = find_cut_ids(table[column])
    if cut:
        raise DataError(
            "{location}, column {column}: {count:,} ids such as {example!r} were cut by Excel, so that "
            "different records share one. Export again and use the file without opening it in Excel, or "
            "import it into Excel with this column as text.",
            location=location,
            column=column,
            count=len(cut),
            example=cut[0],
        )
