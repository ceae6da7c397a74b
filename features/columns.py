"""Columns of values: NumPy arrays of numbers, and texts as codes of categories."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

MISSING = -1

LEVEL_SEPARATOR = "\u241f"
"""The sign between the levels of a text that has several, such as the values of a multi-select list."""

TEXT_FORM = 1
"""The version of the normal form of texts, which a model stores; 0 compares texts letter by letter."""

_WORDS = {"true": "1", "yes": "1", "はい": "1", "false": "0", "no": "0", "いいえ": "0"}
_WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0*")


@dataclass(frozen=True)
class Texts:
    """Texts as `codes` into `categories`; -1 is a missing value."""

    codes: NDArray[np.int32]
    categories: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[np.integer]) -> Texts:
        """The texts at `rows`; a row of -1 gives a missing text."""
        if not len(self.codes):
            return Texts(np.full(len(rows), MISSING, dtype=np.int32), self.categories)
        return Texts(np.where(rows >= 0, self.codes[rows], MISSING).astype(np.int32), self.categories)

    def to_list(self) -> list[str | None]:
        """The texts as a list, None for missing values."""
        return [self.categories[c] if c >= 0 else None for c in self.codes]


Column: TypeAlias = Floats | Texts


def join_levels(levels: Iterable[str]) -> str:
    """The text of several levels; that of one level is the level itself."""
    return LEVEL_SEPARATOR.join(levels)


def split_levels(text: str) -> Sequence[str]:
    """The levels of a text: most texts have one."""
    if LEVEL_SEPARATOR not in text:
        return (text,)
    return [level for level in text.split(LEVEL_SEPARATOR) if level]


def split_rows(column: Texts) -> tuple[NDArray[np.intp], Texts]:
    """Each level of each text, with the row that it stands in; missing texts are left out."""
    levels = [split_levels(name) for name in column.categories]
    filled = np.flatnonzero(column.codes >= 0)
    counts = np.array([len(names) for names in levels], dtype=np.intp)
    codes: dict[str, int] = {}
    flat = np.array(
        [codes.setdefault(level, len(codes)) for names in levels for level in names], dtype=np.int32
    )
    row, position = spread_rows(column.codes[filled], counts)
    return filled[row], Texts(flat[position], tuple(codes))


def spread_rows(
    codes: NDArray[np.int32], counts: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For rows with a code each, of which code c stands for `counts[c]` entries of a flat list: every row
    once for each of its entries, and the positions of these."""
    per_row = counts[codes]
    row = np.repeat(np.arange(len(codes)), per_row)
    starts = (np.cumsum(counts) - counts)[codes]
    within = np.arange(len(row)) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    return row, np.repeat(starts, per_row) + within


def map_texts(column: Texts, derive: Callable[[str], str | None]) -> Texts:
    """The column of what is derived from each text, None being a missing one."""
    derived = [derive(name) for name in column.categories]
    codes: dict[str, int] = {}
    to_new = [MISSING if name is None else codes.setdefault(name, len(codes)) for name in derived]
    return Texts(np.array([*to_new, MISSING], dtype=np.int32)[column.codes], tuple(codes))


class LazyColumns(Mapping[str, Column]):
    """Columns by name, computed by `make` on first access."""

    __slots__ = ("_cache", "_make", "_names")

    def __init__(self, names: Collection[str], make: Callable[[str], Column]) -> None:
        self._names, self._make = names, make
        self._cache: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        column = self._cache.get(name)
        if column is None:
            column = self._cache[name] = self._make(name)
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def take(column: Column, rows: NDArray[np.integer]) -> Column:
    """`column` at `rows`; a row of -1 gives a missing value."""
    if isinstance(column, Texts):
        return column.take(rows)
    if not len(column):
        return np.full(len(rows), np.nan)
    return np.where(rows >= 0, column[rows], np.nan)


def numbers_or_none(values: Floats) -> list[float | None]:
    """Numbers as a list, None for missing values."""
    return [None if value != value else value for value in values.tolist()]


def is_missing(column: Column) -> Bools:
    if isinstance(column, Texts):
        return column.codes < 0
    return np.isnan(column)


def encode_texts(values: list[str | None]) -> Texts:
    """Encode texts; categories are in the order of their first appearance."""
    codes: dict[str, int] = {}
    indices = [MISSING if v is None else codes.setdefault(v, len(codes)) for v in values]
    return Texts(np.array(indices, dtype=np.int32), tuple(codes))


def to_text(value: object) -> str:
    """A value as text, in the same form for every source: true, 5, 2.5, words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@lru_cache(maxsize=65_536)
def normalize_text(text: str, version: int = TEXT_FORM) -> str:
    """The normal form of a text: texts of one normal form are one value of a category.

    It ignores case, outer and repeated spaces, and full or half width; a whole number has no decimals, and a
    word for yes or no is 1 or 0, as CRMs export it: true, "TRUE", 1 and はい are one value. Categories,
    levels of a model and values of a scorecard's rule are compared by it. What people read stays as it was
    written. In version 0 it is the text itself.
    """
    if version == 0:
        return text
    plain = " ".join(unicodedata.normalize("NFKC", text).split()).casefold()
    integer = _WHOLE_NUMBER.fullmatch(plain)
    return integer[1] if integer else _WORDS.get(plain, plain)


def merge_categories(column: Texts) -> Texts:
    """The column with one category for each normal form, in the spelling that most rows have."""
    forms = [normalize_text(name) for name in column.categories]
    if len(set(forms)) == len(forms):
        return column
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(forms))
    spelling: dict[str, int] = {}
    for code in np.argsort(-counts, kind="stable").tolist():
        spelling.setdefault(forms[code], code)
    codes = sorted(spelling.values())
    new_code = {forms[code]: new for new, code in enumerate(codes)}
    to_new = np.array([*(new_code[form] for form in forms), MISSING], dtype=np.int32)
    return Texts(to_new[column.codes], tuple(column.categories[code] for code in codes))
