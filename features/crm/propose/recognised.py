"""A table of an export with the recipe that recognises it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from features.crm.profile import TableProfile
from features.crm.propose.parts import deleted_rows
from features.crm.propose.recipes import TableRecipe, find_recipe


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

    @property
    def deleted(self) -> dict[str, tuple[str, ...]]:
        """The values that mark deleted or merged rows, by column."""
        return deleted_rows(self.profile, self.recipe)
