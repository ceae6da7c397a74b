"""Numbers: their form in texts, and the rounding of sums.

The form is the same for CRM files and for requests: digits may be full-width, as Japanese keyboards write
them (１２３), with commas between thousands (520,000). Decimal commas are not recognized.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import overload

import numpy as np

from features.columns import Floats

FULL_WIDTH: Mapping[int, str] = {0xFEE0 + half: chr(half) for half in range(0x21, 0x7F)}
"""Each full-width character with the ordinary one that it stands for, for `str.translate`."""

_D, _SIGN, _POINT, _COMMA, _E = "[0-9０-９]", "[+＋－-]", "[.．]", "[,，]", "[eEｅＥ]"
NUMBER = (
    rf"{_SIGN}?({_D}{{1,3}}({_COMMA}{_D}{{3}}){{1,4}}|{_D}{{1,15}})({_POINT}{_D}*)?"
    rf"|{_SIGN}?{_D}({_POINT}{_D}*)?{_E}"
    rf"([+＋]?[0０]?{_D}|[+＋]?[1１][0-4０-４]|[-－]{_D}{{1,2}})"
)
"""A text that is a number: 120, 1,200.5, １２０ or 1.2E+05; nothing is further than 1e15 from 0."""
NOT_NEGATIVE = NUMBER.replace(f"{_SIGN}?", "[+＋]?")
"""A text that is a number without a minus in front."""
THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
"""A number with commas between its thousands, in ordinary characters."""

MAX_AMOUNT = 1e15
"""The largest amount that an open lead may have."""

# The last digits of a sum depend on the order of its terms, and powers of two may differ between NumPy
# and Python. Rounding to a grid hides that, except for values on the border between two cells; halves,
# quarters and decimals never lie at this odd share of a cell.
_CELLS = 1e6
_SHARE = 0.3137
# Larger doubles do not hold six decimals; both views add in the same order, so these are not rounded.
_EXACT = 1e9


def to_half_width(text: str) -> str:
    """The text in ordinary characters: '１，２００' is '1,200'."""
    return text if text.isascii() else text.translate(FULL_WIDTH)


def number(text: str) -> float:
    """The number that a text of the form NUMBER is."""
    return float(to_half_width(text).replace(",", ""))


@overload
def round_sum(total: float) -> float: ...
@overload
def round_sum(total: Floats) -> Floats: ...
def round_sum(total: float | Floats) -> float | Floats:
    """`total` rounded to six decimals, with the same result for a number and for an array."""
    if isinstance(total, np.ndarray):
        small = np.where(np.abs(total) < _EXACT, total, 0.0)
        return np.where(small == total, np.floor(small * _CELLS + _SHARE) / _CELLS, total)
    if not abs(total) < _EXACT:
        return total
    return math.floor(total * _CELLS + _SHARE) / _CELLS
