"""Reading times that are not ISO 8601, by the formats of crm.toml, a whole column at once."""

from __future__ import annotations

import re
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import MS_PER_DAY, NEVER
from features.columns import Bools, Floats, Ints
from features.crm.values.formats import is_date_format
from features.numbers import to_half_width

_UNITS_PER_MS = {"epoch_s": 1e-3, "epoch_ms": 1.0, "epoch_us": 1e3, "epoch_ns": 1e6}
_EXCEL_EPOCH, _EXCEL_DAYS = -25_569, 2_958_465
_LAST_MS = 253_402_300_800_000  # the end of the year 9999
_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "大正": 1911, "明治": 1867}
_ERAS |= {"R": 2018, "H": 1988, "S": 1925, "T": 1911, "M": 1867}
_MONTHS = (
    "jan january januar jän jänner janvier janv ene enero janeiro gen gennaio januari",
    "feb february februar février févr fév febrero fev fevereiro febbraio februari",
    "mar march mär märz mrz mars marzo março maart mrt",
    "apr april avril avr abr abril aprile",
    "may mai mayo maio mag maggio mei",
    "jun june juni juin junio junho giu giugno",
    "jul july juli juillet juil julio julho lug luglio",
    "aug august août ago agosto augustus",
    "sep sept september septembre septiembre set setembro settembre",
    "oct october okt oktober octobre octubre out outubro ott ottobre",
    "nov november novembre noviembre novembro",
    "dec december dez dezember déc décembre dic diciembre dezembro dicembre",
)
_MONTH_BY_WORD = {word: n for n, words in enumerate(_MONTHS, 1) for word in words.split()}
_ZONES = {
    "Z": 0,
    "UTC": 0,
    "GMT": 0,
    "JST": 540,
    "KST": 540,
    "CET": 60,
    "CEST": 120,
    "EST": -300,
    "EDT": -240,
}
_ZONES |= {"CDT": -300, "CST": -360, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420}

NO_DATE = r"^0{1,4}[-/.]0{1,2}[-/.]0{1,4}\b"
"""A date of zeros, with which some systems write that there is none."""
_HALF_DAY = r"午前|午後|[AaPp]\.?[Mm]\.?"
_ZONE = rf"(?:UTC|GMT)?[+-]\d{{1,2}}(?::?\d{{2}}){{0,2}}|{'|'.join(sorted(_ZONES, key=len, reverse=True))}"
_CLOCK = (
    rf"(?P<before>{_HALF_DAY})?\s?(?P<H>\d{{1,2}})"
    r"(?:(?:[:.]|時\s?)(?P<M>\d{1,2})(?:(?:[:.]|分\s?)(?P<S>\d{1,2})(?:[.,](?P<F>\d{1,9}))?)?[分秒]?|(?P<hour>時))?"
    rf"\s?(?P<after>{_HALF_DAY})?\s?(?P<zone>{_ZONE})?"
)
_COMPACT_CLOCK = (
    r"(?:[T\s_-]?(?P<H>\d{2}):?(?P<M>\d{2})(?::?(?P<S>\d{2})(?:[.,](?P<F>\d{1,9}))?)?"
    rf"\s?(?P<after>{_HALF_DAY})?\s?(?P<zone>{_ZONE})?)?"
)
_CODE_PATTERNS = {
    "%d": r"(?P<d>\d{1,2})(?:st|nd|rd|th)?",
    "%m": r"(?P<m>\d{1,2})",
    "%Y": r"(?P<Y>\d{4})",
    "%y": r"'?(?P<y>\d{2})",
    "%b": r"(?P<b>\pL{3,10})",
    "%B": r"(?P<b>\pL{3,10})",
}
_ERA_DATE = (
    r"(?P<era>令和|平成|昭和|大正|明治|[RHSTM])\s?(?P<ey>元|\d{1,2})\s?(?:年|[./-])\s?"
    r"(?P<m>\d{1,2})\s?(?:月|[./-])\s?(?P<d>\d{1,2})日?"
)
_NOISE = (
    (r"[(（]?(?:[月火水木金土日]曜日?)[)）]?|[(（][月火水木金土日][)）]", ""),
    (r"(?i)^(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?[.,]?\s+", ""),
    (r"\s*(?:\[[A-Za-z_/+-]+\]|\([A-Za-z ]+\))$", ""),
    (r"[\s\x{a0}\x{202f}\x{3000}]+", " "),
    (r"^(\pL{3,9} \d{1,2}) (\d{1,2}:\d{2}:\d{2}) ([A-Z]{3,4}|[+-]\d{4}) (\d{4})$", r"\1 \4 \2 \3"),
    (r"^(\d{1,2}:\d{2}(?::\d{2})?),? ([^:]+)$", r"\2 \1"),
)


