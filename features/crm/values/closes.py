"""Closes that are known by the day: they count as the end of that day."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import MS_PER_DAY, NEVER
from features.columns import Bools, Ints
from features.crm.values.times import to_utc

_MANY = 20
_MIDNIGHT = r"(?i)[T\s](?:0{1,2}:00(?::00(?:[.,]0+)?)?|12:00(?::00)? a\.?m\.?)\s?(?:Z|UTC|GMT|[+-]00:?00)?$"
_HAS_CLOCK = r":|時|\d{8}T\d|^\d{8} \d|^\d{12}$|^\d{14}$|\d\s?[AaPp]\.?[Mm]\b"


def end_of_days(times_ms: Ints, array: pa.ChunkedArray, zone: ZoneInfo) -> Ints:
    """The times (ms UTC) of `array`, with the last ms of its day in `zone` for each without a clock.

    Where all of many times are midnight, of the zone or of UTC, they are days as well.
    """
    present = times_ms != NEVER
    if not present.any():
        return times_ms
    local = _to_local(np.where(present, times_ms, 0), zone)
    is_midnight = present & (local % MS_PER_DAY == 0)
    is_day = is_midnight & ~_has_clock(array)
    if present.sum() >= _MANY and is_day.sum() < present.sum() and not _has_late_clock(array):
        if is_midnight.sum() == present.sum():
            is_day = present
        elif not is_midnight.any() and not (times_ms[present] % MS_PER_DAY).any():
            local, is_day = times_ms, present
    ends = to_utc(np.where(is_day, local + MS_PER_DAY - 1, 0), zone)
    return np.where(is_day, ends, times_ms)


def _to_local(times_ms: Ints, zone: ZoneInfo) -> Ints:
    stamps = pa.array(times_ms, pa.int64()).cast(pa.timestamp("ms", zone.key))
    return np.asarray(pc.local_timestamp(stamps).cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)


def _has_late_clock(array: pa.ChunkedArray) -> bool:
    """Whether a text shows a clock with another time than midnight."""
    if pa.types.is_temporal(array.type):
        return False
    texts = array.filter(pa.array(_has_clock(array)))
    is_midnight = pc.match_substring_regex(pc.utf8_trim_whitespace(texts.cast(pa.string())), _MIDNIGHT)
    return pc.all(is_midnight).as_py() is False


def _has_clock(array: pa.ChunkedArray) -> Bools:
    """Which values show a time of day; numbers show none."""
    if pa.types.is_date(array.type):
        return np.zeros(len(array), dtype=bool)
    matches = pc.match_substring_regex(pc.utf8_trim_whitespace(array.cast(pa.string())), _HAS_CLOCK)
    return np.asarray(pc.fill_null(matches, False).to_numpy(zero_copy_only=False), dtype=bool)
