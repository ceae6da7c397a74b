"""Reading one date of a request as the files of an export are read, without a table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from features.clock import to_ms
from features.crm.values.formats import TimeFormat
from features.numbers import to_half_width

_DATE = re.compile(r"^(\d{4})[/-](\d{1,2})[/-](\d{1,2})")
_UTC = ZoneInfo("UTC")
_EXCEL_EPOCH = datetime(1899, 12, 30)


def _no_format(column: str) -> TimeFormat | None:
    return None


@dataclass(frozen=True)
class DateReader:
    """Reads dates of columns: ISO 8601, year/month/day, or in the formats of crm.toml; those without an
    offset are in `zone`."""

    zone: ZoneInfo = _UTC
    time_format_of: Callable[[str], TimeFormat | None] = _no_format

    def parse(self, text: str, column: str) -> float:
        """The time in ms UTC. Raises ValueError for what is no date."""
        formats = self.time_format_of(column) or ()
        for time_format in (*((formats,) if isinstance(formats, str) else formats), "iso"):
            moment = _parse(to_half_width(text), time_format)
            if moment is not None:
                return float(to_ms(moment if moment.tzinfo else moment.replace(tzinfo=self.zone)))
        raise ValueError("no date")


def _parse(text: str, time_format: str) -> datetime | None:
    try:
        if time_format == "iso":
            iso = _DATE.sub(lambda m: f"{m[1]}-{m[2]:0>2}-{m[3]:0>2}", text)
            return datetime.fromisoformat(iso)
        if time_format == "excel":
            return _EXCEL_EPOCH + timedelta(days=float(text))
        return datetime.strptime(text, time_format) if "%" in time_format else None
    except (ValueError, OverflowError):
        return None
