"""Deadlines in clock hours or in the opening hours of an office.

The opening hours of a year are listed once as spans of UTC milliseconds, so that a deadline takes two
bisections. Spans follow local time: an hour that is skipped in spring does not count, and an hour that
repeats in autumn counts twice.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator, model_validator

from features.clock import MS_PER_DAY, days_to_ms, from_ms, to_ms
from features.errors import InvalidValue, suggest_nearest
from features.messages import Message, quote_all
from features.toml import Strict, TimeZone

Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
YEARS_CLOSED = 5
"""After this many years without an opening the office counts as closed for good."""

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")


class OfficeHours(Strict):
    """[hours]: when the office is open. Times are local in `time_zone`, to the second."""

    time_zone: TimeZone = Field("UTC", description="The office's time zone, such as Asia/Tokyo.")
    days: tuple[Weekday, ...] = Field(WEEKDAYS[:5], description="The weekdays on which the office is open.")
    opens: time = Field(time(9), description="When the office opens, in local time.")
    closes: time = Field(time(18), description="When the office closes, on the same day.")
    country: str | None = Field(
        None, description="An ISO code such as JP: closed on the public holidays there."
    )
    region: str | None = Field(
        None, description="A part of the country that has holidays of its own, such as BY."
    )

    @field_validator("days")
    @classmethod
    def _check_days(cls, days: tuple[Weekday, ...]) -> tuple[Weekday, ...]:
        if not days:
            raise InvalidValue("give one weekday or more: {names}", names=quote_all(WEEKDAYS))
        twice = sorted({day for day in days if days.count(day) > 1}, key=WEEKDAYS.index)
        if twice:
            raise InvalidValue("each weekday may stand once; more than once: {names}", names=[*twice])
        return days

    @field_validator("opens", "closes", mode="before")
    @classmethod
    def _parse_clock_time(cls, value: object) -> time:
        """A local time such as 09:00; pydantic would read 9 as nine seconds after midnight."""
        text = value.isoformat() if isinstance(value, time) else str(value)
        match = _TIME.fullmatch(text)
        if not match:
            raise InvalidValue("must be a local time from 00:00 to 23:59:59, such as 09:00")
        hour, minute, second = map(int, match.groups("0"))
        return time(hour, minute, second)

    @field_validator("country")
    @classmethod
    def _check_country(cls, code: str | None) -> str | None:
        if code is not None and code not in (countries := _countries()):
            hint = suggest_nearest(code.upper(), sorted(countries))
            raise InvalidValue(
                "no holidays are known for it; give an ISO code such as 'JP'; {hint}", hint=hint
            )
        return code

    @field_validator("region")
    @classmethod
    def _check_region(cls, code: str | None, info: ValidationInfo) -> str | None:
        if code is None or "country" not in info.data:
            return code
        country = info.data["country"]
        if country is None:
            raise InvalidValue("needs `country`, the country of the region")
        if code not in (regions := _regions(country)):
            hint = (
                suggest_nearest(code.upper(), regions)
                if regions
                else Message("it has none, leave `region` out")
            )
            raise InvalidValue(
                "no region of {country} with holidays of its own; {hint}", country=country, hint=hint
            )
        return code

    @model_validator(mode="after")
    def _check_opening(self) -> Self:
        if self.opens >= self.closes:
            raise InvalidValue(
                "opens = {opens:%H:%M:%S} must lie before closes = {closes:%H:%M:%S}",
                opens=self.opens,
                closes=self.closes,
            )
        return self


def compute_deadline(start: int, hours: float, office: OfficeHours | None) -> int:
    """The moment that lies `hours` after `start`; both moments are ms UTC.

    Without an office these are clock hours. With one, only its opening hours count: a start while it is
    closed counts from the next opening, and hours that end exactly when it closes end there, not at the
    next opening. 0 hours give `start` itself, or the next opening.

    Raises ValueError for hours that are negative or not finite, for an office that does not open for
    `YEARS_CLOSED` years, and for business hours outside the years 2 to 9998.
    """
    if not 0 <= hours < math.inf:
        raise InvalidValue("hours must be 0 or more, and finite (got {hours})", hours=hours)
    counted = days_to_ms(hours / 24)
    if office is None:
        return int(start) + counted
    try:
        return _deadline_in_open_hours(int(start), counted, office)
    except OverflowError:
        problem = Message(
            "{hours} business hours after {start} ms do not lie in the years 2 to 9998",
            hours=hours,
            start=start,
        )
        raise InvalidValue(problem) from None


def _deadline_in_open_hours(start: int, remaining: int, office: OfficeHours) -> int:
    # The local date is never more than a day behind that of UTC.
    for year in _years(from_ms(start - MS_PER_DAY).year, office):
        i = bisect_left(year.closes, start)
        if i == len(year.closes):
            continue
        remaining += year.open_until[i] - (year.closes[i] - max(start, year.opens[i]))
        if remaining <= year.open_until[-1]:
            j = bisect_left(year.open_until, remaining, lo=i)
            return year.closes[j] - (year.open_until[j] - remaining)
        remaining -= year.open_until[-1]
    raise OverflowError


@dataclass(frozen=True, slots=True)
class _Year:
    """The open spans of the local days of a year, in order; ms UTC.

    `open_until` are the ms of opening hours in the year up to the end of each span.
    """

    opens: tuple[int, ...]
    closes: tuple[int, ...]
    open_until: tuple[int, ...]


def _years(first: int, office: OfficeHours) -> Iterator[_Year]:
    """The years from `first` on. Raises ValueError for too many years in a row without an opening."""
    closed = 0
    for number in range(first, MAXYEAR):
        year = _open_spans(office, number)
        closed = 0 if year.opens else closed + 1
        if closed == YEARS_CLOSED:
            raise InvalidValue(
                "the office does not open in the years {first} to {last}: [hours] "
                "has days = {days}, {opens:%H:%M} to {closes:%H:%M}, "
                "country = {country}",
                first=number - closed + 1,
                last=number,
                days=str(list(office.days)),
                opens=office.opens,
                closes=office.closes,
                country=office.country,
            )
        yield year


@lru_cache(maxsize=512)
def _open_spans(office: OfficeHours, number: int) -> _Year:
    local_spans = [(_ms(day, office.opens), _ms(day, office.closes)) for day in _days(office, number)]
    spans = [
        (max(opens - ahead, since), min(closes - ahead, until))
        for since, until, ahead in _split_at_clock_changes(ZoneInfo(office.time_zone), number)
        for opens, closes in local_spans
    ]
    spans = [(opens, closes) for opens, closes in spans if opens < closes]
    lengths = (closes - opens for opens, closes in spans)
    return _Year(tuple(o for o, _ in spans), tuple(c for _, c in spans), tuple(accumulate(lengths)))


def _ms(day: date, local_time: time) -> int:
    """A local time in ms, as though it were UTC."""
    return to_ms(datetime.combine(day, local_time, UTC))


def _days(office: OfficeHours, number: int) -> Iterator[date]:
    """The local days of a year on which the office opens."""
    free = _holidays(office.country, office.region, number)
    day = date(number, 1, 1)
    while day.year == number:
        if WEEKDAYS[day.weekday()] in office.days and day not in free:
            yield day
        day += timedelta(days=1)


def _holidays(country: str | None, region: str | None, number: int) -> frozenset[date]:
    """The public holidays of a year, including substitutes for those on a weekend."""
    if country is None:
        return frozenset()
    from holidays import country_holidays  # slow to import

    return frozenset(country_holidays(country, subdiv=region, years=number))


def _countries() -> frozenset[str]:
    """The countries with known holidays. Their names alone do not load the modules of all countries."""
    from holidays.registry import EntityLoader  # slow to import

    return frozenset(EntityLoader.get_country_codes())


def _regions(country: str) -> list[str]:
    """The regions of a country with known holidays."""
    from holidays import list_supported_countries  # slow to import

    return list_supported_countries()[country]


def _split_at_clock_changes(zone: ZoneInfo, number: int) -> Iterator[tuple[int, int, int]]:
    """The year and a day around it, split at clock changes: since, until, and the offset from UTC in ms."""
    since = to_ms(datetime(number, 1, 1, tzinfo=UTC)) - MS_PER_DAY
    end = to_ms(datetime(number + 1, 1, 1, tzinfo=UTC)) + MS_PER_DAY
    for day in range(since, end, MS_PER_DAY):
        if _utc_offset_ms(zone, day) != _utc_offset_ms(zone, day + MS_PER_DAY):
            change = _find_clock_change(zone, day)
            yield since, change, _utc_offset_ms(zone, day)
            since = change
    yield since, end, _utc_offset_ms(zone, end)


def _find_clock_change(zone: ZoneInfo, day: int) -> int:
    """The moment (ms UTC) of the clock change within 24 hours from `day`."""
    before = _utc_offset_ms(zone, day)
    moments = range(day, day + MS_PER_DAY)
    return moments[bisect_left(moments, True, key=lambda ms: _utc_offset_ms(zone, ms) != before)]


def _utc_offset_ms(zone: ZoneInfo, ms: int) -> int:
    """The offset of a zone from UTC at a moment, in ms."""
    ahead = from_ms(ms).astimezone(zone).utcoffset() or timedelta()
    return ahead // timedelta(milliseconds=1)
