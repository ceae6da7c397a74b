"""Reading the numbers of a column in the format of crm.toml, and finding that format from all its values."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Floats
from features.crm.values.formats import (
    SCALE,
    UNITS,
    WHOLE_UNITS,
    Decimal,
    NumberFormat,
    parse_formatted,
    to_plain_text,
    unit_group,
)
from features.messages import Message, all_of

_SAMPLE, _FEW = 2_000, 50
_UNIT_NAMES = {name.casefold(): group[0] for group in UNITS for name in group}
_ORDINALS = frozenset({"st", "nd", "rd", "th", "am", "pm"})
_POINT_IN_THREE = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_COMMA_IN_THREE = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_OTHER_POINT = r"^[+-]?(\d*\.(\d{0,2}|\d{4,})|0+\.\d*|\d{4,}\.\d*|\d{1,3}(,\d{3})+(\.\d*|,\d{3}))([eE].*)?$"


def parse_numbers(texts: pa.ChunkedArray, number_format: NumberFormat) -> Floats:
    """Texts as float64; nan where missing or not of the format."""
    encoded = texts.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    values = _parse_simple(encoded.dictionary, number_format)
    for position in np.flatnonzero(np.isnan(values)).tolist():
        number = number_format.parse(encoded.dictionary[position].as_py())
        values[position] = np.nan if number is None else number
    codes = pc.fill_null(encoded.indices, len(values)).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(values, np.nan)[codes])


def _parse_simple(values: pa.Array, number_format: NumberFormat) -> Floats:
    """The numbers of the usual form, such as -1,200.50 $, all at once; nan for the others."""
    thousands, point = (",", r"\.") if number_format.decimal == "." else (r"\.", ",")
    names = [n for n in unit_group(number_format.unit or "") if n and not re.search(r"[\d.,+-]", n)]
    unit = f"(?:{'|'.join(map(re.escape, names))})?"
    number = rf"\d{{1,3}}(?:(?:{thousands}\d{{3}})+|\d{{0,12}})(?:{point}\d+)?"
    pattern = rf"^(?:[+-]?{unit} ?|{unit} ?[+-]){number} ?{unit}$"
    is_simple = pc.match_substring_regex(values, pattern)
    digits = pc.replace_substring_regex(values, rf"[^\d{point}-]", "")
    plain = pc.if_else(is_simple, pc.replace_substring(digits, ",", "."), None)
    return np.array(plain.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


@dataclass(frozen=True)
class NumberFinding:
    """How a column writes its numbers.

    `decimals` are the decimal signs that read all values; two are a question, with `example` as a value that
    they read differently. `is_proof` says that its values alone tell the decimal sign. `is_plain` numbers
    are read without a format too. `units` are those that occur; two are a question too.
    """

    decimals: tuple[Decimal, ...]
    units: tuple[str, ...] = ()
    example: str = ""
    is_proof: bool = False
    is_plain: bool = False

    @property
    def unit(self) -> str | None:
        return self.units[0] if self.units else None

    @property
    def is_settled(self) -> bool:
        return len(self.decimals) == 1 and len(self.units) < 2

    @property
    def number_format(self) -> NumberFormat | None:
        """The format for crm.toml; None if the numbers are plain."""
        decimal = self.decimals[0]
        if self.is_plain and decimal == "." and "." not in self.example:
            return None
        return NumberFormat(decimal=decimal, unit=self.unit)

    def settle(self, decimal: Decimal) -> NumberFinding:
        """The finding with this decimal sign, if it is one of those that fit."""
        return replace(self, decimals=(decimal,)) if decimal in self.decimals else self

    def describe(self, name: str, table: str) -> Message:
        """What fits, and what to write into the table of crm.toml, as one sentence."""
        if len(self.units) > 1:
            return Message(
                "the amounts are in {units}, which cannot be compared; export one currency or unit",
                units=all_of(self.units),
            )
        keys = [_as_toml(name, NumberFormat(decimal=d, unit=self.unit)) for d in self.decimals]
        if len(self.decimals) == 1:
            return Message("the values fit {key}: write it into [{table}]", key=keys[0], table=table)
        readings = [f"{parse_formatted(self.example, d, self.unit):,.10g}" for d in self.decimals]
        return Message(
            "{example} may be {first} or {second}; write {first_key} for {first}, or {second_key} for "
            "{second}, into [{table}]",
            example=self.example,
            first=readings[0],
            second=readings[1],
            first_key=keys[0],
            second_key=keys[1],
            table=table,
        )


def _as_toml(name: str, number_format: NumberFormat) -> str:
    return f'number_formats = {{ "{name}" = {{ {number_format.describe()} }} }}'


def find_number_format(texts: pa.ChunkedArray, is_plain: bool) -> NumberFinding | None:
    """The format of texts (no nulls), None if they are no numbers; `is_plain`: they are, without a format."""
    if is_plain:
        return _find_plain(texts)
    values = texts.unique()
    texts_of_sample = values.slice(0, _SAMPLE).to_pylist()
    # What a few texts rule out, all rule out, and most columns are no numbers.
    if _find_units([to_plain_text(text) for text in texts_of_sample[:_FEW]]) is None:
        return None
    sample = [to_plain_text(text) for text in texts_of_sample]
    units = _find_units(sample)
    if units is None:
        return None
    if len(units) > 1:
        return NumberFinding((".",), units) if _reads_with_any(sample, units) else None
    unit = units[0] if units else None
    decimals = tuple(d for d in _DECIMALS if _reads_all(sample, d, unit))
    parsed = {
        d: parse_numbers(pa.chunked_array([values]), NumberFormat(decimal=d, unit=unit)) for d in decimals
    }
    decimals = tuple(d for d, numbers in parsed.items() if not np.isnan(numbers).any())
    return _choose(values, decimals, parsed, units) if decimals else None


_DECIMALS: tuple[Decimal, ...] = (".", ",")


def _choose(
    values: pa.Array, decimals: tuple[Decimal, ...], parsed: dict[Decimal, Floats], units: tuple[str, ...]
) -> NumberFinding:
    if len(decimals) == 1:
        return NumberFinding(decimals, units, is_proof=True)
    differing = np.flatnonzero(parsed["."] != parsed[","])
    if not len(differing):
        return NumberFinding((".",), units)
    example = str(values[int(differing[0])].as_py())
    finding = NumberFinding(decimals, units, example)
    if {*units} & WHOLE_UNITS:  # of people there are no parts: 1.500 is one thousand five hundred
        return finding.settle("," if "." in example else ".")
    return finding


def _find_plain(texts: pa.ChunkedArray) -> NumberFinding | None:
    """Plain numbers: a proof of the decimal point, or a question where all look like 1.500 or 1,500."""
    if pc.any(pc.match_substring_regex(texts, _OTHER_POINT)).as_py():
        return NumberFinding((".",), is_proof=True, is_plain=True)
    for pattern in (_POINT_IN_THREE, _COMMA_IN_THREE):
        position = pc.index(pc.match_substring_regex(texts, pattern), True).as_py()
        if position >= 0:
            return NumberFinding((".", ","), example=str(texts[position].as_py()), is_plain=True)
    return None


def _find_units(texts: list[str]) -> tuple[str, ...] | None:
    """The units beside the numbers; None if something else stands there, or no number at all."""
    if not all(re.search(r"\d", text) for text in texts):
        return None
    leftovers = {re.sub(r"[\d\s.,'()+-]", "", text) for text in texts}
    rests = {_without_scale(text) for text in leftovers} - {""}
    units = {_UNIT_NAMES.get(rest.casefold(), "") for rest in rests}
    if "" not in units:
        return tuple(sorted(units))
    word = next(iter(rests))
    is_word = len(rests) == 1 and re.fullmatch("[A-Za-zÀ-ÿ]{2,20}", word) and word.casefold() not in _ORDINALS
    is_after = all(re.match(r"[+-]?[1-9]|0(?!\d)", text) for text in texts)
    return (word,) if is_word and is_after else None


def _without_scale(rest: str) -> str:
    """What stands beside a number, without k, 万 ... if these stand before a known unit or alone."""
    if rest.casefold() in _UNIT_NAMES:
        return rest
    units = (re.sub(rf"^(?:{SCALE})+", "", rest), re.sub(rf"(?:{SCALE})+$", "", rest))
    return next((unit for unit in units if not unit or unit.casefold() in _UNIT_NAMES), rest)


def _reads_all(texts: list[str], decimal: Decimal, unit: str | None) -> bool:
    return all(parse_formatted(text, decimal, unit) is not None for text in texts)


def _reads_with_any(texts: list[str], units: tuple[str, ...]) -> bool:
    """Whether each text is a number with one of the units."""
    return all(
        any(parse_formatted(text, d, unit) is not None for d in _DECIMALS for unit in units) for text in texts
    )
