"""Tables that people take away: CSV that spreadsheets open safely, in any language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.responses import Response

from features.crm.values.csv_output import BYTE_ORDER_MARK, csv_text


def csv_response(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A file of rows, with the byte order mark that tells Excel that it is UTF-8."""
    headers = {"content-disposition": f'attachment; filename="{name}.csv"', "referrer-policy": "same-origin"}
    content = BYTE_ORDER_MARK + csv_text(head, rows)
    return Response(content, headers=headers, media_type="text/csv; charset=utf-8")
