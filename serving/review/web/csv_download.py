"""Tables that people take away: CSV that spreadsheets open safely, in any language."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from starlette.responses import Response

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Excel takes the wide ones for formulas too, where it speaks Japanese."""


def csv_response(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A file of rows. What a spreadsheet would take for a formula is told as text (OWASP, CSV injection);
    the mark at its beginning tells Excel that it is UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows([[_escape_formula(cell) for cell in row] for row in rows])
    headers = {"content-disposition": f'attachment; filename="{name}.csv"', "referrer-policy": "same-origin"}
    return Response("\ufeff" + out.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")


def _escape_formula(cell: object) -> object:
    if cell is None:
        return ""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
