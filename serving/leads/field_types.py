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
MAX_NUMBER = 1e15
"""No number may be further from 0."""
MAX_TEXT_LENGTH, MAX_ATTRIBUTES, MAX_NUMBER_LENGTH = 4_000, 1_000, 200

Identifier = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""An id of the sender's; no control characters."""
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
LongText = Annotated[str, Field(max_length=MAX_TEXT_LENGTH, pattern=r"^[^\x00]*$")]
NonEmptyText = Annotated[
    str, Field(min_length=1, max_length=MAX_TEXT_LENGTH, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")
]
"""Words that must say something."""
_FiniteNumber = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER, allow_inf_nan=False)]


class _NumberOrText:
    """A number, or a text that is one: some systems know no other."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        form = core_schema.str_schema(pattern=f"^({NUMBER})$", max_length=MAX_NUMBER_LENGTH, strict=True)
        text = core_schema.no_info_after_validator_function(number, form)
        return core_schema.custom_error_schema(
            core_schema.union_schema([handler(source), text], mode="left_to_right"),
            "number",
            custom_error_message=f'a number from -{MAX_NUMBER:g} to {MAX_NUMBER:g}, or a text of one such as "1,200"',
        )


Number = Annotated[_FiniteNumber, _NumberOrText()]
"""A number; the text of one is read as it."""


class _OneError:
    """A union's error in one sentence, where pydantic would tell one for each of its branches."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.custom_error_schema(
            handler(source),
            "plain_value",
            custom_error_message=f"a text of at most {MAX_TEXT_LENGTH:,} characters without NUL, a number from "
            f"-{MAX_NUMBER:g} to {MAX_NUMBER:g}, true, false or null",
        )


AttributeValue = Annotated[LongText | _FiniteNumber | bool | None, _OneError()]
"""A value of an attribute; null: it is not known (any more)."""
Attributes = Annotated[dict[Name, AttributeValue], Field(max_length=MAX_ATTRIBUTES)]


def _to_whole_number(value: object) -> object:
    """1.0 is a whole number to JSON, and some senders know no other."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_to_whole_number)]


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
