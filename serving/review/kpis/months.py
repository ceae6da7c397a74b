"""The months that figures are of, in the company's time zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from features.clock import from_ms, to_ms
from serving.review.kpis.definitions import Period

YEAR = 12
_EARLIEST = "2000-01"
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class MonthRange:
    """From the month `first` to the month `last` (2026-09), both of them included; at most twelve."""

    first: str
    last: str
    zone: ZoneInfo

    @classmethod
    def from_query(cls, query: Mapping[str, str], now: int, zone: ZoneInfo) -> MonthRange:
        """The `month` of an address, or `from` a month `to` another; the present month (`now` is ms UTC)
        where it names none, or one that is no month or has not begun."""
        present = f"{from_ms(now).astimezone(zone):%Y-%m}"
        last = query.get("to") or query.get("month") or present
        if not _MONTH.fullmatch(last) or not _EARLIEST <= last <= present:
            return cls(present, present, zone)
        first = query.get("from") or last
        is_valid = _MONTH.fullmatch(first) and months_before(last, YEAR - 1) <= first <= last
        return cls(first if is_valid else last, last, zone)

    @property
    def months(self) -> list[str]:
        """Every month of it, the oldest first."""
        return [month for month in self.year if month >= self.first]

    @property
    def year(self) -> list[str]:
        """The twelve months that end with it, the oldest first."""
        return [months_before(self.last, months) for months in reversed(range(YEAR))]

    @property
    def period(self) -> Period:
        return Period(self._start(self.first), self._end)

    @property
    def borders(self) -> list[int]:
        """Where the months of its year begin, and where the last one ends (ms UTC)."""
        return [*(self._start(month) for month in self.year), self._end]

    @property
    def name(self) -> str:
        """As people read it: "2026-09" or "2026-07 – 2026-09"."""
        return self.last if self.first == self.last else f"{self.first} – {self.last}"

    @property
    def query(self) -> str:
        """The query parameters from which `from_query` makes it."""
        return f"month={self.last}" if self.first == self.last else f"from={self.first}&to={self.last}"

    def is_running(self, now: int) -> bool:
        """Whether its last month has not ended (`now` is ms UTC)."""
        return now < self._end

    def shift(self, months: int) -> MonthRange:
        """As long a span, so many months later; earlier where negative."""
        return MonthRange(months_before(self.first, -months), months_before(self.last, -months), self.zone)

    def last_months(self, count: int) -> MonthRange:
        """The last so many months that end with it."""
        return MonthRange(months_before(self.last, count - 1), self.last, self.zone)

    @property
    def _end(self) -> int:
        return self._start(months_before(self.last, -1))

    def _start(self, month: str) -> int:
        year, number = map(int, month.split("-"))
        return to_ms(datetime(year, number, 1, tzinfo=self.zone))


def months_before(month: str, months: int) -> str:
    """The month that lies so many months before another; after it where negative."""
    year, number = map(int, month.split("-"))
    place = year * 12 + number - 1 - months
    return f"{place // 12:04}-{place % 12 + 1:02}"
