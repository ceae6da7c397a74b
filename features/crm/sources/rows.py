"""Rows as they were read from any source, and what all kinds of source share."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.columns import Ints
from features.crm.parsing import as_texts
from features.crm.rejects import Reject
from features.errors import DataError, SettingsError, suggest_nearest
from features.messages import Message


@dataclass(frozen=True)
class SourceRows:
    """A table as it was read: `numbers` are the row numbers in the source, counted from 1.

    Row numbers continue from one of several `files` to the next; `starts` holds the number of rows
    before each file. `part` is the table of crm.toml that names the source. Of the rows that were `read`,
    `blank` ones and repeated headers are not among them: `dropped` is their number. `ragged` holds the
    text of the last rows with another number of cells than the header, by number; `notes` are sentences
    about what was left out. `table` may be a sample of the rows that were read.
    """

    name: str
    table: pa.Table
    numbers: Ints
    read: int
    rejects: list[Reject] = field(default_factory=list)
    files: tuple[str, ...] = ()
    starts: tuple[int, ...] = (0,)
    part: str = ""
    dropped: int = 0
    ragged: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[Message, ...] = ()

    @property
    def is_sample(self) -> bool:
        """Whether `table` holds only some of the rows that were read."""
        return len(self.numbers) + len(self.rejects) < self.read

    def locate(self, number: int) -> tuple[str, int]:
        """The file of a row, and its row number in that file."""
        file_index = bisect_left(self.starts, number) - 1
        return (self.files or (self.name,))[file_index], number - self.starts[file_index]


def join_rows(parts: Sequence[SourceRows]) -> SourceRows:
    """The rows of several files with the same columns. Raises DataError if their columns differ."""
    if len(parts) == 1:
        return parts[0]
    if any(sorted(p.table.column_names) != sorted(parts[0].table.column_names) for p in parts):
        raise DataError(
            "{first} … {last}: the files differ in their columns.", first=parts[0].name, last=parts[-1].name
        )
    starts = starts_of([p.read + p.dropped for p in parts])
    return SourceRows(
        joint_name([Path(p.name) for p in parts]),
        stack_tables([p.table for p in parts]),
        np.concatenate([p.numbers + start for p, start in zip(parts, starts, strict=True)]),
        sum(p.read for p in parts),
        [r for p in parts for r in p.rejects],
        files=tuple(p.name for p in parts),
        starts=starts,
        dropped=sum(p.dropped for p in parts),
        notes=tuple(dict.fromkeys(note for p in parts for note in p.notes)),
    )


def joint_name(paths: Sequence[Path]) -> str:
    """The name of one file, or the first and the last of several."""
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} … {paths[-1].name}"


def cell_count(count: int) -> Message:
    """What a rejected row shows as its value: the number of its cells."""
    return Message("{count} cells", count=count)


def starts_of(counts: Sequence[int]) -> tuple[int, ...]:
    """The number of rows before each of several files."""
    return tuple(sum(counts[:i]) for i in range(len(counts)))


def check_columns(wanted: Sequence[str] | None, names: Sequence[str], location: str | Message) -> None:
    """Raise SettingsError for the first of `wanted` that is not in `names`, with similar names."""
    for column in wanted or ():
        if column not in names:
            raise SettingsError(
                "{location}: there is no column {column!r} as crm.toml says; {nearest}.",
                location=location,
                column=column,
                nearest=suggest_nearest(column, list(names)),
            )


def to_array(values: Sequence[object]) -> pa.Array:
    """Values as an Arrow array; values of mixed types as texts."""
    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError):
        array = None
    if array is None or isinstance(array.type, pa.BaseExtensionType):
        # SQLite columns may mix types, PostgreSQL has UUIDs; as texts they can be told apart later.
        return pa.array([None if v is None else str(v) for v in values], pa.string())
    return array


def stack_tables(chunks: Sequence[pa.Table]) -> pa.Table:
    """Tables with the same columns below one another; as texts if their types differ."""
    try:
        return pa.concat_tables(chunks, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        as_text = [pa.table({n: as_texts(c[n], ()) for n in c.column_names}) for c in chunks]
        return pa.concat_tables(as_text, promote_options="permissive")
