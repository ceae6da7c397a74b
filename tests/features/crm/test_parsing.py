import datetime as dt
import math
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import NEVER
from features.crm import parsing
from features.crm.parsing import as_numbers, as_texts, as_times, encode_column
from features.numbers import FULL_WIDTH
from serving.leads.field_types import parse_number
from tests.helpers.builders import ms

UTC, TOKYO, BERLIN = ZoneInfo("UTC"), ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")


def column(*values: object, kind: Any = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def times(*values: object, zone: ZoneInfo = UTC, form: str | None = None) -> list[int | None]:
    parsed = as_times(column(*values), {"", "N/A"}, zone, form)
    assert not (parsed.unreadable & (parsed.values != NEVER)).any()
    return [None if v == NEVER else int(v) for v in parsed.values]


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-01 09:30",
        "2026-10-01T09:30:00",
        "2026/10/01 09:30",
        "2026/10/1 9:30",
        "2026-10-01 09:30:00.000",
        "2026-10-01 9:30",
        " 2026-10-01 09:30 ",
    ],
)
def test_times_without_offset_are_of_the_zone(text: str) -> None:
    assert times(text, zone=TOKYO) == [ms(2026, 10, 1, 0, 30)]
    assert times(text, zone=UTC) == [ms(2026, 10, 1, 9, 30)]


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-01T09:30:00Z",
        "2026-10-01 11:30+02:00",
        "2026-10-01 18:30:00+0900",
        "2026-10-01 18:30:00+09",
        "2026-10-01 18:30:00.000 +09:00",
        "2026/10/1 5:30-04:00",
        "2026-10-01 09:30:00 UTC",
    ],
)
def test_offsets_are_kept_whatever_the_zone(text: str) -> None:
    assert times(text, zone=TOKYO) == [ms(2026, 10, 1, 9, 30)]


def test_times_with_and_without_offsets_stand_in_one_column() -> None:
    texts = ("2026-10-01 09:30:00+09", "2026-10-01", "2026-10-01 00:30Z", "", "soon", "2026-13-01")
    midnight = ms(2026, 9, 30, 15)
    expected = [ms(2026, 10, 1, 0, 30), midnight, ms(2026, 10, 1, 0, 30), None, None, None]
    assert times(*texts, zone=TOKYO) == expected


def test_only_what_stood_there_and_was_no_time_is_unreadable() -> None:
    parsed = as_times(column("2026-10-01", "N/A", None, "soon"), {"", "N/A"}, UTC, None)
    assert parsed.unreadable.tolist() == [False, False, False, True]


def test_summer_time_shifts_repeats_and_skips_hours() -> None:
    assert times("2026-07-01 12:00", "2026-12-01 12:00", zone=BERLIN) == [
        ms(2026, 7, 1, 10),
        ms(2026, 12, 1, 11),
    ]
    repeated, skipped = "2026-10-25 02:30", "2026-03-29 02:30"
    assert times(repeated, skipped, zone=BERLIN) == [ms(2026, 10, 25, 0, 30), ms(2026, 3, 29, 1)]


def test_a_time_format_is_followed_and_other_forms_are_not_guessed() -> None:
    assert times("01/10/2026", "2026-10-01", zone=TOKYO, form="%d/%m/%Y") == [ms(2026, 9, 30, 15), None]


def test_a_long_column_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*(f"{day:02d}/11/2026" for day in range(1, 8)), "no date", None]
    array = pa.chunked_array([pa.array(texts)])
    expected = as_times(array, (), UTC, "%d/%m/%Y")
    monkeypatch.setattr(parsing, "_ROWS_AT_ONCE", 2)
    parts = as_times(array, (), UTC, "%d/%m/%Y")
    assert parts.values.tolist() == expected.values.tolist()
    assert parts.unreadable.tolist() == [False] * 7 + [True, False]


def test_a_time_format_with_offsets_may_mix_them() -> None:
    texts = ("01/10/2026 09:00 +0900", "01/10/2026 09:00 +0000")
    assert times(*texts, zone=BERLIN, form="%d/%m/%Y %H:%M %z") == [ms(2026, 10, 1), ms(2026, 10, 1, 9)]


def test_times_that_come_typed_keep_their_zone_or_get_the_one_of_crm_toml() -> None:
    naive, aware = dt.datetime(2026, 10, 1, 9), dt.datetime(2026, 10, 1, 9, tzinfo=dt.UTC)
    assert times(naive, None, zone=TOKYO) == [ms(2026, 10, 1), None]
    assert times(aware, zone=TOKYO) == [ms(2026, 10, 1, 9)]
    assert times(dt.date(2026, 10, 1), zone=TOKYO) == [ms(2026, 9, 30, 15)]
    assert times(20261001) == [ms(2026, 10, 1)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,200", 1200),
        ("1,234,567.5", 1234567.5),
        ("-1,200", -1200),
        ("2.50", 2.5),
        ("1e3", 1000),
        (" 7 ", 7),
        ("1,20", None),
        ("12,34", None),
        ("1_000", None),
        ("inf", None),
        ("abc", None),
    ],
)
def test_texts_as_numbers(text: str, value: float | None) -> None:
    parsed = as_numbers(column(text), {""})
    assert parsed.unreadable[0] == (value is None)
    assert np.isnan(parsed.values[0]) if value is None else parsed.values[0] == value


