from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from features.clock import MS_PER_DAY, NEVER
from features.crm.parsing import as_times
from features.crm.values.closes import end_of_days
from features.crm.values.formats import TimeFormat, check_time_format
from features.crm.values.times import parse_times
from tests.helpers.builders import ms

UTC, TOKYO = ZoneInfo("UTC"), ZoneInfo("Asia/Tokyo")
NOON, MIDNIGHT = ms(2026, 11, 24, 14, 5), ms(2026, 11, 24)


def column(*values: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


@pytest.mark.parametrize(
    ("time_format", "text"),
    [
        ("%d/%m/%Y", "24/11/2026 14:05"),
        ("%d/%m/%Y", "24/11/2026, 2:05 pm"),
        ("%m/%d/%Y", "11/24/2026 02:05 PM"),
        ("%m/%d/%Y", "11/24/2026 2:05:00 p.m."),
        ("%m/%d/%y", "11/24/26 14:05"),
        ("%d.%m.%Y", "24.11.2026 14.05"),
        ("%d.%m.%Y", "24.11.2026 14:05:00.000000000"),
        ("%d-%m-%Y", "24-11-2026T14:05"),
        ("%d %m %Y", "24 11 2026 14:05"),
        ("%d.%m.%Y", "14:05 24.11.2026"),
        ("%Y.%m.%d", "2026. 11. 24. 14:05"),
        ("%d %b %Y", "24Nov2026 14:05"),
        ("%b %d %Y", "Tue Nov 24 14:05:00 UTC 2026"),
        ("%Y%m%d", "202611241405"),
        ("%Y%m%d", "20261124140500"),
        ("%Y%m%d", "20261124 14:05"),
        ("%d %b %Y", "24 Nov, 2026 14:05:00"),
        ("%d %b %Y", "24-Nov-2026 14:05"),
        ("%d %b %Y", "24. November 2026 14:05"),
        ("%d %b %Y", "24 de noviembre de 2026 14:05"),
        ("%d %b %Y", "Tue, 24 Nov 2026 14:05:00 GMT"),
        ("%b %d %Y", "Nov 24, 2026 2:05 PM"),
        ("%b %d %Y", "November 24th, 2026 at 2:05 PM"),
        ("%b %d %Y", "Tue Nov 24 2026 23:05:00 GMT+0900 (Japan Standard Time)"),
        ("%Y年%m月%d日", "2026年11月24日 14時05分"),
        ("%Y年%m月%d日", "2026年11月24日(火) 午後2:05"),
        ("%Y年%m月%d日", "２０２６年１１月２４日　１４：０５"),
        ("%Y/%m/%d", "2026/11/24 午後2時5分"),
        ("japanese", "令和8年11月24日 14:05"),
        ("japanese", "R8.11.24 14:05"),
        ("excel", "46350.586805555555"),
        ("epoch_s", str(NOON // 1000)),
        ("epoch_ms", str(NOON)),
        ("epoch_us", f"{NOON}000"),
        ("epoch_ns", f"{NOON}000000"),
        ("%d/%m/%Y %H:%M", "24/11/2026 14:05"),
    ],
)
def test_a_time_is_read_in_its_format(time_format: str, text: str) -> None:
    assert parse_times(column(text, None), time_format, UTC).tolist() == [NOON, NEVER]


@pytest.mark.parametrize(
    ("time_format", "text"),
    [
        ("%d/%m/%Y", "11/24/2026"),
        ("%d/%m/%Y", "31/04/2026"),
        ("%d/%m/%Y", "29/02/2026"),
        ("%d/%m/%Y", "2026-11-24"),
        ("%d/%m/%Y", "24/11/2026 25:00"),
        ("%d/%m/%Y", "24/11/2026 14"),
        ("%d/%m/%Y", "24/11/26"),
        ("%d %m %Y", "24112026"),
        ("%m/%d/%Y", "11/24/2026 13:05 AM"),
        ("%d %b %Y", "24 Nix 2026"),
        ("japanese", "明日8年11月24日"),
        ("excel", "0"),
        ("excel", "24286:35:06"),
        ("%Y%m%d", "20261324"),
        ("epoch_ms", "soon"),
    ],
)
def test_what_is_no_time_of_the_format_is_not_guessed(time_format: str, text: str) -> None:
    assert parse_times(column(text), time_format, UTC).tolist() == [NEVER]


def test_a_time_without_offset_is_of_the_zone_and_one_with_an_offset_keeps_it() -> None:
    texts = column("24.11.2026 14:05", "24.11.2026 14:05 +09:00", "24.11.2026 05:05Z", "24.11.2026 14:05 JST")
    assert parse_times(texts, "%d.%m.%Y", TOKYO).tolist() == [NOON - 9 * 3_600_000] * 4
    assert parse_times(texts, "%d.%m.%Y", UTC).tolist() == [NOON] + [NOON - 9 * 3_600_000] * 3


def test_midnight_and_noon_of_a_clock_of_twelve_hours() -> None:
    texts = column("11/24/2026 12:00 AM", "11/24/2026 12:00 PM", "11/24/2026 12 AM")
    assert parse_times(texts, "%m/%d/%Y", UTC).tolist() == [MIDNIGHT, MIDNIGHT + MS_PER_DAY // 2, MIDNIGHT]


def test_several_formats_read_what_the_first_of_them_fits() -> None:
    formats: TimeFormat = ("iso", "%d.%m.%Y", "%b %d %Y")
    parsed = as_times(
        column("2026-11-24", "24.11.2026", "Nov 24, 2026", "24/11/2026", ""), {""}, UTC, formats
    )
    assert parsed.values.tolist() == [MIDNIGHT, MIDNIGHT, MIDNIGHT, NEVER, NEVER]
    assert parsed.unreadable.tolist() == [False, False, False, True, False]


def test_a_date_of_zeros_is_missing() -> None:
    parsed = as_times(column("0000-00-00 00:00:00", "2026-11-24", "0000-00-00"), {""}, UTC, None)
    assert parsed.values.tolist() == [NEVER, MIDNIGHT, NEVER]
    assert not parsed.unreadable.any()


def test_numbers_that_come_typed_are_read_by_their_format() -> None:
    assert as_times(pa.chunked_array([[46350.5]]), {""}, TOKYO, "excel").values[0] == MIDNIGHT + 3 * 3_600_000
    assert as_times(pa.chunked_array([[NOON // 1000]]), {""}, TOKYO, "epoch_s").values[0] == NOON


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("DD/MM/YYYY", "write %d/%m/%Y"),
        ("yyyy-mm-dd hh:mm:ss", "write %Y-%m-%d %H:%M:%S"),
        ("mixed", "or one of iso, excel"),
        ("ISO8601", "or one of iso, excel"),
        ("", "has no % codes"),
    ],
)
def test_words_that_are_no_format_are_refused_with_advice(words: str, advice: str) -> None:
    with pytest.raises(ValueError, match="has no % codes") as problem:
        check_time_format(words)
    assert advice in str(problem.value)


def test_a_close_without_a_clock_is_the_end_of_its_day() -> None:
    texts = column("2026-11-24", "2026-11-24 00:00", "2026-11-25 09:30")
    starts = as_times(texts, (), TOKYO, None).values.astype("int64")
    day = ms(2026, 11, 23, 15)
    assert end_of_days(starts, texts, TOKYO).tolist() == [day + MS_PER_DAY - 1, day, ms(2026, 11, 25, 0, 30)]


@pytest.mark.parametrize(
    ("time_format", "text"),
    [
        ("%d %b %Y", "24 Nov 2026"),
        ("%d/%m/%Y", "24/11/2026"),
        ("%b %d %Y", "November 24, 2026"),
        ("japanese", "令和8年11月24日"),
        ("%Y%m%d", "20261124"),
        ("excel", "46350"),
    ],
)
def test_a_day_in_any_format_is_known_as_a_day(time_format: str, text: str) -> None:
    texts = column(text)
    times_ms = parse_times(texts, time_format, UTC)
    assert end_of_days(times_ms, texts, UTC).tolist() == [MIDNIGHT + MS_PER_DAY - 1]


def test_where_every_clock_says_midnight_the_times_are_days() -> None:
    for zone, start in ((TOKYO, ms(2026, 11, 23, 15)), (UTC, MIDNIGHT)):
        texts = column(*["2026-11-24 00:00:00"] * 30)
        times_ms = as_times(texts, (), zone, None).values.astype("int64")
        assert set(end_of_days(times_ms, texts, zone).tolist()) == {start + MS_PER_DAY - 1}
    texts = column(*["2026-11-24T00:00:00Z"] * 30)  # a date that an API sends as midnight of UTC
    times_ms = as_times(texts, (), TOKYO, None).values.astype("int64")
    assert set(end_of_days(times_ms, texts, TOKYO).tolist()) == {ms(2026, 11, 24, 15) - 1}


def test_the_day_that_the_clocks_change_ends_at_its_last_ms() -> None:
    berlin, texts = ZoneInfo("Europe/Berlin"), column("2026-10-25")
    times_ms = as_times(texts, (), berlin, None).values.astype("int64")
    assert end_of_days(times_ms, texts, berlin).tolist() == [ms(2026, 10, 25, 23) - 1]
