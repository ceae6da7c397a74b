"""How the attributes of leads are read: which columns the company has, what is a number, what is missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from features.columns import to_text
from features.crm.values.formats import NumberFormat
from features.numbers import NUMBER, number
from features.settings import CrmSettings

JsonValue: TypeAlias = str | float | bool | None
"""A value of an attribute as JSON holds it."""

_NUMBER = re.compile(NUMBER)


@dataclass(frozen=True)
class AttributeSchema:
    """The columns of the company's attributes, as crm.toml defines them.

    `missing` are the texts that mean "not known", `roles` the columns of budget, authority, need and timing,
    `dated` whether the CRM has dates, `types` the activity types that features name (None: they only
    count all of them), and `formats` how texts of columns of numbers are written, where they are not plain.
    """

    columns: Mapping[str, Literal["category", "number"]]
    missing: frozenset[str]
    roles: Mapping[str, str]
    dated: bool
    types: frozenset[str] | None
    formats: Mapping[str, NumberFormat] = field(default_factory=dict)

    @staticmethod
    def from_settings(settings: CrmSettings) -> AttributeSchema:
        """The schema of a company."""
        counted = settings.table.activities
        return AttributeSchema(
            columns=settings.columns,
            missing=frozenset({"", *settings.missing}),
            roles=settings.role_columns,
            dated=settings.dated,
            types=None if counted == {"*"} else counted - {"*"},
            formats=settings.number_formats,
        )

    def parse_value(self, column: str, value: JsonValue) -> str | float | None:
        """A value of a known column as features take it. Raises ValueError if it is not a number."""
        if self.columns[column] == "category":
            return parse_text(value, self.missing)
        return parse_number(value, self.missing, self.formats.get(column))

    def find_ignored(self, columns: Iterable[str]) -> tuple[str, ...]:
        """The attributes that no feature uses."""
        return tuple([name for name in columns if name not in self.columns])

    def find_unknown_types(self, types: Iterable[str]) -> tuple[str, ...]:
        """The activity types that no feature names, sorted: they may be misspelt."""
        unknown = set[str]() if self.types is None else {*types} - self.types
        return tuple(sorted(unknown)) if unknown else ()


def parse_text(value: JsonValue, missing: Collection[str]) -> str | None:
    """A value as a text; None if it is one of the `missing` texts."""
    if value is None:
        return None
    text = (value if isinstance(value, str) else to_text(value)).strip()
    return None if not text or text in missing else text


def parse_number(
    value: JsonValue, missing: Collection[str], number_format: NumberFormat | None = None
) -> float | None:
    """A value as a number; None if it is one of the `missing` texts. '1,200' and '１２００' are 1200.

    A text of a column with a format is read as in a file: '1.500名' is 1500 with decimal = ",", unit = "名".
    Raises ValueError if it is not a number.
    """
    if isinstance(value, bool):
        raise ValueError
    text = parse_text(value, missing)
    if text is None:
        return None
    if not isinstance(value, str):
        return float(value or 0)
    if number_format is not None:
        parsed = number_format.parse(text)
        if parsed is None:
            raise ValueError
        return parsed
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return number(text)
