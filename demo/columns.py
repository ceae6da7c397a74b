"""Columns: records of NumPy arrays, and Arrow columns made from them (ids, labels by code, times)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from demo.clock import AS_OF, BoolArray, IntArray

ZERO = ord("0")


@dataclass(frozen=True)
class ArrayRows:
    """A record of arrays with one entry per row."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, rows: slice | IntArray | BoolArray) -> Self:
        return type(self)(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        names = [one.name for one in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def make_ids(prefix: str, count: int, digits: int) -> pa.Array:
    """'L000001', 'L000002', …: one letter and at least `digits` digits, all of the same width."""
    digits = max(digits, len(str(count)))
    letters = np.empty((count, digits + 1), dtype=np.uint8)
    letters[:, 0] = ord(prefix)
    rest = np.arange(1, count + 1, dtype=np.int64)
    for place in range(digits, 0, -1):
        rest, digit = np.divmod(rest, 10)
        letters[:, place] = ZERO + digit
    # Twenty million Python strings would take minutes and gigabytes; the buffers are the column.
    ends = np.arange(count + 1, dtype=np.int32) * np.int32(digits + 1)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(letters))


def decode_labels(codes: npt.NDArray[np.integer], vocabulary: Sequence[str]) -> pa.Array:
    """The label of each code; a negative code is missing."""
    places = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.array(vocabulary, pa.string()).take(places)


def yes_no(flags: BoolArray) -> pa.Array:
    """'yes' where true, 'no' where false."""
    return decode_labels(flags.astype(np.int8), ("no", "yes"))


def to_timestamps(time: IntArray) -> pa.Array:
    """Naive local times (ms); times at or after the snapshot are missing."""
    return pa.array((time * 1_000).view("datetime64[ms]"), pa.timestamp("ms"), mask=time >= AS_OF)


def draw_codes(rng: np.random.Generator, weights: Sequence[float], count: int) -> IntArray:
    """Codes drawn with the given relative weights."""
    shares = np.asarray(weights, dtype=np.float64)
    return rng.choice(len(shares), size=count, p=shares / shares.sum())
