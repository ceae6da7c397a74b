"""From what a source holds to texts, numbers and UTC times; what cannot be read is told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.clock import NEVER
from features.columns import Bools, Floats, Ints, Texts

_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
_OFFSET = r"(Z|[+-]\d{2}:?\d{2})$"


@dataclass(frozen=True)
class Parsed:
    """Values with the places where one stood that could not be read."""

    values: Floats | Ints
    unreadable: Bools


def as_texts(array: pa.ChunkedArray, missing: Collection[str]) -> pa.ChunkedArray:
    """The values as texts without outer spaces; null where missing."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    told = array if _is_text(array.type) else _numbers_as_texts(array)
    told = pc.utf8_trim_whitespace(told)
    if not missing:
        return told
    empty = pc.is_in(told, value_set=pa.array(sorted(missing), told.type))
    return pc.if_else(empty, pa.scalar(None, told.type), told) if pc.any(empty).as_py() else told


def encoded(array: pa.ChunkedArray, missing: Collection[str]) -> Texts:
    """The values as codes into their categories (in the order of their first appearance)."""
    told = as_texts(array, missing).combine_chunks().dictionary_encode()
    if isinstance(told, pa.ChunkedArray):
        told = told.combine_chunks()
    codes = pc.fill_null(told.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Texts(codes, tuple(str(v) for v in told.dictionary.to_pylist()))


def as_numbers(array: pa.ChunkedArray, missing: Collection[str]) -> Parsed:
    """The values as float64 (nan: missing); '1,200' is read as 1200."""
    if _is_number(array.type):
        values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return Parsed(np.asarray(values, dtype=np.float64), np.zeros(len(values), dtype=bool))
    told = as_texts(array, missing)
    grouped = pc.match_substring_regex(told, _THOUSANDS)
    plain = pc.if_else(grouped, pc.replace_substring(told, ",", ""), told)
    series = pd.Series(plain.to_numpy(zero_copy_only=False), dtype=object)
    told_numbers = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64)
    values = np.where(np.isfinite(told_numbers), told_numbers, np.nan)
    return Parsed(values, np.isnan(values) & _there(told))


def as_times(
    array: pa.ChunkedArray, missing: Collection[str], zone: ZoneInfo, time_format: str | None
) -> Parsed:
    """The values as ms UTC (NEVER: missing). A time without an offset is one of `zone`.

    Texts are ISO 8601, or year/month/day with slashes, or of `time_format` (strptime). An hour
    that summer time repeats is taken as the earlier one.
    """
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        return Parsed(_stamped(array, zone), np.zeros(len(array), dtype=bool))
    told = as_texts(array, missing)
    texts = told.to_pandas().astype(object)
    there = _there(told)
    with_offset = pc.fill_null(pc.match_substring_regex(told, _OFFSET), False)
    aware = with_offset.to_numpy(zero_copy_only=False).astype(bool) if not time_format else ~there
    values = np.full(len(texts), NEVER, dtype=np.int64)
    values[aware & there] = _parsed(texts[aware & there], None, None)
    values[~aware & there] = _parsed(texts[~aware & there], zone, time_format)
    return Parsed(values, there & (values == NEVER))


def positions(ids: pa.ChunkedArray, among: pa.Array) -> Ints:
    """Where each of `ids` stands in `among`; -1 where it does not."""
    found = pc.index_in(ids, value_set=among)
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _parsed(texts: pd.Series, zone: ZoneInfo | None, time_format: str | None) -> Ints:
    if not len(texts):
        return np.empty(0, dtype=np.int64)
    if time_format:
        stamps = pd.to_datetime(texts, format=time_format, errors="coerce", utc=zone is None)
    else:
        iso = texts.str.replace(r"^(\d{4})/(\d{1,2})/(\d{1,2})", _dashed, regex=True)
        stamps = pd.to_datetime(iso, format="ISO8601", errors="coerce", utc=zone is None)
    return _stamped(pa.chunked_array([pa.array(stamps, from_pandas=True)]), zone)


def _dashed(match: object) -> str:
    year, month, day = match.groups()  # type: ignore[attr-defined]
    return f"{year}-{month:0>2}-{day:0>2}"


def _stamped(array: pa.ChunkedArray, zone: ZoneInfo | None) -> Ints:
    stamps = array.cast(pa.timestamp("ms", tz=getattr(array.type, "tz", None)), safe=False)
    if stamps.type.tz is None and zone is not None and zone.key != "UTC":
        stamps = pc.assume_timezone(stamps, zone.key, ambiguous="earliest", nonexistent="latest")
    told = pc.fill_null(stamps.cast(pa.int64()), NEVER)
    return np.asarray(told.to_numpy(zero_copy_only=False), dtype=np.int64)


def _numbers_as_texts(array: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    return array.cast(pa.string())


def _there(told: pa.ChunkedArray) -> Bools:
    return np.asarray(pc.is_valid(told).to_numpy(zero_copy_only=False), dtype=bool)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(check(kind) for check in checks)


def plain(array: pa.ChunkedArray, rows: NDArray[np.integer]) -> list[str]:
    """The values at `rows` as they stood in the source, for messages."""
    return ["" if v is None else str(v) for v in array.take(pa.array(rows)).to_pylist()]
