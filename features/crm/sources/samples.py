"""Samples of long tables: the first and the last rows, and others at even distances between them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.columns import Bools, Ints

_FIRST_ROWS, _LAST_ROWS, _BLOCKS = 2_000, 1_000, 8
_ROWS_BEFORE = 3
"""Rows before a notable one (a repeated header) that stay with it: the title of its group stands there."""


@dataclass(frozen=True)
class _Chunk:
    """Rows with their positions in the whole table, counted from 0; those that are `fixed` stay."""

    positions: Ints
    fixed: Bools
    table: pa.Table

    def select(self, mask: Bools) -> _Chunk:
        return _Chunk(self.positions[mask], self.fixed[mask], self.table.filter(pa.array(mask)))


class RowSampler:
    """Takes a table chunk by chunk, and keeps rows of about `max_bytes` at most.

    Whenever it is full, every second of the kept rows between the first and the last ones is dropped.
    Notable rows stay in any case.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._step, self._count, self._bytes = 1, 0, 0
        self._chunks: list[_Chunk] = []
        self._last: deque[pa.Table] = deque()

    def add(self, table: pa.Table, notable: Bools | None = None) -> None:
        """Take the next rows; `notable` marks those that stay."""
        positions = self._count + np.arange(table.num_rows)
        fixed = positions < _FIRST_ROWS
        if notable is not None:
            fixed |= _with_rows_before(notable)
        self._count += table.num_rows
        self._remember_last(table)
        self._keep(_Chunk(positions, fixed, table))

    def result(self) -> tuple[Ints, pa.Table]:
        """The positions of the kept rows in the whole table, and these rows."""
        last = pa.concat_tables(self._last)
        last = last.slice(max(last.num_rows - _LAST_ROWS, 0))
        start = self._count - last.num_rows
        before = [chunk.select(chunk.positions < start) for chunk in self._chunks]
        positions = [*(chunk.positions for chunk in before), start + np.arange(last.num_rows)]
        table = pa.concat_tables([*(chunk.table for chunk in before), last])
        return np.concatenate(positions), table.combine_chunks()

    def _keep(self, chunk: _Chunk) -> None:
        self._append(chunk)
        while self._bytes > self._max_bytes and self._step * _FIRST_ROWS < self._count:
            self._step *= 2
            chunks, self._chunks, self._bytes = self._chunks, [], 0
            for earlier in chunks:
                self._append(earlier)

    def _append(self, chunk: _Chunk) -> None:
        if self._step > 1:
            chunk = chunk.select(chunk.fixed | (chunk.positions % self._step == 0))
        self._chunks.append(chunk)
        self._bytes += chunk.table.nbytes

    def _remember_last(self, table: pa.Table) -> None:
        self._last.append(table)
        while sum(rows.num_rows for rows in self._last) - self._last[0].num_rows >= _LAST_ROWS:
            self._last.popleft()


def even_blocks(count: int, max_rows: int) -> list[tuple[int, int]]:
    """The first row (counted from 0) and the number of rows of blocks at even distances, from the first row
    of a table to its last. One block if the table is not longer than `max_rows`."""
    if count <= max_rows:
        return [(0, count)]
    size = max_rows // _BLOCKS
    return [(int(start), size) for start in np.linspace(0, count - size, _BLOCKS)]


def _with_rows_before(notable: Bools) -> Bools:
    mask = notable.copy()
    for distance in range(1, _ROWS_BEFORE + 1):
        mask[:-distance] |= notable[distance:]
    return mask
