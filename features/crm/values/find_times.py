"""Finding the format in which a column writes its times, from all its values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import NEVER, iso, now_ms
from features.columns import Bools, Ints
from features.crm.values.times import NO_DATE, parse_times
from features.messages import Message, all_of

_UTC = ZoneInfo("UTC")
_SAMPLE, _FEW = 500, 20
_TIME_LIKE, _LONG_NUMBER = r"[\d０-９元][^\d０-９]{1,20}[\d０-９]", r"\d{10}"
_MIN_SHARE, _STRAYS, _FEW_DAYS = 0.95, 0.02, 3
_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("%Y-%m-%d",),
    ("%Y/%m/%d",),
    ("%Y.%m.%d",),
    ("%Y年%m月%d日",),
    ("japanese",),
    ("%Y%m%d",),
    *((f"%d{sign}%m{sign}%Y", f"%m{sign}%d{sign}%Y") for sign in "/.- "),
    *((f"%d{sign}%m{sign}%y", f"%m{sign}%d{sign}%y", f"%y{sign}%m{sign}%d") for sign in "/.-"),
    ("%d %b %Y",),
    ("%b %d %Y",),
    ("%Y %b %d",),
    ("%d %b %y",),
)
"""Formats of one shape: which of them it is, only all the values can tell."""
_NUMBERS = ("%Y%m%d", "excel", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_FROM, _YEARS_AHEAD = 788_918_400_000, 5  # 1995
_YEAR_MS = 31_556_952_000
_NO_DAY = "no date"

_WORDS = (
    r"date|time|timestamp|day|when|at|on|since|until|due|created?|creation|modified|updated?|updates?|close[ds]?|opened|"
    r"start(?:ed)?|begin|end(?:ed)?|datum|zeit|erstellt|angelegt|fecha|hora|creado|data|criado|date de|créé"
)
_JOINED = r"(?<!candi)(?<!man)(?<!vali)(?<!up)date$"
_TIME_NAME = re.compile(
    rf"(?<![^\W\d_])(?:{_WORDS})(?![^\W\d_])|{_JOINED}|(?<!life)(?<!over)(?<!part)(?<!full)time$"
    "|日|時|作成|登録|更新|完了|発生",
    re.IGNORECASE,
)
_DATE_NAME = re.compile(
    rf"(?<![^\W\d_])(?:date|datum|fecha)(?![^\W\d_])|{_JOINED}|日付|日時|年月日|[成録約注了始]日$"
    r"|^created$|(?:created|modified|updated|closed|opened|registered|won|lost)[\s_]?(?:on|at|time)$",
    re.IGNORECASE,
)
_OTHER_NAME = re.compile(
    r"(?<![^\W\d_])(?:ids?|codes?|no|num|number|zip|phone|tel|fax|label|amount|revenue|price|value|score|count|days"
    r"|hours|zone|by|owner|user|name)(?![^\W\d_])|番号|コード|電話|郵便|金額|売上|日数|時間$|回数",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TimeFinding:
    """The formats that fit a column.

    `fits` has one entry for each shape that its values have, with the formats that read all values of that
    shape; several of them are a question. `example` is a value that they read differently, `strays` are
    values of another order than the rest with their rows (from 1), `is_mixed` says that these are too many.
    """

    fits: tuple[tuple[str, ...], ...]
    example: str = ""
    strays: tuple[tuple[str, int], ...] = ()
    usual: tuple[str, int] = ("", 0)
    is_mixed: bool = False

    @property
    def formats(self) -> tuple[str, ...]:
        """The first format of each shape; empty if ISO 8601 alone fits."""
        formats = tuple(choices[0] for choices in self.fits)
        return () if formats == ("iso",) else formats

    @property
    def is_ambiguous(self) -> bool:
        return any(len(choices) > 1 for choices in self.fits)

    @property
    def is_settled(self) -> bool:
        return not (self.is_ambiguous or self.is_mixed)

    @cached_property
    def orders(self) -> frozenset[str]:
        """The orders of day, month and year that the values prove, such as "dmy"."""
        if self.is_mixed:
            return frozenset()
        choices = [c[0] for c in self.fits if len(c) == 1]
        return frozenset(order_of(c) for c in choices if re.fullmatch(r"%[dmyY](\W)%[dmyY]\1%[dmyY]", c))

    def locate(self, numbers: Ints) -> TimeFinding:
        """The finding with row numbers of the table, for a column without its empty values."""
        usual, strays = self.usual, tuple((v, int(numbers[row - 1])) for v, row in self.strays)
        return replace(self, strays=strays, usual=(usual[0], int(numbers[usual[1] - 1]))) if strays else self

    def settle(self, order: str) -> TimeFinding:
        """The finding if columns beside this one have this order of day, month and year."""
        fits = tuple(tuple(f for f in c if order_of(f) == order) or c for c in self.fits)
        return replace(self, fits=fits)

    def describe(self, name: str, table: str) -> Message:
        """What fits, and what to write into the table of crm.toml, as one sentence."""
        if self.is_mixed:
            (value, row), (stray, stray_row) = self.usual, self.strays[0]
            return Message(
                "two orders of day and month stand in the column: {value!r} (row {row:,}) and {stray!r} "
                "(row {stray_row:,}) are not of one; export the column in one form, such as 2026-11-24",
                value=value,
                row=row,
                stray=stray,
                stray_row=stray_row,
            )
        keys = [_as_toml(name, formats) for formats in self.alternatives()]
        if self.is_ambiguous:
            first, second = (_read(self.example, choice) for choice in self._open_choices()[:2])
            return Message(
                "two orders of day and month fit all values: {example} may be {first} or {second}; "
                "write {first_key} or {second_key} into [{table}]",
                example=self.example,
                first=first,
                second=second,
                first_key=keys[0],
                second_key=keys[1],
                table=table,
            )
        return Message(
            "the values fit {formats}: write {key} into [{table}]",
            formats=all_of(self.formats),
            key=keys[0],
            table=table,
        )

    def read_example(self) -> str:
        """The day that `example` is by the formats found."""
        readings = (_read(self.example, time_format) for time_format in self.formats)
        return next((day for day in readings if day != _NO_DAY), _NO_DAY)

    def orders_of_example(self) -> dict[str, str]:
        """The days that `example` may be, each with the order of day, month and year by which it is that."""
        return {_read(self.example, choice): order_of(choice) for choice in self._open_choices()}

    def alternatives(self) -> list[tuple[str, ...]]:
        """The formats of the whole column, for each choice of the shape that is a question."""
        choices = self._open_choices() or (self.fits[0][0],)
        return [tuple(c if c in fit else fit[0] for fit in self.fits) for c in choices]

    def _open_choices(self) -> tuple[str, ...]:
        return next((c for c in self.fits if len(c) > 1), ())


def order_of(time_format: str) -> str:
    """The order of a format such as "%m/%d/%Y": "mdy"."""
    return "".join(re.findall("%([a-zA-Z])", time_format)).lower()


def _as_toml(name: str, formats: tuple[str, ...]) -> str:
    quoted = [f'"{time_format}"' for time_format in formats]
    value = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
    return f'time_formats = {{ "{name}" = {value} }}'


def _read(value: str, time_format: str) -> str:
    moment = parse_times(pa.chunked_array([[value]]), time_format, _UTC)[0]
    return iso(int(moment))[:10] if moment != NEVER else _NO_DAY


def sounds_like_a_time(name: str) -> bool:
    """Whether the name of a column supports that its numbers are times."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return bool(_TIME_NAME.search(words)) and not _OTHER_NAME.search(words)


