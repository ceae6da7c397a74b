"""Values of a request, read as the columns of a CRM are: what is missing, what is a number."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TypeAlias

from features.columns import to_text
from features.numbers import NUMBER, number

JsonValue: TypeAlias = str | float | int | bool | None
"""A value of an attribute as JSON holds it."""

_NUMBER = re.compile(NUMBER)


def parse_text(value: JsonValue, missing: Collection[str]) -> str | None:
    """A value as a text; None where it says nothing (`missing` are the words for that)."""
    if value is None:
        return None
    text = (value if isinstance(value, str) else to_text(value)).strip()
    return None if not text or text in missing else text


def parse_number(value: JsonValue, missing: Collection[str]) -> float | None:
    """A value as a number; None where it says nothing. '1,200' and '１２００' are 1200.

    Raises ValueError where it is no number.
    """
    if isinstance(value, bool):
        raise ValueError
    text = parse_text(value, missing)
    if text is None:
        return None
    if not isinstance(value, str):
        return float(value or 0)
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return number(text)
