"""Many activities of a lead in NumPy arrays: a sequence of events that takes 24 bytes for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast, overload

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats, Ints, encode_texts
from features.one_lead import Event


@dataclass(frozen=True, eq=False)
class EventColumns(Sequence[Event]):
    """Activities by column: `times_ms` ms UTC, `codes` into `types`, `values` numbers (nan: none)."""

    times_ms: Ints
    codes: NDArray[np.int32]
    values: Floats
    types: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.times_ms)

    def __iter__(self) -> Iterator[Event]:
        kinds = map(self.types.__getitem__, self.codes.tolist())
        yield from zip(kinds, self.times_ms.tolist(), self.values.tolist(), strict=True)

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> EventColumns: ...
    def __getitem__(self, place: int | slice) -> Event | EventColumns:
        if isinstance(place, slice):
            return EventColumns(self.times_ms[place], self.codes[place], self.values[place], self.types)
        return self.types[self.codes[place]], int(self.times_ms[place]), float(self.values[place])

    def select(self, rows: NDArray[np.integer] | Bools) -> EventColumns:
        """Those at some rows, in their order, or those that a mask selects."""
        return EventColumns(self.times_ms[rows], self.codes[rows], self.values[rows], self.types)

    def sorted_by_time(self) -> EventColumns:
        """Sorted by time; those of one time stay in their order."""
        return self if _is_sorted(self.times_ms) else self.select(order_by_time(self.times_ms))

    def find_types(self) -> list[str]:
        """The types that occur."""
        occurs = np.zeros(len(self.types), dtype=bool)
        occurs[self.codes] = True
        return [self.types[code] for code in np.flatnonzero(occurs).tolist()]


def order_by_time(times_ms: Ints) -> NDArray[np.intp]:
    """The stable order by time."""
    count = len(times_ms)
    if _is_sorted(times_ms):
        return np.arange(count)
    first, last = int(times_ms.min()), int(times_ms.max())
    if (last - first + 1) * count >= 2**63:
        return np.argsort(times_ms, kind="stable")
    # Sorting numbers of time and place is several times faster than a stable sort of times.
    keys = np.sort((times_ms - first) * count + np.arange(count))
    return np.asarray(keys % count, dtype=np.intp)


def _is_sorted(times_ms: Ints) -> bool:
    return bool(np.all(times_ms[:-1] <= times_ms[1:]))


def order_by_code(codes: NDArray[np.int32]) -> NDArray[np.intp]:
    """The stable order by code."""
    # NumPy sorts small integers by counting.
    is_small = not len(codes) or codes.max() <= np.iinfo(np.uint16).max
    return np.argsort(codes.astype(np.uint16) if is_small else codes, kind="stable")


def to_columns(events: Sequence[Event]) -> EventColumns:
    """Events by column, in their order."""
    if isinstance(events, EventColumns):
        return events
    kinds, times_ms, values = zip(*events, strict=True) if events else ((), (), ())
    texts = encode_texts(list(kinds))
    times, numbers = np.array(times_ms, dtype=np.int64), np.array(values, dtype=np.float64)
    return EventColumns(times, texts.codes, numbers, texts.categories)


def join_events(parts: Sequence[Sequence[Event]]) -> EventColumns:
    """The events of all parts, one part after another."""
    columns = [to_columns(part) for part in parts] or [to_columns(())]
    code_of: dict[str, int] = {}
    codes = []
    for part in columns:
        recoded = np.array([code_of.setdefault(kind, len(code_of)) for kind in part.types], dtype=np.int32)
        codes.append(recoded[part.codes] if len(part) else part.codes)
    return EventColumns(
        np.concatenate([part.times_ms for part in columns]),
        cast(NDArray[np.int32], np.concatenate(codes)),
        np.concatenate([part.values for part in columns]),
        tuple(code_of),
    )
