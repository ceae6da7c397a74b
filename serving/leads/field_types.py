"""The fields that bodies are made of: what an id, a name, words, a number and a time may be."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from features.numbers import NUMBER, number
from serving.web.field_errors import TIME

FROM_YEAR, TO_YEAR, YEARS = 1900, 2199, r"(19|2[01])\d\d"
"""The years of all times. Others come from an empty date of some system (0001-01-01, 9999-12-31)."""
MOST = 1e15
"""No number may be further from 0."""
WORDS_MOST, ATTRIBUTES_MOST, NUMBER_MOST = 4_000, 1_000, 200

Identifier = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""An id of the sender's; no control characters."""
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Words = Annotated[str, Field(max_length=WORDS_MOST, pattern=r"^[^\x00]*$")]
Said = Annotated[str, Field(min_length=1, max_length=WORDS_MOST, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
"""Words that must say something."""
_Plain = Annotated[float, Field(ge=-MOST, le=MOST, allow_inf_nan=False)]


class _NumberOrText:
    """A number, or a text that is one: some systems know no other."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        form = core_schema.str_schema(pattern=f"^({NUMBER})$", max_length=NUMBER_MOST, strict=True)
        text = core_schema.no_info_after_validator_function(number, form)
        return core_schema.custom_error_schema(
            core_schema.union_schema([handler(source), text], mode="left_to_right"),
            "number",
            custom_error_message=f'a number from -{MOST:g} to {MOST:g}, or a text of one such as "1,200"',
        )


Number = Annotated[_Plain, _NumberOrText()]
"""A number; the text of one is read as it."""


class _OneError:
    """A union's error in one sentence, where pydantic would tell one for each of its branches."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.custom_error_schema(
            handler(source),
            "plain_value",
            custom_error_message=f"a text of at most {WORDS_MOST:,} characters without NUL, a number from "
            f"-{MOST:g} to {MOST:g}, true, false or null",
        )


Value = Annotated[Words | _Plain | bool | None, _OneError()]
"""A value of an attribute; null: it is not known (any more)."""
Attributes = Annotated[dict[Name, Value], Field(max_length=ATTRIBUTES_MOST)]


def _whole(told: object) -> object:
    """1.0 is a whole number to JSON, and some senders know no other."""
    return int(told) if isinstance(told, float) and told.is_integer() else told


Whole = Annotated[int, BeforeValidator(_whole)]


class _DateFirst:
    """A time begins with its date; pydantic would take a text of digits for seconds since 1970."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        date = core_schema.str_schema(pattern=rf"^{YEARS}-\d\d-\d\d[Tt ]")
        return core_schema.custom_error_schema(
            core_schema.chain_schema([date, handler(source)]),
            "moment",
            custom_error_message=f"{TIME}, from {FROM_YEAR} to {TO_YEAR}",
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": "date-time"}


Moment = Annotated[AwareDatetime, Field(strict=False), _DateFirst()]
"""A time with its offset. What comes out of our check is a text, which strictness would refuse."""
