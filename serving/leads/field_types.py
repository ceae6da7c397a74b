"""The types of the fields of request bodies: ids, names, texts, numbers, times and attributes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from features.clock import CLOCKS_DIFFER_MS, iso, to_ms
from features.numbers import NUMBER, number
from serving.leads.attribute_schema import AttributeSchema
from serving.web.field_errors import TIME

FROM_YEAR, TO_YEAR, YEARS = 1900, 2199, r"(19|2[01])\d\d"
"""The years that a time may have. Others are the empty dates of some systems (0001-01-01, 9999-12-31)."""
MAX_NUMBER = 1e15
"""The largest absolute value of a number."""
MAX_TEXT_LENGTH, MAX_ATTRIBUTES, MAX_NUMBER_LENGTH = 4_000, 1_000, 200

Identifier = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""An id that the sender chose, without control characters."""
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
LongText = Annotated[str, Field(max_length=MAX_TEXT_LENGTH, pattern=r"^[^\x00]*$")]
NonEmptyText = Annotated[
    str, Field(min_length=1, max_length=MAX_TEXT_LENGTH, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")
]
"""A text that is not blank."""
_FiniteNumber = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER, allow_inf_nan=False)]


class _NumberOrText:
    """A number or a text that is one, for systems that send numbers as texts."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        form = core_schema.str_schema(pattern=f"^({NUMBER})$", max_length=MAX_NUMBER_LENGTH, strict=True)
        text = core_schema.no_info_after_validator_function(number, form)
        return core_schema.custom_error_schema(
            core_schema.union_schema([handler(source), text], mode="left_to_right"),
            "number",
            custom_error_message=(
                f'a number from -{MAX_NUMBER:g} to {MAX_NUMBER:g}, or a text of one such as "1,200"'
            ),
        )


Number = Annotated[_FiniteNumber, _NumberOrText()]
"""A number, or a text of one."""


class _OneError:
    """One error for a union; pydantic would report one for each of its branches."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.custom_error_schema(
            handler(source),
            "plain_value",
            custom_error_message=f"a text of at most {MAX_TEXT_LENGTH:,} characters without NUL, a number "
            f"from -{MAX_NUMBER:g} to {MAX_NUMBER:g}, true, false or null",
        )


AttributeValue = Annotated[LongText | _FiniteNumber | bool | None, _OneError()]
"""A value of an attribute. null: it is not known (any more)."""
Attributes = Annotated[dict[Name, AttributeValue], Field(max_length=MAX_ATTRIBUTES)]


def _to_whole_number(value: object) -> object:
    """1.0 as 1: some senders write whole numbers so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_to_whole_number)]


@dataclass(frozen=True, slots=True)
class ParseContext:
    """What pydantic needs to check what a request means, beside its form.

    `schema` has the company's columns. `now` (ms UTC) is given for what happened until now: nothing may lie
    in its future by more than clocks may differ. It is None for a score as of an earlier moment, which sees
    nothing after that moment anyway.
    """

    schema: AttributeSchema
    now: int | None


class _TimeType:
    """A time with offset, which becomes int ms UTC. `is_past`: not after `now` of the ParseContext."""

    def __init__(self, is_past: bool) -> None:
        self.is_past = is_past

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        # A time begins with its date: pydantic would take a text of digits for seconds since 1970.
        text = core_schema.str_schema(pattern=rf"^{YEARS}-\d\d-\d\d[Tt ]")
        # The text comes from the first step, not from JSON; strict mode would refuse it.
        moment = core_schema.datetime_schema(tz_constraint="aware", strict=False)
        checked = core_schema.custom_error_schema(
            core_schema.chain_schema([text, moment]),
            "moment",
            custom_error_message=f"{TIME}, from {FROM_YEAR} to {TO_YEAR}",
        )
        if self.is_past:
            return core_schema.with_info_after_validator_function(_to_past_ms, checked)
        return core_schema.no_info_after_validator_function(to_ms, checked)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": "date-time"}


def _to_past_ms(moment: datetime, info: ValidationInfo) -> int:
    time_ms, context = to_ms(moment), info.context
    if context is not None and context.now is not None and time_ms > context.now + CLOCKS_DIFFER_MS:
        raise PydanticCustomError(
            "future_time", "a time that has come (it is {now})", {"now": iso(context.now)}
        )
    return time_ms


Moment = Annotated[int, _TimeType(is_past=False)]
"""A time with offset as ms UTC."""
PastMoment = Annotated[int, _TimeType(is_past=True)]
"""A time with offset as ms UTC, when something happened: not after now."""
