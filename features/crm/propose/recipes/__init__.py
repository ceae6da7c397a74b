"""Recipes: the standard exports of common CRMs, recognised by headers that occur together.

One file of `recipes/` a CRM. A recipe says which column plays which part; the values of the export are
still checked, so a renamed or empty column falls back to the detection by values.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from features.crm.profile import TableProfile
from features.crm.propose.words import Meaning, header_key, value_key, value_meaning

ROLES = [
    "id",
    "created",
    "closed",
    "lost_at",
    "outcome",
    "amount",
    "account",
    "channel",
    "deal",
    "lead",
    "deleted",
    "active",
    "won_flag",
    "closed_flag",
    "owner",
    "person",
    "result",
    "judgement",
    "later",
    "merged",
    "time",
    "type",
    "column",
    "columns",
    "value",
]
"""The parts that a recipe may give to columns; each lists headers, the best first."""
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class TableRecipe:
    """One table of a CRM: `fingerprints` are sets of header keys, one of which is enough to recognise it.

    `codes` has the meanings of codes by column, from a table of the export that names them.
    """

    crm: str
    object: str
    part: str
    fingerprints: tuple[frozenset[str], ...]
    roles: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Meaning]
    codes: Mapping[str, Mapping[str, Meaning]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.crm} {self.object}"

    def fits(self, keys: frozenset[str]) -> int:
        """The number of known headers in a table with these header keys; 0 without a fingerprint."""
        if not any(fingerprint <= keys for fingerprint in self.fingerprints):
            return 0
        return len(keys & {header for headers in self.roles.values() for header in headers})

    def columns(self, role: str, table: TableProfile) -> list[str]:
        """The columns of a table that play a part, the best first."""
        names = {header_key(c.name): c.name for c in reversed(table.columns)}
        return [names[key] for key in self.roles.get(role, ()) if key in names]

    def meaning(self, value: str, column: str = "") -> Meaning:
        if column in self.codes:
            return self.codes[column].get(value, "open")
        return self.values.get(value_key(value)) or value_meaning(value)


NO_RECIPE = TableRecipe("", "", "", (), {}, {})
"""That of a table which no recipe recognises."""


def find_recipe(table: TableProfile) -> TableRecipe:
    """The recipe that knows most headers of a table."""
    keys = frozenset(header_key(c.name) for c in table.columns)
    best = max(load_recipes(), key=lambda recipe: recipe.fits(keys))
    return best if best.fits(keys) else NO_RECIPE


@cache
def load_recipes() -> tuple[TableRecipe, ...]:
    """All recipes. Raises ValueError for a key that no recipe has."""
    files = sorted(FOLDER.glob("*.toml"))
    parsed = (tomllib.loads(file.read_text(encoding="utf-8")) for file in files)
    return tuple(_to_recipe(crm["name"], table) for crm in parsed for table in crm["tables"])


def _to_recipe(crm: str, table: Mapping[str, Any]) -> TableRecipe:
    unknown = {*table} - {*ROLES, "object", "part", "fingerprints", "values"}
    if unknown:
        raise ValueError(f"{crm}: no recipe has the key {sorted(unknown)[0]!r}")
    values = table.get("values", {})
    return TableRecipe(
        crm,
        table["object"],
        table["part"],
        tuple(frozenset(map(header_key, headers)) for headers in table["fingerprints"]),
        {role: tuple(map(header_key, table[role])) for role in ROLES if role in table},
        {value_key(v): cast(Meaning, meaning) for meaning, words in values.items() for v in words},
    )