def sounds_like_a_date(name: str) -> bool:
    """Whether the name of a column says that it holds dates."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return bool(_DATE_NAME.search(words)) and not _OTHER_NAME.search(words)


def find_number_times(texts: pa.ChunkedArray, is_named: bool) -> TimeFinding | None:
    """The format of numbers (no nulls) that are times between 1995 and a few years from now.

    Without a name that supports it, only many different days such as 20261124 are times.
    """
    values = texts.unique()
    for time_format in _NUMBERS if is_named else _NUMBERS[:1]:
        times_ms = parse_times(pa.chunked_array([values]), time_format, _UTC)
        last = now_ms() + _YEARS_AHEAD * _YEAR_MS
        in_range = (times_ms >= _FROM) & (times_ms <= last)
        if time_format == "%Y%m%d":
            in_range = (times_ms > -70 * _YEAR_MS) & (times_ms <= now_ms() + 80 * _YEAR_MS)
        if len(values) and in_range.mean() >= (0.99 if is_named else 1) and (is_named or len(values) >= _FEW):
            return TimeFinding(((time_format,),))
    return None


def may_be_times(texts: pa.ChunkedArray) -> bool:
    """Whether a format reads any of some texts (no nulls); a quick look, as most columns hold no times."""
    texts = texts.filter(pc.match_substring_regex(texts, _TIME_LIKE))
    values = texts.filter(pc.invert(pc.match_substring_regex(texts, _LONG_NUMBER))).unique()
    return bool(len(values)) and any(_readable(values, family)[1].any() for family in _FAMILIES)


def find_time_formats(texts: pa.ChunkedArray, iso_ms: Ints, is_named: bool) -> TimeFinding | None:
    """The formats of texts (no nulls); None if they are no times.

    `iso_ms` are the texts read as ISO 8601 (NEVER: not readable).
    """
    is_iso = iso_ms != NEVER
    is_missing = np.asarray(
        pc.match_substring_regex(texts, NO_DATE).to_numpy(zero_copy_only=False), dtype=bool
    )
    rest, is_iso = texts.filter(pa.array(~is_iso & ~is_missing)), is_iso[~is_missing]
    if not len(rest):
        return TimeFinding((("iso",),)) if is_iso.any() else None
    shapes = list(_find_shapes(rest.unique()))
    covered = int(is_iso.sum()) + sum(_count(rest, shape.values) for shape in shapes)
    if covered < _MIN_SHARE * len(is_iso):
        return None
    formats = [f for shape in shapes for f in shape.fits]
    is_weak = all("%y" in f or f == "japanese" for f in formats)
    if not shapes or (is_weak and not is_named and len(rest.unique()) < _FEW):
        return None if is_iso.mean() < _MIN_SHARE else TimeFinding((("iso",),))
    return _combine(shapes, texts, bool(is_iso.mean() > 0))


def _count(texts: pa.ChunkedArray, values: pa.Array) -> int:
    return int(pc.sum(pc.is_in(texts, value_set=values)).as_py() or 0)


@dataclass(frozen=True)
class _Shape:
    """The values of one shape: those that each format of its family reads (ms; NEVER: not)."""

    values: pa.Array
    readings: dict[str, Ints]

    @property
    def best(self) -> str:
        return max(self.readings, key=lambda f: int((self.readings[f] != NEVER).sum()))

    @property
    def strays(self) -> Bools:
        """The values that the best format does not read."""
        return np.asarray(self.readings[self.best] == NEVER)

    @property
    def proofs(self) -> Bools:
        """The values that the best format alone reads."""
        others = [ms == NEVER for f, ms in self.readings.items() if f != self.best]
        return np.asarray(np.logical_and.reduce([~self.strays, *others]))

    @property
    def fits(self) -> tuple[str, ...]:
        """The formats that read all values, without those that read them like another one."""
        if self.strays.any():
            return (self.best,)
        distinct: dict[bytes, str] = {}
        for time_format, ms in self.readings.items():
            if (ms != NEVER).all():
                distinct.setdefault(ms.tobytes(), time_format)
        return self._without_constant_days(tuple(distinct.values()))

    def _without_constant_days(self, formats: tuple[str, ...]) -> tuple[str, ...]:
        """Of years with two digits, without readings in which many dates share a few days of the month."""
        if len(self.values) < _FEW or "%y" not in "".join(formats):
            return formats
        likely = tuple(f for f in formats if len(np.unique(_day_of_month(self.readings[f]))) > _FEW_DAYS)
        return likely or formats

    @property
    def example(self) -> str:
        """A value that the formats read differently; empty if there is none."""
        if len(self.fits) < 2:
            return ""
        first, second = (self.readings[f] for f in self.fits[:2])
        return str(self.values[int(np.flatnonzero(first != second)[0])].as_py())


def _find_shapes(values: pa.Array) -> Iterator[_Shape]:
    """The shapes of different values; each value belongs to the first that fits."""
    step = max(1, len(values) // _SAMPLE)
    sample = values.take(pa.array(np.arange(0, len(values), step)))
    for family in _FAMILIES:
        if not len(values):
            return
        if not _readable(sample, family)[1].any():
            continue
        readings, is_readable = _readable(values, family)
        yield _Shape(values.filter(pa.array(is_readable)), {f: ms[is_readable] for f, ms in readings.items()})
        values = values.filter(pa.array(~is_readable))
        sample = sample.filter(pa.array(~_readable(sample, family)[1]))


def _day_of_month(times_ms: Ints) -> Ints:
    days = times_ms.astype("datetime64[ms]").astype("datetime64[D]")
    return np.asarray((days - days.astype("datetime64[M]")).astype(np.int64))


def _readable(values: pa.Array, family: tuple[str, ...]) -> tuple[dict[str, Ints], Bools]:
    column = pa.chunked_array([values])
    readings = {f: parse_times(column, f, _UTC) for f in family}
    return readings, np.asarray(np.logical_or.reduce([ms != NEVER for ms in readings.values()]))


def _combine(shapes: list[_Shape], texts: pa.ChunkedArray, has_iso: bool) -> TimeFinding:
    fits = (*((("iso",),) if has_iso else ()), *(shape.fits for shape in shapes))
    example = next((shape.example for shape in shapes if shape.example), "")
    mixed = next((s for s in shapes if s.strays.sum() > _STRAYS * (s.strays.sum() + s.proofs.sum())), None)
    straying = mixed or next((s for s in shapes if s.strays.any()), None)
    if straying is None:
        return TimeFinding(fits, example)
    usual = straying.values.filter(pa.array(straying.proofs if straying.proofs.any() else ~straying.strays))
    strays = straying.values.filter(pa.array(straying.strays)).slice(0, 3)
    located = tuple((str(v), _row(texts, v)) for v in strays.to_pylist())
    usual_value = str(usual[0].as_py())
    return TimeFinding(fits, example, located, (usual_value, _row(texts, usual_value)), mixed is not None)


def _row(texts: pa.ChunkedArray, value: str) -> int:
    return int(pc.index(texts, pa.scalar(value, texts.type)).as_py()) + 1
