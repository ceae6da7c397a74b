"""The months of an address, with their borders in the company's time zone."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from features.clock import to_ms
from serving.review.kpis.definitions import Period
from serving.review.kpis.months import Span, before

TOKYO = ZoneInfo("Asia/Tokyo")


def ms(told: str) -> int:
    return to_ms(datetime.fromisoformat(told))


NOW = ms("2026-11-26T12:00+09:00")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
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
def test_the_months_that_an_address_asks_for(asked: dict[str, str], first: str, last: str) -> None:
    told = Span.asked(asked, NOW, TOKYO)
    assert (told.first, told.last) == (first, last)


def test_a_month_begins_at_midnight_in_tokyo() -> None:
    told = Span("2026-09", "2026-09", TOKYO).period
    assert told == Period(ms("2026-09-01T00:00+09:00"), ms("2026-10-01T00:00+09:00"))
    assert told.holds(ms("2026-08-31T15:00+00:00"))
    assert not told.holds(ms("2026-09-30T15:00+00:00"))


def test_the_present_month_is_that_of_the_company() -> None:
    turn = ms("2026-10-31T15:00+00:00")  # the first of November in Tokyo
    assert Span.asked({}, turn, TOKYO).last == "2026-11"
    assert Span.asked({}, turn, ZoneInfo("UTC")).last == "2026-10"


def test_the_months_of_a_year_meet() -> None:
    told = Span("2026-01", "2026-03", TOKYO)
    assert told.months == ["2026-01", "2026-02", "2026-03"]
    assert (told.year[0], told.year[-1], len(told.year)) == ("2025-04", "2026-03", 12)
    assert told.borders[-1] == told.period.end
    assert told.borders[-4] == told.period.start
    assert (told.name, told.query) == ("2026-01 – 2026-03", "from=2026-01&to=2026-03")
    assert told.moved(-1) == Span("2025-12", "2026-02", TOKYO)
    assert Span("2026-03", "2026-03", TOKYO).of_months(3) == told


def test_a_change_of_the_clocks_moves_no_border() -> None:
    told = Span("2026-03", "2026-03", ZoneInfo("Europe/Berlin")).period
    assert told == Period(ms("2026-03-01T00:00+01:00"), ms("2026-04-01T00:00+02:00"))


@pytest.mark.parametrize(
    ("months", "told"), [(0, "2026-01"), (1, "2025-12"), (-1, "2026-02"), (13, "2024-12")]
)
def test_months_are_counted_over_the_turn_of_the_year(months: int, told: str) -> None:
    assert before("2026-01", months) == told
