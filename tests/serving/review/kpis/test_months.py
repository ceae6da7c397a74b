"""The months of an address, with their borders in the company's time zone."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from features.clock import to_ms
from serving.review.kpis.definitions import Period
from serving.review.kpis.months import MonthRange, months_before

TOKYO = ZoneInfo("Asia/Tokyo")


def ms(text: str) -> int:
    return to_ms(datetime.fromisoformat(text))


NOW = ms("2026-11-26T12:00+09:00")


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ({}, "2026-11", "2026-11"),
        ({"month": "2026-09"}, "2026-09", "2026-09"),
        ({"month": "2026-12"}, "2026-11", "2026-11"),
        ({"month": "soon"}, "2026-11", "2026-11"),
        ({"month": "0000-01"}, "2026-11", "2026-11"),
        ({"month": "２０２６-09"}, "2026-11", "2026-11"),
        ({"from": "2026-08", "to": "2026-10"}, "2026-08", "2026-10"),
        ({"from": "2026-08"}, "2026-08", "2026-11"),
        ({"from": "2026-10", "to": "2026-08"}, "2026-08", "2026-08"),
        ({"from": "2025-12"}, "2025-12", "2026-11"),
        ({"from": "2025-11"}, "2026-11", "2026-11"),
        ({"from": "' OR 1=1", "to": "2026-08"}, "2026-08", "2026-08"),
    ],
)
def test_the_months_that_an_address_asks_for(query: dict[str, str], first: str, last: str) -> None:
    span = MonthRange.from_query(query, NOW, TOKYO)
    assert (span.first, span.last) == (first, last)


def test_a_month_begins_at_midnight_in_tokyo() -> None:
    period = MonthRange("2026-09", "2026-09", TOKYO).period
    assert period == Period(ms("2026-09-01T00:00+09:00"), ms("2026-10-01T00:00+09:00"))
    assert period.contains(ms("2026-08-31T15:00+00:00"))
    assert not period.contains(ms("2026-09-30T15:00+00:00"))


def test_the_present_month_is_that_of_the_company() -> None:
    turn = ms("2026-10-31T15:00+00:00")  # the first of November in Tokyo
    assert MonthRange.from_query({}, turn, TOKYO).last == "2026-11"
    assert MonthRange.from_query({}, turn, ZoneInfo("UTC")).last == "2026-10"


def test_the_months_of_a_year_meet() -> None:
    span = MonthRange("2026-01", "2026-03", TOKYO)
    assert span.months == ["2026-01", "2026-02", "2026-03"]
    assert (span.year[0], span.year[-1], len(span.year)) == ("2025-04", "2026-03", 12)
    assert span.borders[-1] == span.period.end
    assert span.borders[-4] == span.period.start
    assert (span.name, span.query) == ("2026-01 – 2026-03", "from=2026-01&to=2026-03")
    assert span.shift(-1) == MonthRange("2025-12", "2026-02", TOKYO)
    assert MonthRange("2026-03", "2026-03", TOKYO).last_months(3) == span


def test_a_change_of_the_clocks_moves_no_border() -> None:
    period = MonthRange("2026-03", "2026-03", ZoneInfo("Europe/Berlin")).period
    assert period == Period(ms("2026-03-01T00:00+01:00"), ms("2026-04-01T00:00+02:00"))


@pytest.mark.parametrize(
    ("months", "expected"), [(0, "2026-01"), (1, "2025-12"), (-1, "2026-02"), (13, "2024-12")]
)
def test_months_are_counted_over_the_turn_of_the_year(months: int, expected: str) -> None:
    assert months_before("2026-01", months) == expected