_NOISY = r"[^0-9A-Za-z.,/:+_-]"
"""A sign of which each noise has one: a blank, a bracket or a letter that is not of ASCII."""


def parse_times(texts: pa.ChunkedArray, time_format: str, zone: ZoneInfo) -> Ints:
    """Texts (null: missing) of one format as ms UTC; NEVER where missing or not of the format.

    `zone` is that of times without an offset. A format of a date alone reads a clock after the date too.
    """
    local, offset = parse_local(texts, time_format)
    times_ms = to_utc(local, zone)
    return np.where(np.isnan(offset) | (local == NEVER), times_ms, _shift(local, offset))


def parse_local(texts: pa.ChunkedArray, time_format: str) -> tuple[Ints, Floats]:
    """Like `parse_times`, but ms of the local clock, and the offset of each in ms (nan: none)."""
    encoded = texts.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    values = normalize(encoded.dictionary)
    if time_format in _UNITS_PER_MS or time_format == "excel":
        local, offset = _parse_numbers(values, time_format)
    elif time_format == "japanese" or is_date_format(time_format):
        local, offset = _parse_fields(values, time_format)
    else:
        local, offset = _parse_strictly(encoded.dictionary, time_format)
    codes = pc.fill_null(encoded.indices, len(values)).to_numpy(zero_copy_only=False)
    return np.append(local, NEVER)[codes], np.append(offset, np.nan)[codes]


def normalize(values: pa.Array) -> pa.Array:
    """Texts in half width, without weekdays, names of zones in brackets and repeated blanks."""
    if pc.all(pc.string_is_ascii(values)).as_py() is False:
        values = pa.array([to_half_width(v) for v in values.to_pylist()], pa.string())
    if not pc.any(pc.match_substring_regex(values, _NOISY)).as_py():
        return values
    for pattern, replacement in _NOISE:
        values = pc.replace_substring_regex(values, pattern, replacement)
    return pc.utf8_trim_whitespace(values)


def to_utc(local: Ints, zone: ZoneInfo) -> Ints:
    """Ms of a local clock as ms UTC; of a repeated hour the earlier one."""
    if zone.key == "UTC":
        return local
    stamps = pa.array(local, pa.int64(), mask=local == NEVER).cast(pa.timestamp("ms"))
    aware = pc.assume_timezone(stamps, zone.key, ambiguous="earliest", nonexistent="latest")
    return np.asarray(pc.fill_null(aware.cast(pa.int64()), NEVER).to_numpy(zero_copy_only=False), np.int64)


def _shift(local: Ints, offset: Floats) -> Ints:
    return local - np.nan_to_num(offset).astype(np.int64)


def _parse_numbers(values: pa.Array, time_format: str) -> tuple[Ints, Floats]:
    is_number = pc.match_substring_regex(values, r"^-?\d{1,19}([.,]\d+)?$")
    numbers = pc.if_else(is_number, pc.replace_substring(values, ",", "."), None).cast(pa.float64())
    number = np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)
    if time_format == "excel":
        valid = (number >= 1) & (number <= _EXCEL_DAYS)
        ms, offset = (number + _EXCEL_EPOCH) * MS_PER_DAY, np.nan
    else:
        ms, offset = number / _UNITS_PER_MS[time_format], 0.0
        valid = np.abs(ms) < _LAST_MS
    return np.where(valid, np.rint(np.where(valid, ms, 0)), NEVER).astype(np.int64), np.full(len(ms), offset)


