"""A table of an export with the recipe that recognises it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from features.crm.joining.ids import plain_id, plain_ids
from features.crm.profile import TableProfile
from features.crm.propose.parts import deleted_rows
from features.crm.propose.recipes import TableRecipe, find_recipe

_SAMPLE, _MOST_IDS = 40, 300_000
_LISTS = re.compile(r"[;,|\n]")


@dataclass(frozen=True)
class RecognisedTable:
    """A table, and the recipe that fits it (NO_RECIPE if none does)."""

    profile: TableProfile
    recipe: TableRecipe

    @staticmethod
    def from_profile(profile: TableProfile) -> RecognisedTable:
        return RecognisedTable(profile, find_recipe(profile))

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def file(self) -> str:
        """The name of the file, or of the table of a database."""
        return self.profile.source.table or Path(self.profile.source.source).name

    @cached_property
    def samples(self) -> dict[str, frozenset[str]]:
        """Some ids of each column that may hold any, in their plain form, spread over all rows."""
        columns = (c.name for c in self.profile.columns if c.kind in ("text", "number") and c.distinct)
        return {name: self._sample(name) for name in columns}

    def _sample(self, column: str) -> frozenset[str]:
        texts = self.profile.texts(column).drop_null()
        step = max(1, len(texts) // _SAMPLE)
        values = texts.take(pa.array(range(0, len(texts), step)[: 2 * _SAMPLE], pa.int64())).to_pylist()
        return frozenset(plain_id(part.strip()) for value in values for part in _LISTS.split(value) if part)

    @cached_property
    def _id_sets(self) -> dict[str, frozenset[str] | None]:
        return {}

    def ids(self, column: str) -> pa.Array:
        """The values of a column as one array."""
        return self.profile.all_texts(column).combine_chunks()

    def holds_any(self, column: str, sample: frozenset[str]) -> bool:
        """Whether a column holds one of some ids; also true for a column of too many values to look."""
        if column not in self._id_sets:
            few = self.profile.column(column).distinct <= _MOST_IDS
            self._id_sets[column] = plain_ids(self.profile.all_texts(column).drop_null()) if few else None
        ids = self._id_sets[column]
        return ids is None or not ids.isdisjoint(sample)

    @property
    def deleted(self) -> dict[str, tuple[str, ...]]:
        """The values that mark deleted or merged rows, by column."""
        return deleted_rows(self.profile, self.recipe)