@pytest.mark.parametrize(
    "values", [("999", "5", ""), (999, 5, None), (999.0, 5.0, None), (Decimal(999), Decimal(5), None)]
)
def test_missing_values_are_missing_in_every_type(values: tuple[object, ...]) -> None:
    parsed = as_numbers(column(*values), {"", "999"})
    assert np.isnan(parsed.values).tolist() == [True, False, True]
    assert not parsed.unreadable.any()
    assert as_texts(column(*values), {"", "999"}).to_pylist() == [None, "5", None]


def test_an_infinite_number_cannot_be_used() -> None:
    parsed = as_numbers(column(1.0, math.inf, -math.inf), ())
    assert parsed.unreadable.tolist() == [False, True, True]
    assert np.isnan(parsed.values).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((5, None), ["5", None]),
        ((5.0, 2.5, None), ["5", "2.5", None]),
        ((12345678901.0, None), ["12345678901", None]),
        ((Decimal("5.00"),), ["5"]),
        ((Decimal(12345678901234567890),), ["12345678901234567890"]),
        ((True, False), ["true", "false"]),
        ((b"x",), ["b'x'"]),
        (([1, 2], None), ["[1, 2]", None]),
        (({"a": 1},), ["{'a': 1}"]),
        ((None,), [None]),
        ((uuid.UUID(int=1),), ["00000000-0000-0000-0000-000000000001"]),
    ],
)
def test_values_of_every_type_have_one_text(values: tuple[object, ...], expected: list[object]) -> None:
    assert as_texts(column(*values), ()).to_pylist() == expected


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_categories_come_in_the_order_of_their_first_appearance(kind: pa.DataType) -> None:
    actual = encode_column(column("b", " a", "N/A", "b", None, kind=kind), {"N/A"})
    assert actual.categories == ("b", "a")
    assert actual.to_list() == ["b", "a", None, "b", None]
    assert as_texts(column("b", kind=kind), ()).type == pa.string()


def test_an_empty_column_is_read_as_every_sort() -> None:
    empty = pa.chunked_array([], pa.string())
    assert len(encode_column(empty, {""})) == 0
    assert len(as_numbers(empty, {""}).values) == 0
    assert len(as_times(empty, {""}, TOKYO, None).values) == 0


@pytest.mark.parametrize("text", ["1,200.5", "１，２００．５", "1２00.5", "+１200.５"])
def test_full_width_digits_are_numbers(text: str) -> None:
    parsed = as_numbers(column(text, None, "N/A", "ｍany"), {"", "N/A"})
    assert parsed.values[0] == 1200.5
    assert np.isnan(parsed.values[1:]).all()
    assert parsed.unreadable.tolist() == [False, False, False, True]


@given(st.floats(-1e14, 1e14).map(lambda value: round(value, 3)), st.booleans(), st.booleans())
def test_a_file_and_a_request_read_numbers_alike(value: float, grouped: bool, wide: bool) -> None:
    text = f"{value:,.3f}" if grouped else f"{value:.3f}"
    wide_text = text.translate(
        {ord(half): full for full, half in ((chr(k), v) for k, v in FULL_WIDTH.items())}
    )
    sent_text = wide_text if wide else text
    parsed = as_numbers(column(sent_text), set()).values[0]
    assert parsed == parse_number(sent_text, ()) == float(text.replace(",", ""))


@pytest.mark.parametrize("rows_at_once", [1, 4, 1_000])
@pytest.mark.parametrize(
    "words", [("1,200", "１２", None, "x", " 7 ", "N/A"), ("2026-10-01", "2026/1/5 9:30", "x", "")]
)
def test_a_repeated_value_is_read_as_a_single_one_is(
    words: tuple[str | None, ...], rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "_ROWS_AT_ONCE", rows_at_once)
    drawn = np.random.default_rng(4).integers(0, len(words), 30)
    array = column(*(words[i] for i in drawn), kind=pa.string())
    numbers, moments = as_numbers(array, {"N/A"}), as_times(array, {"N/A"}, BERLIN, None)
    for row, word in enumerate(drawn):
        one = column(words[word], kind=pa.string())
        for parsed, single in (
            (numbers, as_numbers(one, {"N/A"})),
            (moments, as_times(one, {"N/A"}, BERLIN, None)),
        ):
            np.testing.assert_array_equal(parsed.values[row], single.values[0])
            assert parsed.unreadable[row] == single.unreadable[0]