def _parse_strictly(values: pa.Array, time_format: str) -> tuple[Ints, Floats]:
    """By strptime: with codes of a clock nothing is left out and nothing is guessed."""
    has_offset = "%z" in time_format or "%Z" in time_format
    texts = values.to_pandas().astype(object)
    stamps = pd.to_datetime(texts, format=time_format, errors="coerce", utc=has_offset)
    naive = (stamps.dt.tz_convert(None) if has_offset else stamps).to_numpy()
    ms = pa.array(naive, from_pandas=True).cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    local = np.asarray(pc.fill_null(ms, NEVER).to_numpy(zero_copy_only=False), np.int64)
    return local, np.full(len(local), 0.0 if has_offset else np.nan)


@cache
def field_pattern(time_format: str) -> str:
    """The regular expression (RE2) of a date of this format, with an optional clock after it."""
    if time_format == "%Y%m%d":
        return rf"^(?P<Y>\d{{4}})(?P<m>\d{{2}})(?P<d>\d{{2}}){_COMPACT_CLOCK}$"
    parts = re.split(r"(%.)", time_format)
    has_word = "%b" in parts or "%B" in parts
    date = _ERA_DATE if time_format == "japanese" else "".join(_part(p, has_word) for p in parts)
    date += r"\.?" if "." in time_format else ""  # 2026. 11. 24.
    gap = r"\s?" if date.endswith(("日?", "日")) else r"(?:T|,?\s(?:(?:at|um|à|às|a las|alle|kl\.?)\s)?)"
    return rf"^(?i:{date})(?:{gap}{_CLOCK})?$"


def _part(part: str, has_word: bool) -> str:
    if part in _CODE_PATTERNS:
        return _CODE_PATTERNS[part]
    if has_word and part:  # 24-Nov-2026, 24 Nov, 2026 and 24 de nov. de 2026 are one form
        return r"[\s.,/-]{0,2}(?:de\s)?"
    if part.isspace():
        return r"\s"
    return "".join(rf"\s?{re.escape(sign)}\s?" if not sign.isspace() else r"\s?" for sign in part)


def _parse_fields(values: pa.Array, time_format: str) -> tuple[Ints, Floats]:
    pattern = field_pattern(time_format)
    extracted = pc.extract_regex(values, pattern)
    names = {field.name for field in extracted.type}
    fields = {n: pc.fill_null(extracted.field(n), "") for n in names}
    matched = np.asarray(pc.is_valid(extracted).to_numpy(zero_copy_only=False), dtype=bool)
    days, is_day = _days(fields, len(values))
    ms, is_clock = _clock_ms(fields, len(values))
    valid = matched & is_day & is_clock & _is_clear_zone(fields, time_format, len(values))
    return np.where(valid, days * MS_PER_DAY + ms, NEVER), _offsets(fields, len(values))


def _is_clear_zone(fields: dict[str, pa.Array], time_format: str, count: int) -> Bools:
    """Which zones are clear: CST is that of America if the month comes first, or beside CDT; else it may be
    that of China."""
    if "zone" not in fields:
        return np.ones(count, dtype=bool)
    zones = pc.utf8_upper(fields["zone"])
    if time_format.startswith("%m") or pc.any(pc.equal(zones, "CDT")).as_py():
        return np.ones(count, dtype=bool)
    return np.asarray(pc.not_equal(zones, "CST").to_numpy(zero_copy_only=False), dtype=bool)


def _to_ints(fields: dict[str, pa.Array], name: str, count: int) -> Ints:
    """A field as whole numbers; -1 where it is empty."""
    if name not in fields:
        return np.full(count, -1, dtype=np.int64)
    texts = fields[name]
    digits = pc.if_else(pc.match_substring_regex(texts, r"^\d+$"), texts, "-1")
    return np.asarray(digits.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)


