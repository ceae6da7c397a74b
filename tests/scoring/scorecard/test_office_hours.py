"""Deadlines in clock hours and in open hours, against a clock that is read minute by minute."""

from collections.abc import Container
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from holidays import HolidayBase, country_holidays
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from features.clock import NEVER, from_ms, to_ms
from scoring.scorecard.office_hours import WEEKDAYS, OfficeHours, compute_deadline

MINUTE = 60_000
HOUR = 60 * MINUTE

TOKYO = OfficeHours(time_zone="Asia/Tokyo", country="JP")
BERLIN = OfficeHours(time_zone="Europe/Berlin", days=WEEKDAYS)
NEW_YORK = OfficeHours(time_zone="America/New_York", days=WEEKDAYS, country="US")


def make_night_office(zone: str, opens: str, closes: str, **more: Any) -> OfficeHours:
    """An office that is open while clocks change."""
    options = {"time_zone": zone, "days": list(WEEKDAYS), "opens": opens, "closes": closes, **more}
    return OfficeHours.model_validate(options)


OFFICES = [
    OfficeHours(),
    TOKYO,
    BERLIN,
    NEW_YORK,
    make_night_office("Europe/Berlin", "02:30", "02:45", days=["sun"]),
    make_night_office("Europe/Berlin", "00:00", "02:30"),
    make_night_office("America/New_York", "01:15", "23:59:59"),
    make_night_office("Australia/Lord_Howe", "01:50", "02:10", days=["sat", "sun"]),
    make_night_office("Pacific/Kiritimati", "00:00", "01:00", days=["thu", "fri"]),
    make_night_office("Etc/GMT+12", "22:00", "23:30", days=["wed"]),
]


def parse_office_ms(text: str, office: OfficeHours) -> int:
    """Local time in the office, as ms UTC."""
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(office.time_zone)))


def format_office_time(ms: int, office: OfficeHours) -> str:
    return f"{from_ms(ms).astimezone(ZoneInfo(office.time_zone)):%Y-%m-%d %H:%M}"


@cache
def calendar(country: str | None) -> Container[date]:
    return HolidayBase() if country is None else country_holidays(country)


def is_open(ms: int, office: OfficeHours) -> bool:
    """Whether the clock on the wall and the calendar beside it say so."""
    now = from_ms(ms).astimezone(ZoneInfo(office.time_zone))
    on = WEEKDAYS[now.weekday()] in office.days and now.date() not in calendar(office.country)
    return on and office.opens <= now.time() < office.closes


# -- examples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [0, 0.5, 1, 24, 1000.25])
def test_clock_hours_know_no_office(hours: float) -> None:
    saturday = parse_office_ms("2026-10-03 23:00", TOKYO)
    assert compute_deadline(saturday, hours, None) == saturday + hours * HOUR


@pytest.mark.parametrize(
    ("start", "hours", "expected"),
    [
        ("2026-10-02 17:30", 2, "2026-10-05 10:30"),  # over a weekend
        ("2026-10-03 12:00", 1, "2026-10-05 10:00"),  # from a Saturday
        ("2026-10-04 23:59", 0, "2026-10-05 09:00"),
        ("2026-10-05 06:00", 1, "2026-10-05 10:00"),  # before opening
        ("2026-10-05 09:00", 0, "2026-10-05 09:00"),
        ("2026-10-05 20:00", 1, "2026-10-06 10:00"),  # after closing
        ("2026-10-05 18:00", 1, "2026-10-06 10:00"),  # just when it closes
        ("2026-10-05 18:00", 0, "2026-10-05 18:00"),
        ("2026-10-05 12:34", 0, "2026-10-05 12:34"),
        ("2026-10-05 17:00", 1, "2026-10-05 18:00"),  # ends just when it closes
        ("2026-10-05 09:00", 18, "2026-10-06 18:00"),
        ("2026-10-05 09:00", 45, "2026-10-09 18:00"),
        ("2026-11-03 10:00", 1, "2026-11-04 10:00"),  # from Culture Day
        ("2026-11-02 17:00", 1.5, "2026-11-04 09:30"),  # over Culture Day
        ("2026-05-01 17:30", 1, "2026-05-07 09:30"),  # over Golden Week and its substitute day
        ("2026-12-31 17:00", 2, "2027-01-04 10:00"),  # only New Year's Day is a legal holiday
        ("2026-12-28 09:00", 36, "2026-12-31 18:00"),
    ],
)
def test_open_hours_in_tokyo(start: str, hours: float, expected: str) -> None:
    assert (
        format_office_time(compute_deadline(parse_office_ms(start, TOKYO), hours, TOKYO), TOKYO) == expected
    )


