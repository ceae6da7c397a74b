"""The types of the fields of request bodies: ids, names, texts, numbers, times, and the attributes of leads
as crm.toml defines them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Annotated, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError, core_schema

from features.clock import CLOCKS_DIFFER_MS, iso, iso_exact, to_ms
from features.columns import to_text
from features.crm.values.date_reader import DateReader
from features.crm.values.formats import NumberFormat
from features.kinds import Edge, ValueType
from features.numbers import MAX_AMOUNT, NOT_NEGATIVE, NUMBER, number
from features.settings import CrmSettings
from serving.web.field_errors import MAX_ERRORS, TIME

FROM_YEAR, TO_YEAR, YEARS = 1900, 2199, r"(19|2[01])\d\d"
"""The years that a time may have. Others are the empty dates of some systems (0001-01-01, 9999-12-31)."""
MAX_NUMBER = 1e15
"""The largest absolute value of a number."""
MAX_TEXT_LENGTH, MAX_ATTRIBUTES, MAX_NUMBER_LENGTH = 4_000, 1_000, 200
NUMBER_OR_TEXT = 'a number, or a text of one such as "1,200"'
DATE = 'a date such as "2026-10-01", with a time or without'

JsonValue: TypeAlias = str | float | bool | None
"""A value of an attribute as JSON holds it."""
_NUMBER = re.compile(NUMBER)

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

    def __init__(self, form: str = NUMBER, lowest: float = -MAX_NUMBER) -> None:
        self.form, self.lowest = form, lowest

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        form = core_schema.str_schema(pattern=f"^({self.form})$", max_length=MAX_NUMBER_LENGTH, strict=True)
        text = core_schema.no_info_after_validator_function(number, form)
        return core_schema.custom_error_schema(
            core_schema.union_schema([handler(source), text], mode="left_to_right"),
            "number",
            custom_error_message=(
                f'a number from {self.lowest:g} to {MAX_NUMBER:g}, or a text of one such as "1,200"'
            ),
        )


Number = Annotated[_FiniteNumber, _NumberOrText()]
"""A number, or a text of one."""
_FiniteAmount = Annotated[float, Field(ge=0, le=MAX_AMOUNT, allow_inf_nan=False)]
Amount = Annotated[_FiniteAmount, _NumberOrText(NOT_NEGATIVE, lowest=0)]
"""What an open deal is expected to bring: a number that is not negative, or a text of one."""


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
_AnyAttributes = Annotated[dict[Name, AttributeValue], Field(max_length=MAX_ATTRIBUTES)]


def _to_whole_number(value: object) -> object:
    """1.0 as 1: some senders write whole numbers so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_to_whole_number)]