def _days(fields: dict[str, pa.Array], count: int) -> tuple[Ints, Bools]:
    """Days since 1970, and which of them exist in the calendar."""
    year, month, day = _years(fields, count), _to_ints(fields, "m", count), _to_ints(fields, "d", count)
    if "b" in fields:
        words = pc.utf8_lower(fields["b"]).to_pylist()
        month = np.array([_MONTH_BY_WORD.get(word, -1) for word in words], dtype=np.int64)
    valid = (year >= 1) & (year <= 9999) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    next_first = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days = first + day - 1
    return days, np.asarray(valid & (days < next_first))


def _years(fields: dict[str, pa.Array], count: int) -> Ints:
    if "era" in fields:
        eras = pc.utf8_upper(fields["era"]).to_pylist()
        starts = np.array([_ERAS.get(era, -10_000) for era in eras], dtype=np.int64)
        return starts + np.where(pc.equal(fields["ey"], "元"), 1, _to_ints(fields, "ey", count))
    if "y" in fields:
        short = _to_ints(fields, "y", count)
        return np.where(short < 0, -1, np.where(short < 69, 2000, 1900) + short)
    return _to_ints(fields, "Y", count)


def _clock_ms(fields: dict[str, pa.Array], count: int) -> tuple[Ints, Bools]:
    """Ms since midnight (0 without a clock), and which clocks exist."""
    hour, minute, second = (_to_ints(fields, name, count) for name in ("H", "M", "S"))
    half = [pc.utf8_lower(fields[n]) for n in ("before", "after") if n in fields]
    is_am, is_pm = (_any_starts(half, start, count) for start in (("a", "午前"), ("p", "午後")))
    is_hour_alone = (
        np.asarray(pc.not_equal(fields["hour"], "")) if "hour" in fields else np.zeros(count, bool)
    )
    has_minutes = (hour < 0) | (minute >= 0) | is_hour_alone | is_am | is_pm
    hour = np.where(is_am & (hour == 12), 0, np.where(is_pm & (hour < 12), hour + 12, hour))
    hour, minute, second = (np.maximum(a, 0) for a in (hour, minute, second))
    valid = has_minutes & ~(is_am & (hour > 12)) & (minute < 60) & (second < 61)
    valid &= (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0))
    ms = hour * 3_600_000 + minute * 60_000 + second * 1000
    if "F" in fields:
        padded = pc.utf8_rpad(fields["F"], 3, "0")
        ms = ms + np.maximum(_to_ints({"F": pc.utf8_slice_codeunits(padded, 0, 3)}, "F", count), 0)
    return ms, np.asarray(valid)


def _any_starts(texts: list[pa.Array], starts: tuple[str, ...], count: int) -> Bools:
    result = np.zeros(count, dtype=bool)
    for column in texts:
        for start in starts:
            result |= np.asarray(pc.starts_with(column, start).to_numpy(zero_copy_only=False), dtype=bool)
    return result


def _offsets(fields: dict[str, pa.Array], count: int) -> Floats:
    """The offset of each time in ms; nan without one."""
    if "zone" not in fields:
        return np.full(count, np.nan)
    encoded = fields["zone"].dictionary_encode()
    by_zone = np.array([_offset_ms(zone) for zone in encoded.dictionary.to_pylist()], dtype=np.float64)
    return by_zone[encoded.indices.to_numpy(zero_copy_only=False)] if len(by_zone) else np.full(count, np.nan)


def _offset_ms(zone: str) -> float:
    if not zone:
        return float("nan")
    if zone.upper() in _ZONES:
        return _ZONES[zone.upper()] * 60_000
    sign, digits = re.sub("UTC|GMT", "", zone.upper())[0], re.sub(r"\D", "", zone)
    hours, minutes = (digits[:2], digits[2:4]) if len(digits) != 3 else (digits[:1], digits[1:])
    return (1 if sign == "+" else -1) * (int(hours) * 60 + int(minutes or 0)) * 60_000