def test_a_region_has_holidays_of_its_own() -> None:
    epiphany = "2026-01-06 10:00"
    for region, expected in (
        ("BY", "2026-01-07 10:00"),
        ("BE", "2026-01-06 11:00"),
        (None, "2026-01-06 11:00"),
    ):
        office = OfficeHours(time_zone="Europe/Berlin", country="DE", region=region)
        assert (
            format_office_time(compute_deadline(parse_office_ms(epiphany, office), 1, office), office)
            == expected
        )


def test_a_day_off_for_next_years_holiday_counts() -> None:
    """New Year's Day 2022 was a Saturday, so Friday the 31st was off in the United States."""
    office = OfficeHours(time_zone="America/New_York", country="US")
    assert (
        format_office_time(compute_deadline(parse_office_ms("2021-12-30 17:30", office), 1, office), office)
        == "2022-01-03 09:30"
    )


@pytest.mark.parametrize(
    ("office", "start", "hours", "expected", "clock_hours"),
    [
        (BERLIN, "2026-03-28 17:00", 2, "2026-03-29 10:00", 16),  # the night has 23 hours of a day
        (BERLIN, "2026-10-24 17:00", 2, "2026-10-25 10:00", 18),
        (BERLIN, "2026-03-27 09:00", 27, "2026-03-29 18:00", 56),
        (NEW_YORK, "2026-03-07 17:00", 2, "2026-03-08 10:00", 16),
        (NEW_YORK, "2026-10-31 17:00", 2, "2026-11-01 10:00", 18),
        # 02:00 to 03:00 does not exist: open from 03:00 on, which is 01:00 UTC.
        (make_night_office("Europe/Berlin", "02:30", "06:00"), "2026-03-29 01:00", 0, "2026-03-29 03:00", 1),
        (make_night_office("Europe/Berlin", "02:30", "06:00"), "2026-03-29 01:00", 3, "2026-03-29 06:00", 4),
        (make_night_office("Europe/Berlin", "01:00", "02:30"), "2026-03-29 01:00", 1, "2026-03-29 03:00", 1),
        (make_night_office("Europe/Berlin", "01:00", "02:30"), "2026-03-29 01:00", 2, "2026-03-30 02:00", 24),
        (
            make_night_office("Europe/Berlin", "02:10", "02:50"),
            "2026-03-29 00:00",
            0,
            "2026-03-30 02:10",
            25.1667,
        ),
        # 02:00 to 03:00 comes twice.
        (make_night_office("Europe/Berlin", "01:00", "04:00"), "2026-10-25 01:00", 4, "2026-10-25 04:00", 4),
        # A local year that begins 14 hours before UTC's, and one that begins 12 hours after it.
        (
            make_night_office("Pacific/Kiritimati", "00:00", "01:00"),
            "2026-12-31 23:30",
            0.5,
            "2027-01-01 00:30",
            1,
        ),
        (make_night_office("Etc/GMT+12", "22:00", "23:00"), "2026-12-31 23:30", 0.5, "2027-01-01 22:30", 23),
        # A local day that does not exist: Samoa went from the 29th to the 31st.
        (make_night_office("Pacific/Apia", "09:00", "18:00"), "2011-12-29 17:00", 2, "2011-12-31 10:00", 17),
    ],
)
def test_clocks_that_change(
    office: OfficeHours, start: str, hours: float, expected: str, clock_hours: float
) -> None:
    begun = parse_office_ms(start, office)
    end = compute_deadline(begun, hours, office)
    assert format_office_time(end, office) == expected
    assert (end - begun) / HOUR == pytest.approx(clock_hours, abs=1e-3)