@dataclass(frozen=True)
class AttributeSchema:
    """The columns of the company's attributes, as crm.toml defines them.

    `missing` are the texts that mean "not known", `roles` the columns of budget, authority, need and timing,
    `dated` whether the CRM has dates, `types` the activity types that features name (None: they only
    count all of them), `formats` how texts of columns of numbers are written, where they are not plain, and
    `leaves_out_bursts` whether activities do not count that a machine made (`features.bots`). `dates` reads
    columns of times; `edges` has, for columns of personal data, what is kept of a text.
    """

    columns: Mapping[str, ValueType]
    missing: frozenset[str]
    roles: Mapping[str, str]
    dated: bool
    types: frozenset[str] | None
    formats: Mapping[str, NumberFormat] = field(default_factory=dict)
    leaves_out_bursts: bool = True
    dates: DateReader = field(default_factory=DateReader)
    edges: Mapping[str, Edge] = field(default_factory=dict)

    @staticmethod
    def from_settings(settings: CrmSettings) -> AttributeSchema:
        counted = settings.table.activities
        return AttributeSchema(
            columns=settings.columns,
            missing=frozenset({"", *settings.missing}),
            roles=settings.role_columns,
            dated=settings.dated,
            types=None if counted == {"*"} else counted - {"*"},
            formats=settings.number_formats,
            leaves_out_bursts=settings.leaves_out_bursts,
            dates=DateReader(settings.zone, settings.leads.time_format_of),
            edges=settings.edges,
        )

    def parse_value(self, column: str, value: JsonValue) -> str | float | None:
        """A value of a known column as features take it. Raises ValueError if it is no number or time."""
        kind = self.columns[column]
        if kind == "category":
            text, edge = parse_text(value, self.missing), self.edges.get(column)
            return text if text is None or edge is None else edge(text)
        if kind == "time":
            text = parse_text(value, self.missing)
            return None if text is None else self.dates.parse(text, column)
        return parse_number(value, self.missing, self.formats.get(column))

    def to_stored(self, attributes: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        """The attributes as they were sent, but of personal data only what is kept, and dates in ISO 8601."""
        return {column: self._to_stored_value(column, value) for column, value in attributes.items()}

    def _to_stored_value(self, column: str, value: JsonValue) -> JsonValue:
        is_time = self.columns.get(column) == "time"
        if not is_time and column not in self.edges:
            return value
        parsed = self.parse_value(column, value)
        return iso_exact(int(parsed)) if is_time and isinstance(parsed, float) else parsed

    def find_ignored(self, columns: Iterable[str]) -> tuple[str, ...]:
        return tuple([name for name in columns if name not in self.columns])

    def find_unknown_types(self, types: Iterable[str]) -> tuple[str, ...]:
        """The activity types that no feature names, sorted: they may be misspelt."""
        unknown = set[str]() if self.types is None else {*types} - self.types
        return tuple(sorted(unknown)) if unknown else ()


def parse_text(value: JsonValue, missing: Collection[str]) -> str | None:
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


@dataclass(frozen=True, slots=True)
class ParseContext:
    """What pydantic needs to check what a request means, beside its form.

    `schema` has the company's columns. `now` (ms UTC) is given for what happened until now: nothing may lie
    in its future by more than clocks may differ. It is None for a score as of an earlier moment, which sees
    nothing after that moment anyway.
    """

    schema: AttributeSchema
    now: int | None


def parse_attribute(column: str | None, value: JsonValue, context: ParseContext | None) -> JsonValue:
    """A value as features take it; unchanged if the column is unknown. Raises PydanticCustomError."""
    if context is None or column is None or column not in context.schema.columns:
        return value
    try:
        return context.schema.parse_value(column, value)
    except ValueError:
        is_time = context.schema.columns[column] == "time"
        raise PydanticCustomError("not_a_number", DATE if is_time else NUMBER_OR_TEXT) from None


def _validate_parts(
    value: object, handler: ValidatorFunctionWrapHandler
) -> tuple[Mapping[str, JsonValue], list[InitErrorDetails]]:
    """The valid attributes, and the errors of the others, which are not looked for beyond `MAX_ERRORS`.

    Where the whole is invalid (no object, too many), its values are not looked at.
    """
    values: dict[str, JsonValue] = {}
    errors: list[InitErrorDetails] = []
    for part in _split(value):
        try:
            values |= handler(part)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                kind = PydanticCustomError(one["type"], one["msg"], one.get("ctx"))
                errors.append({"type": kind, "loc": one["loc"], "input": one["input"]})
            invalid = {one["loc"][0] if one["loc"] else None for one in errors}
            fields = part if isinstance(part, Mapping) and None not in invalid else {}
            values |= {column: content for column, content in fields.items() if column not in invalid}
        if len(errors) >= MAX_ERRORS:
            break
    return values, errors


def _split(value: object) -> Iterator[object]:
    """Many attributes in parts; anything else as it is."""
    if not isinstance(value, Mapping) or len(value) <= MAX_ERRORS:
        yield value
        return
    if len(value) > MAX_ATTRIBUTES:
        sizes = {"field_type": "Dictionary", "max_length": MAX_ATTRIBUTES, "actual_length": len(value)}
        raise PydanticKnownError("too_long", sizes)
    items = iter(value.items())
    while part := dict(islice(items, MAX_ERRORS)):
        yield part


def _validate_attributes(parses: bool) -> WrapValidator:
    """Checks the values of the company's columns, and `parses` them: texts, numbers or None.

    Where the form of some is not valid, the others are checked too, so that all errors come at once.
    """

    def validate(
        value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Mapping[str, JsonValue]:
        values: Mapping[str, JsonValue]
        errors: list[InitErrorDetails] = []
        is_long = isinstance(value, Mapping) and len(value) > MAX_ERRORS
        try:
            values = {} if is_long else handler(value)
        except ValidationError:
            is_long = True
        if is_long:
            values, errors = _validate_parts(value, handler)
        parsed = dict(values)
        for column, content in values.items():
            try:
                parsed[column] = parse_attribute(column, content, info.context)
            except PydanticCustomError as error:
                errors.append({"type": error, "loc": (column,), "input": content})
        if errors:
            raise ValidationError.from_exception_data("attributes", errors)
        if parses or info.context is None:
            return parsed if parses else values
        schema: AttributeSchema = info.context.schema
        return schema.to_stored(values)

    return WrapValidator(validate)


Attributes = Annotated[_AnyAttributes, _validate_attributes(parses=False)]
"""Attributes as they are sent."""
ParsedAttributes = Annotated[_AnyAttributes, _validate_attributes(parses=True)]
"""Attributes as features take them."""


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
        described = {"description": "Not in the future."} if self.is_past else {}
        return {"type": "string", "format": "date-time", "pattern": f"^{YEARS}-", **described}


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
