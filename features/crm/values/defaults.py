"""Values that nobody chose: defaults, placeholders, and many rows of one sender in a day."""

from __future__ import annotations

import re

import numpy as np

from features.clock import MS_PER_DAY, NEVER
from features.columns import Column, Floats, Ints, Texts

_DEFAULT_SHARE, _MIN_LEVELS, _MIN_NUMBERS = 0.85, 3, 10
_PLACEHOLDER = re.compile(
    r"0{5,}|1{5,}|9{5,}|12345\d*|x{3,}|asdf\w*|(none|no|na|nomail|noemail|test|example)@[\w.-]*|-{2,}",
    re.IGNORECASE,
)


def find_default(column: Column) -> tuple[str, float] | None:
    """The value that fills nearly all rows of a column of many levels, with its share; None if none does."""
    if isinstance(column, Texts):
        codes = column.codes[column.codes >= 0].astype(np.int64)
        names, min_levels = column.categories, _MIN_LEVELS
    else:
        filled: Floats = column[~np.isnan(column)]
        numbers, positions = np.unique(filled, return_inverse=True)
        codes = positions.astype(np.int64)
        names, min_levels = tuple(f"{number:g}" for number in numbers.tolist()), _MIN_NUMBERS
    counts = np.bincount(codes, minlength=len(names)) if len(codes) else np.zeros(1, np.int64)
    if (counts > 0).sum() < min_levels or counts.max() < _DEFAULT_SHARE * len(codes):
        return None
    return names[int(counts.argmax())], float(counts.max() / len(codes))


def count_placeholders(column: Texts) -> dict[str, int]:
    """How often each value occurs that stands for none, such as 000000000 or none@none."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
    pairs = zip(column.categories, counts.tolist(), strict=True)
    return {value: count for value, count in pairs if count and _PLACEHOLDER.fullmatch(value)}


def count_most_in_a_day(groups: Ints, times_ms: Ints) -> int:
    """The largest number of rows of one group (-1: none) within one day of UTC."""
    usable = (groups >= 0) & (times_ms != NEVER)
    if not usable.any():
        return 0
    days = times_ms[usable] // MS_PER_DAY
    keys = groups[usable].astype(np.int64) * (int(np.ptp(days)) + 1) + days - int(days.min())
    return int(np.unique(keys, return_counts=True)[1].max())