def test_thousands_of_hours_over_years() -> None:
    weekly = OfficeHours(days=("mon",), opens=time(9), closes=time(10))
    start = parse_office_ms("2026-10-05 09:00", weekly)
    assert from_ms(compute_deadline(start, 5000, weekly)) - from_ms(start) == timedelta(weeks=4999, hours=1)


def test_a_moment_may_come_from_an_array() -> None:
    start = parse_office_ms("2026-10-02 17:30", TOKYO)
    for office in (TOKYO, None):
        end = compute_deadline(np.int64(start), 2, office)  # type: ignore[arg-type]
        assert type(end) is int
        assert end == compute_deadline(start, 2, office)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-1, -1e-9, float("nan"), float("inf")])
@pytest.mark.parametrize("office", [None, TOKYO])
def test_hours_are_checked(hours: float, office: OfficeHours | None) -> None:
    with pytest.raises(ValueError, match=rf"hours must be 0 or more, and finite \(got {hours}\)"):
        compute_deadline(0, hours, office)


def test_an_office_that_never_opens_ends_in_an_error() -> None:
    never = OfficeHours.model_construct(days=())
    message = "the office does not open in the years 2026 to 2030: .hours. has days = ..,"
    with pytest.raises(ValueError, match=message):
        compute_deadline(parse_office_ms("2026-10-05 09:00", TOKYO), 1, never)


