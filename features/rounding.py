"""Sums of fractions, rounded so that both views give the same number."""

from __future__ import annotations

import math
from typing import overload

import numpy as np

from features.columns import Floats

# Sums of the same terms differ in their last digits with the order of adding, and the powers of
# two of NumPy and of Python may differ too. A grid hides that, unless a true value lies on the
# border between two cells; halves, quarters and decimals never lie at this odd share of a cell.
_CELLS = 1e6
_SHARE = 0.3137
# From here on a double holds no six decimals; both views add in the same order, so it stays.
_EXACT = 1e9


@overload
def round_sum(total: float) -> float: ...
@overload
def round_sum(total: Floats) -> Floats: ...
def round_sum(total: float | Floats) -> float | Floats:
    """`total` to six decimals, the same for a number and for an array of them."""
    if isinstance(total, np.ndarray):
        small = np.where(np.abs(total) < _EXACT, total, 0.0)
        return np.where(small == total, np.floor(small * _CELLS + _SHARE) / _CELLS, total)
    if not abs(total) < _EXACT:
        return total
    return math.floor(total * _CELLS + _SHARE) / _CELLS
