"""Parsing columns of a source to texts, numbers and UTC times."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.clock import NEVER
from features.columns import Bools, Floats, Ints, Texts
from features.crm.values.formats import NumberFormat, TimeFormat
from features.crm.values.numbers import parse_numbers
from features.crm.values.times import NO_DATE, parse_times
from features.numbers import THOUSANDS, to_half_width

_OFFSET = r"([zZ]|\d[T ]?\d{1,2}(:?\d{2}){1,2}([.,]\d+)?\s*[+-]\d{2}(:?\d{2})?)$"
_UTC = r"\s*(UTC|GMT)$"
_SLASHES = r"^\d{4}/\d{1,2}/\d{1,2}"
_FIRST_LOOK, _FEW = 20, 2_000
_ROWS_AT_ONCE = 500_000
"""Rows that are parsed at once; the steps on the way take several times the memory of the texts."""


@dataclass(frozen=True)
class Parsed:
    """Parsed values, and a mask of those that could not be parsed."""

    values: Floats | Ints
    unreadable: Bools


def as_texts(array: pa.ChunkedArray, missing: Collection[str]) -> pa.ChunkedArray:
    """The values as texts without outer spaces; null where missing."""
    texts = pc.utf8_trim_whitespace(_to_texts(array))
    if not missing:
        return texts
    empty = pc.is_in(texts, value_set=pa.array(sorted(missing), texts.type))
    return pc.if_else(empty, pa.scalar(None, texts.type), texts) if pc.any(empty).as_py() else texts


def encode_column(array: pa.ChunkedArray, missing: Collection[str]) -> Texts:
    """The values as codes into their categories (in the order of their first appearance)."""
    dictionary = as_texts(array, missing).combine_chunks().dictionary_encode()
    if isinstance(dictionary, pa.ChunkedArray):
        dictionary = dictionary.combine_chunks()
    codes = pc.fill_null(dictionary.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Texts(codes, tuple(str(v) for v in dictionary.dictionary.to_pylist()))


def as_numbers(
    array: pa.ChunkedArray, missing: Collection[str], number_format: NumberFormat | None = None
) -> Parsed:
    """The values as float64 (nan: missing); without a format '1,200' and '１２００' are read as 1200."""
    if _is_number(array.type):
        values = np.asarray(array.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        empty = np.isinf(values) | np.isin(values, _parse_missing_numbers(missing))
        return Parsed(np.where(empty, np.nan, values), np.isinf(values))
    return _parse_once(as_texts(array, missing), lambda texts: _parse_numbers(texts, number_format))


def _parse_numbers(texts: pa.ChunkedArray, number_format: NumberFormat | None) -> Parsed:
    if number_format is not None:
        values = parse_numbers(texts, number_format)
        return Parsed(values, np.isnan(values) & _is_valid(texts))
    texts = _normalize_width(texts)
    grouped = pc.match_substring_regex(texts, THOUSANDS)
    plain = pc.if_else(grouped, pc.replace_substring(texts, ",", ""), texts)
    series = pd.Series(plain.to_numpy(zero_copy_only=False), dtype=object)
    numbers = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64)
    values = np.where(np.isfinite(numbers), numbers, np.nan)
    return Parsed(values, np.isnan(values) & _is_valid(texts))


def _parse_once(texts: pa.ChunkedArray, parse: Callable[[pa.ChunkedArray], Parsed]) -> Parsed:
    """What `parse` makes of texts; of equal ones among so many rows it sees one."""
    starts = range(0, max(len(texts), 1), _ROWS_AT_ONCE)
    blocks = [_parse_block(texts.slice(start, _ROWS_AT_ONCE), parse) for start in starts]
    return Parsed(np.concatenate([b.values for b in blocks]), np.concatenate([b.unreadable for b in blocks]))


def _parse_block(texts: pa.ChunkedArray, parse: Callable[[pa.ChunkedArray], Parsed]) -> Parsed:
    encoded = texts.combine_chunks().dictionary_encode(null_encoding="encode")
    parsed, places = parse(pa.chunked_array([encoded.dictionary])), encoded.indices.to_numpy()
    return Parsed(parsed.values[places], parsed.unreadable[places])


def _normalize_width(array: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.all(pc.string_is_ascii(array)).as_py() is not False:
        return array
    texts = [None if text is None else to_half_width(text) for text in array.to_pylist()]
    return pa.chunked_array([pa.array(texts, array.type)])


def as_times(
    array: pa.ChunkedArray, missing: Collection[str], zone: ZoneInfo, time_format: TimeFormat | None
) -> Parsed:
    """The values as ms UTC (NEVER: missing). A time without an offset is in `zone`.

    Texts are ISO 8601, or year/month/day with slashes, or in `time_format`; 0000-00-00 is missing. Of an
    hour that is repeated at the end of summer time the earlier one is taken.
    """
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        return Parsed(_to_ms(array, zone), np.zeros(len(array), dtype=bool))
    return _parse_once(as_texts(array, missing), lambda texts: _parse_date_times(texts, zone, time_format))


def _parse_date_times(texts: pa.ChunkedArray, zone: ZoneInfo, time_format: TimeFormat | None) -> Parsed:
    values = _parse_by_formats(texts, zone, time_format)
    unreadable = _is_valid(texts) & (values == NEVER)
    if unreadable.any():
        no_date = pc.match_substring_regex(texts.filter(pa.array(unreadable)), NO_DATE)
        unreadable[unreadable] = ~no_date.to_numpy(zero_copy_only=False).astype(bool)
    return Parsed(values, unreadable)


def _parse_by_formats(texts: pa.ChunkedArray, zone: ZoneInfo, time_format: TimeFormat | None) -> Ints:
    """Each text by the first format that reads it."""
    if not time_format or time_format == "iso":
        return _parse_iso(texts, zone)
    first, *others = (time_format,) if isinstance(time_format, str) else time_format
    values = _parse_iso(texts, zone) if first == "iso" else parse_times(texts, first, zone)
    unread = _is_valid(texts) & (values == NEVER)
    if others and unread.any():
        values[unread] = _parse_by_formats(texts.filter(pa.array(unread)), zone, tuple(others))
    return values


def are_numbers(array: pa.ChunkedArray, missing: Collection[str]) -> bool:
    """Whether `as_numbers` reads all values; some of them are looked at first, as most columns are texts."""
    parts = (*(sample_values(array, limit) for limit in (_FIRST_LOOK, _FEW) if limit < len(array)), array)
    return not any(as_numbers(part, missing).unreadable.any() for part in parts)


def sample_values(array: pa.ChunkedArray, limit: int = _FEW) -> pa.ChunkedArray:
    """At most `limit` values at even distances."""
    if len(array) <= limit:
        return array
    return array.take(pa.array(np.linspace(0, len(array) - 1, limit).astype(np.int64)))


def _parse_iso(column: pa.ChunkedArray, zone: ZoneInfo) -> Ints:
    cleaned = pc.replace_substring_regex(column, _UTC, "Z")
    if pc.any(pc.match_substring_regex(cleaned, _SLASHES)).as_py():
        cleaned = _replace_slashes(cleaned)
    texts = cleaned.to_pandas().astype(object)
    is_present = _is_valid(cleaned)
    with_offset = pc.fill_null(pc.match_substring_regex(cleaned, _OFFSET), False)
    aware = with_offset.to_numpy(zero_copy_only=False).astype(bool)
    values = np.full(len(texts), NEVER, dtype=np.int64)
    values[aware & is_present] = _parse_times(texts[aware & is_present], None)
    values[~aware & is_present] = _parse_times(texts[~aware & is_present], zone)
    return values


def has_offsets(array: pa.ChunkedArray) -> Bools:
    """Which values are times that name their offset."""
    if pa.types.is_timestamp(array.type):
        return np.full(len(array), array.type.tz is not None)
    texts = pc.replace_substring_regex(as_texts(array, ()), _UTC, "Z")
    matches = pc.fill_null(pc.match_substring_regex(texts, _OFFSET), False)
    return np.asarray(matches.to_numpy(zero_copy_only=False), dtype=bool)


def find_positions(ids: pa.ChunkedArray, values: pa.Array) -> Ints:
    """The position of each id; -1 if it is unknown."""
    indices = pc.index_in(ids, value_set=values)
    return np.asarray(pc.fill_null(indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _parse_times(texts: pd.Series, zone: ZoneInfo | None) -> Ints:
    if not len(texts):
        return np.empty(0, dtype=np.int64)
    stamps = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=zone is None)
    has_offset = stamps.dt.tz is not None
    naive = (stamps.dt.tz_convert(None) if has_offset else stamps).to_numpy()
    return _to_ms(pa.chunked_array([pa.array(naive, from_pandas=True)]), None if has_offset else zone)


def _replace_slashes(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """2026/1/5 as 2026-01-05."""
    for one_digit in (r"^(\d{4})/(\d)(/)", r"^(\d{4}/\d\d)/(\d)(\D|$)"):
        texts = pc.replace_substring_regex(texts, one_digit, r"\1/0\2\3")
    return pc.replace_substring_regex(texts, r"^(\d{4})/(\d\d)/(\d\d)", r"\1-\2-\3")


def _to_ms(array: pa.ChunkedArray, zone: ZoneInfo | None) -> Ints:
    stamps = array.cast(pa.timestamp("ms", tz=getattr(array.type, "tz", None)), safe=False)
    if stamps.type.tz is None and zone is not None and zone.key != "UTC":
        stamps = pc.assume_timezone(stamps, zone.key, ambiguous="earliest", nonexistent="latest")
    milliseconds = pc.fill_null(stamps.cast(pa.int64()), NEVER)
    return np.asarray(milliseconds.to_numpy(zero_copy_only=False), dtype=np.int64)


def _to_texts(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values as texts, in the same form for every source: 5 is '5' as integer, float or decimal."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _to_texts(array.cast(kind.value_type))
    if pa.types.is_floating(kind):
        return _floats_as_texts(array)
    if pa.types.is_decimal(kind) and kind.scale > 0:
        return _floats_as_texts(array.cast(pa.float64()))
    if _is_plain(kind):
        return array if kind == pa.string() else array.cast(pa.string())
    values = [None if v is None else str(v) for v in array.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.string())])


def _floats_as_texts(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers without point or exponent; ids are read as floats if some are missing."""
    numbers = array.cast(pa.float64())
    is_whole = pc.and_(pc.less(pc.abs(numbers), 2.0**53), pc.equal(pc.floor(numbers), numbers))
    digits = pc.if_else(is_whole, numbers, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(digits, numbers.cast(pa.string()))


def _parse_missing_numbers(missing: Collection[str]) -> list[float]:
    numbers = []
    for word in missing:
        with suppress(ValueError):
            numbers.append(float(word))
    return numbers


def _is_valid(array: pa.ChunkedArray) -> Bools:
    return np.asarray(pc.is_valid(array).to_numpy(zero_copy_only=False), dtype=bool)


def _is_plain(kind: pa.DataType) -> bool:
    checks = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_integer,
        pa.types.is_decimal,
        pa.types.is_boolean,
        pa.types.is_null,
        pa.types.is_timestamp,
        pa.types.is_date,
        pa.types.is_time,
    )
    return any(check(kind) for check in checks)


def _is_number(kind: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(check(kind) for check in checks)


def source_texts(array: pa.ChunkedArray, rows: NDArray[np.integer]) -> list[str]:
    """The original values at `rows`, for messages."""
    return ["" if v is None else str(v) for v in array.take(pa.array(rows)).to_pylist()]