@pytest.mark.parametrize("start", [NEVER, -NEVER, to_ms(from_ms(0).replace(year=9999))])
def test_a_start_beyond_the_calendar_is_an_error(start: int) -> None:
    with pytest.raises(ValueError, match="do not lie in the years 2 to 9998"):
        compute_deadline(start, 1, TOKYO)


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({"time_zone": "Asia/Tokio"}, "time_zone", "no such time zone; nearest: 'Asia/Tokyo'"),
        ({"days": []}, "days", "give one weekday or more: 'mon', 'tue'"),
        ({"days": ["mon", "tue", "mon"]}, "days", "each weekday may stand once; more than once: mon"),
        ({"days": "mon"}, "days", "valid tuple"),
        ({"opens": 9}, "opens", "must be a local time from 00:00 to 23:59:59, such as 09:00"),
        ({"opens": "9 am"}, "opens", "must be a local time"),
        ({"opens": "09:60"}, "opens", "must be a local time"),
        ({"opens": "09:00+09:00"}, "opens", "must be a local time"),
        ({"opens": time(9, 0, 0, 1)}, "opens", "must be a local time"),
        ({"closes": "24:00"}, "closes", "must be a local time"),
        ({"closes": date(2026, 10, 1)}, "closes", "must be a local time"),
        ({"opens": "19:00"}, None, "opens = 19:00:00 must lie before closes = 18:00:00"),
        ({"opens": "12:00", "closes": "12:00"}, None, "must lie before closes = 12:00:00"),
        ({"country": "Japan"}, "country", "an ISO code such as 'JP'; nearest: .*'JPN'"),
        ({"country": "jp"}, "country", "nearest: 'JP'"),
        ({"country": "xx", "region": "BY"}, "country", "no holidays are known for it"),
        ({"region": "BY"}, "region", "needs `country`, the country of the region"),
        ({"country": None, "region": "BY"}, "region", "needs `country`, the country of the region"),
        ({"country": "DE", "region": "by"}, "region", "no region of DE .*; nearest: 'BY'"),
        ({"country": "JP", "region": "13"}, "region", "no region of JP .*; it has none"),
        ({"holidays": True}, "holidays", "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_have_one_clear_message(
    options: dict[str, Any], field: str | None, message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as problem:
        OfficeHours.model_validate(options)
    (error,) = problem.value.errors()
    assert error["loc"] == ((field,) if field else ())
    # Whoever shows the error adds the value of the key, as `features.settings` does.
    assert field is None or error["input"] == options[field]


@pytest.mark.parametrize("before", [[], ["mon"]])
def test_a_weekday_that_is_none_is_named(before: list[str]) -> None:
    with pytest.raises(ValidationError, match=r"'mon', 'tue'.*or 'sun'") as problem:
        OfficeHours.model_validate({"days": [*before, "Tue"]})
    (error,) = problem.value.errors()
    assert (error["loc"], error["input"]) == (("days", len(before)), "Tue")


def test_settings_read_alike_as_text_time_and_json() -> None:
    as_text = OfficeHours.model_validate({"opens": "8:30", "closes": "17:00:05"})
    as_time = OfficeHours(opens=time(8, 30), closes=time(17, 0, 5))
    assert as_text == as_time
    assert OfficeHours.model_validate_json(as_time.model_dump_json()) == as_time
    assert (OfficeHours().opens, OfficeHours().closes) == (time(9), time(18))
    assert OfficeHours().days == ("mon", "tue", "wed", "thu", "fri")


# -- properties ----------------------------------------------------------------------------------

in_its_own_time = settings(deadline=None)  # a first call lists the year's holidays
offices = st.sampled_from(OFFICES)
# 2019 to 2033, often near a change of clocks or the turn of a year.
turns = st.sampled_from(
    [
        "2026-03-29 01:00",
        "2026-10-25 01:00",
        "2026-03-08 07:00",
        "2026-11-01 06:00",
        "2026-04-04 15:00",
        "2026-10-03 15:30",
        "2027-01-01 00:00",
    ]
).map(lambda text: parse_office_ms(text, OfficeHours()))
starts = st.integers(1_546_300_800_000, 1_988_150_400_000) | st.builds(
    int.__add__, turns, st.integers(-48 * HOUR, 48 * HOUR)
)
lengths = st.integers(0, 400 * HOUR) | st.integers(0, 3 * 24 * 4).map(lambda n: n * 15 * MINUTE)
"""Whole milliseconds, so that sums of hours are exact."""


@given(offices, starts, starts, lengths)
@in_its_own_time
def test_a_later_start_is_never_due_earlier(office: OfficeHours, one: int, second: int, length: int) -> None:
    early, late = sorted((one, second))
    assert (
        early
        <= compute_deadline(early, length / HOUR, office)
        <= compute_deadline(late, length / HOUR, office)
    )


@given(offices, starts, lengths, lengths)
@in_its_own_time
def test_more_hours_are_due_later(office: OfficeHours, start: int, one: int, more: int) -> None:
    first, second = (
        compute_deadline(start, one / HOUR, office),
        compute_deadline(start, (one + more) / HOUR, office),
    )
    assert second - first >= more


@given(offices, starts, lengths, lengths)
@in_its_own_time
def test_hours_add_up(office: OfficeHours, start: int, one: int, more: int) -> None:
    halfway = compute_deadline(start, one / HOUR, office)
    assert compute_deadline(halfway, more / HOUR, office) == compute_deadline(
        start, (one + more) / HOUR, office
    )


@given(offices, starts, lengths)
@in_its_own_time
def test_a_deadline_lies_in_open_hours_or_just_at_their_end(
    office: OfficeHours, start: int, length: int
) -> None:
    end = compute_deadline(start, length / HOUR, office)
    assert is_open(end, office) or is_open(end - 1, office)


@given(offices, turns, st.data())
@in_its_own_time
def test_a_clock_read_every_minute_agrees(office: OfficeHours, turn: int, data: st.DataObject) -> None:
    start = turn + data.draw(st.integers(-26 * 60, 26 * 60)) * MINUTE
    end = start + data.draw(st.integers(1, 3 * 24 * 60)) * MINUTE
    if office.closes.second:
        office = office.model_copy(update={"closes": time(23, 59)})
    open_minutes = sum(is_open(ms, office) for ms in range(start, end, MINUTE))
    expected = end
    while expected > start and not is_open(expected - MINUTE, office):
        expected -= MINUTE
    if open_minutes:
        assert compute_deadline(start, open_minutes / 60, office) == expected
    else:
        assert compute_deadline(start, 0, office) >= end or is_open(start - MINUTE, office)
