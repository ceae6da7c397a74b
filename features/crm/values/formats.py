"""The formats of times and numbers that crm.toml can name, and the number that a text of a format is.

A text of a request and of a file is read by the same function, so that equal values are equal everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Literal, TypeAlias

from pydantic import Field

from features.errors import InvalidValue
from features.messages import Message
from features.numbers import to_half_width
from features.toml import Strict

Decimal: TypeAlias = Literal[".", ","]
TimeFormat: TypeAlias = str | tuple[str, ...]
"""A format of times, or several of which the first that fits a value reads it."""

TIME_WORDS: Mapping[str, str] = {
    "iso": "ISO 8601, as without a format: 2026-11-24T14:05:00+09:00, 2026/11/24 14:05, 20261124",
    "excel": "a day number of Excel: 46350.5868",
    "japanese": "a year of an era: 令和8年11月24日, R8.11.24",
    "epoch_s": "seconds since 1970: 1795529100",
    "epoch_ms": "milliseconds since 1970",
    "epoch_us": "microseconds since 1970",
    "epoch_ns": "nanoseconds since 1970",
}
_CODES = {"YYYY": "%Y", "YY": "%y", "DD": "%d", "MM": "%m", "HH": "%H", "MI": "%M", "SS": "%S"}
_DATE_CODES = frozenset({"%d", "%m", "%Y", "%y", "%b", "%B"})

UNITS: tuple[tuple[str, ...], ...] = (
    ("名", "人", "名様"),
    ("円", "¥", "JPY", "yen"),
    ("$", "US$", "USD"),
    ("€", "EUR", "Euro"),
    ("£", "GBP"),
    ("CHF", "Fr.", "Fr"),
    ("R$", "BRL"),
    ("₩", "KRW"),
    ("₹", "INR", "Rs.", "Rs"),
    ("元", "CNY", "RMB"),
    ("kr", "kr.", "SEK", "NOK", "DKK"),
    ("%", "‰", "percent", "パーセント"),
    ("employees", "employee"),
    ("people", "persons", "person"),
    ("users", "user"),
    ("seats", "seat"),
    ("days", "day"),
    ("months", "month"),
    ("years", "year"),
    ("hours", "hour", "hrs"),
    ("か月", "ヶ月", "カ月", "ヵ月", "ケ月"),
    ("歳", "才"),
    *((unit,) for unit in ("件", "社", "台", "個", "回", "日", "日間", "年", "年間", "時間", "分", "秒")),
    *((unit,) for unit in ("本", "冊", "室", "戸", "坪", "㎡", "拠点", "店舗", "席", "枚", "点", "ポイント")),
)
"""Units; those of a group are one unit, written in different ways. The first is its name."""
WHOLE_UNITS = frozenset(
    {"名", "円", "件", "社", "台", "個", "回", "₩", "employees", "people", "users", "seats"}
)
"""Units of which there are no parts: 1.500名 is fifteen hundred."""

_SCALES = {
    "k": 1e3,
    "K": 1e3,
    "千": 1e3,
    "万": 1e4,
    "百万": 1e6,
    "M": 1e6,
    "mn": 1e6,
    "Mio": 1e6,
    "Mio.": 1e6,
    "億": 1e8,
    "bn": 1e9,
    "B": 1e9,
    "Mrd": 1e9,
    "Mrd.": 1e9,
    "兆": 1e12,
}
SCALE = "|".join(map(re.escape, sorted(_SCALES, key=len, reverse=True)))
_SPACES = re.compile(r"[\s\u00a0\u202f\u2009]+")
_BRACKETED = re.compile(r"^(?P<before>[^()\d]*)\((?P<inside>.*)\)(?P<after>[^()\d]*)$")


class NumberFormat(Strict):
    """How a column writes numbers: its decimal sign, and the unit or currency beside them."""

    decimal: Decimal = "."
    unit: str | None = Field(default=None, min_length=1, max_length=20)

    def parse(self, text: str) -> float | None:
        """The number that `text` is; None if it is not one. 120万円 is 1200000, 45 % is 45."""
        return parse_formatted(text, self.decimal, self.unit)

    def describe(self) -> str:
        """The format as crm.toml holds it."""
        return f'decimal = "{self.decimal}"' + (f', unit = "{self.unit}"' if self.unit else "")


def check_time_format(time_format: str) -> str:
    """The format itself. Raises ValueError if it can read no time."""
    if time_format in TIME_WORDS:
        return time_format
    if "%" not in time_format:
        raise InvalidValue("has no % codes; {hint}", hint=_suggest_codes(time_format))
    try:
        datetime.strptime(datetime(2026, 1, 2).strftime(time_format), time_format)
    except ValueError:
        raise InvalidValue("is no form of a time; use codes of strptime such as %d/%m/%Y %H:%M") from None
    return time_format


def is_date_format(time_format: str) -> bool:
    """Whether a format gives a day, month and year and no clock; then any clock may follow the date."""
    codes = re.findall(r"%.", time_format)
    return len(codes) == 3 and _DATE_CODES.issuperset(codes) and len({c.lower() for c in codes} - {"%b"}) >= 2


def _suggest_codes(words: str) -> Message:
    coded = re.sub("YYYY|YY|DD|HH|MI|SS|(?<=HH:)MM|MM", lambda m: _CODES[m[0]], words.upper())
    coded = coded.replace("%H:%m", "%H:%M")
    if re.fullmatch(r"(%[A-Za-z]|[^A-Za-z%])+", coded) and "%" in coded:
        return Message("write {codes}", codes=coded)
    return Message("write codes such as %d/%m/%Y, or one of {words}", words=tuple(TIME_WORDS))


def unit_group(unit: str) -> tuple[str, ...]:
    """All ways to write a unit; an unknown one has only its own."""
    folded = unit.casefold()
    for group in UNITS:
        if folded in (name.casefold() for name in group):
            return group
    return (unit,)


def to_plain_text(text: str) -> str:
    """The text in half width, with ordinary signs and single blanks, without outer blanks."""
    if not text.isascii():
        text = to_half_width(text).replace("￥", "¥").replace("−", "-").replace("’", "'")
        text = re.sub("^[△▲]", "-", text)
    return _SPACES.sub(" ", text).strip()


def parse_formatted(text: str, decimal: Decimal, unit: str | None) -> float | None:
    """The number in a text: with signs of thousands, unit, scale (k, 万 ...), parentheses or minus."""
    plain = to_plain_text(text)
    bracketed = _BRACKETED.match(plain)
    if bracketed:
        plain = f"{bracketed['before']}{bracketed['inside']}{bracketed['after']}"
    match = _pattern(decimal, unit).fullmatch(plain)
    if not match:
        return None
    signs = ("first", "second") if plain.startswith("¥") else ("first", "second", "last")  # ¥1,200- is 1200
    is_negative = bool(bracketed) + sum(match[name] == "-" for name in signs)
    if is_negative > 1:
        return None
    total = sum(
        _parse_scaled(number, scale, decimal) for number, scale in _scaled(decimal).findall(match["body"])
    )
    return -total if is_negative else total


def _parse_scaled(number: str, scale: str, decimal: Decimal) -> float:
    grouped = re.sub("[ ']", "", number).replace("," if decimal == "." else ".", "")
    value = float(grouped.replace(",", "."))
    return value * _SCALES[scale] if scale else value


def number_pattern(decimal: Decimal) -> str:
    """A number without a sign: digits, or groups of digits with one sign between them, and decimals."""
    comma, point = (",", r"\.") if decimal == "." else (r"\.", ",")
    groups = "|".join(rf"\d{{1,3}}(?:{sign}\d{{3}})+" for sign in (comma, " ", "'"))
    if decimal == ".":
        groups += r"|\d{1,2}(?:,\d{2})+,\d{3}"  # 12,34,567 of India
    return rf"(?:{groups}|\d{{1,15}})(?:{point}\d{{1,15}})?"


@cache
def _scaled(decimal: Decimal) -> re.Pattern[str]:
    return re.compile(rf"({number_pattern(decimal)}) ?({SCALE})?")


@cache
def _pattern(decimal: Decimal, unit: str | None) -> re.Pattern[str]:
    names = sorted(unit_group(unit), key=len, reverse=True) if unit else []
    unit_names = f"(?:{'|'.join(map(re.escape, names))})" if names else "\x00"
    number = number_pattern(decimal)
    body = rf"(?:{number} ?[兆億万千] ?)+{number}|{number}(?: ?(?:{SCALE}))?|(?:{number} ?[兆億万千] ?)+"
    any_case = "(?i)" if unit and unit.isalpha() and unit.isascii() and len(unit) > 2 else ""
    return re.compile(
        rf"{any_case}(?P<first>[+-])? ?(?:{unit_names} ?)?(?P<second>[+-])?"
        rf"(?P<body>{body})(?: ?{unit_names})?(?P<last>-)?"
    )
