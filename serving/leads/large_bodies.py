"""Large bodies, read so that a refused one costs no more than an accepted one of its size.

A body that holds more values than a valid one can is refused before anything is built of it. Then the sizes
of its lists and objects are checked, and its lists are validated in parts, up to `MAX_ERRORS` errors.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias, TypeVar

import numpy as np
import orjson
from pydantic import TypeAdapter, ValidationError

from serving.leads.bodies import MAX_RECORDS, AttributeChangeIn, Lead, LeadActivity, RequestBody
from serving.leads.field_types import MAX_ATTRIBUTES, ParseContext
from serving.web.field_errors import (
    MAX_ERRORS,
    FieldError,
    InvalidFields,
    NotJson,
    describe_errors,
    field_error,
    format_path,
)

T = TypeVar("T", bound=RequestBody)

DIRECT_BYTES = 16_384
"""Up to this size pydantic reads the JSON itself, which is a little faster and finds all errors at once."""
MIN_VALUE_BYTES, MIN_CONTAINER_BYTES = 6, 12
"""The bytes of the shortest value of a valid body with its key and comma, `"a":1,`, and of the shortest list
or object, `"changes":[],`."""
MAX_VALUES, MAX_CONTAINERS = 150_000, 40_000
"""More than the values of one lead (three lists of 10,000 items with three values each, 1,000 attributes),
and more than the lists and objects of one lead or of one list of records."""
MAX_FIELDS, MAX_ITEMS, PART = 100, MAX_RECORDS, 20
"""The most keys of an object that is not `attributes`, the most items of a list, and the items that are
validated at once."""


def load_large(raw: bytes, root: str = "body", max_values: int = MAX_VALUES) -> object:
    """The parsed JSON of a body, whose lists and objects are of sizes that may occur.

    Raises InvalidFields if the body or something in it is too large, and NotJson.
    """
    refuse_dense(raw, root, max_values, MAX_CONTAINERS)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise NotJson from None
    check_sizes(body, root)
    return body


def refuse_dense(
    raw: bytes, root: str = "body", max_values: int = sys.maxsize, max_containers: int = sys.maxsize
) -> None:
    """Raise InvalidFields if JSON has more values, or lists and objects, than valid JSON of its size can."""
    limits = {
        b",[{": min(len(raw) // MIN_VALUE_BYTES, max_values),
        b"[{": min(len(raw) // MIN_CONTAINER_BYTES, max_containers),
    }
    if not _is_within(raw, limits) and not _is_within(_remove_texts(raw), limits):
        received = f"{len(raw):,} bytes of too many values"
        raise InvalidFields(
            [FieldError(root, received, f"fewer values; lists of at most {MAX_ITEMS:,} items")]
        )


def _is_within(raw: bytes, limits: Mapping[bytes, int]) -> bool:
    return all(len(raw) - len(raw.translate(None, signs)) <= limit for signs, limit in limits.items())


def _remove_texts(raw: bytes) -> bytes:
    """JSON without what is inside of its texts."""
    signs = np.frombuffer(raw.replace(rb"\\", b"").replace(rb"\"", b""), np.uint8)
    is_inside = np.logical_xor.accumulate(signs == ord('"'))
    return signs[~is_inside].tobytes()


def check_sizes(body: object, root: str = "body") -> None:
    """Raise InvalidFields if an object has too many fields, or a list too many items."""
    errors: list[FieldError] = []
    for place in _walk(body):
        limit, noun = _find_limit(place)
        if len(place[2]) > limit:
            path = format_path(root, _find_loc(place))
            errors.append(field_error(path, place[2], f"at most {limit:,} {noun}"))
            if len(errors) == MAX_ERRORS:
                break
    if errors:
        raise InvalidFields(errors)


_Place: TypeAlias = tuple[Any, int | str, Any]
"""A list or an object (last) with its key in the place around it; None is around the body."""
_CONTAINERS = frozenset({dict, list})


def _walk(body: object) -> Iterator[_Place]:
    """The lists and objects of parsed JSON, but not those inside of what is too large."""
    stack: list[_Place] = [(None, "", body)] if type(body) in _CONTAINERS else []
    while stack:
        place = stack.pop()
        yield place
        value = place[2]
        if len(value) <= MAX_ITEMS:
            pairs = value.items() if type(value) is dict else enumerate(value)
            stack += [(place, key, inner) for key, inner in pairs if type(inner) in _CONTAINERS]


def _find_limit(place: _Place) -> tuple[int, str]:
    _, key, value = place
    if type(value) is list:
        return MAX_ITEMS, "items"
    return (MAX_ATTRIBUTES, "items") if key == "attributes" else (MAX_FIELDS, "fields")


def _find_loc(place: _Place) -> tuple[int | str, ...]:
    parent, key, _ = place
    return () if parent is None else (*_find_loc(parent), key)


def parse_large_lead(
    body: bytes | object, context: ParseContext, root: str = "body", max_errors: int = MAX_ERRORS
) -> Lead:
    """A lead from JSON or from parsed JSON.

    Raises InvalidFields, which describes `max_errors` of its errors at most, and NotJson.
    """
    if isinstance(body, bytes):
        body = load_large(body, root)
    else:
        check_sizes(body, root)
    fields, errors, omitted = _validate_lists(body, context, root, max_errors)
    try:
        lead = Lead.model_validate(fields, context=context)
    except ValidationError as error:
        described = describe_errors(error, root, Lead, max_errors)
        errors, omitted = [*described.errors, *errors], omitted + described.omitted
    if errors:
        raise InvalidFields(errors[:max_errors], omitted + len(errors[max_errors:]))
    return lead


def _validate_lists(
    body: object, context: ParseContext, root: str, max_errors: int
) -> tuple[object, list[FieldError], int]:
    """A lead with its long lists validated, the errors of these, and the number of those not described.

    Lists with errors become empty, so that the other fields can be validated.
    """
    errors, omitted = list[FieldError](), 0
    if not isinstance(body, Mapping):
        return body, errors, omitted  # pydantic describes it
    fields = dict(body)
    for name, model in _LIST_MODELS.items():
        items = body.get(name)
        if not isinstance(items, list) or len(items) <= PART:
            continue
        fields[name] = []
        if len(errors) < max_errors:
            try:
                fields[name] = validate_items(model, items, context, f"{root}.{name}", max_errors)
            except InvalidFields as error:
                errors += error.errors
                omitted += error.omitted
    return fields, errors, omitted


_LIST_MODELS: Mapping[str, type[RequestBody]] = {
    "activities": LeadActivity,
    "changes": AttributeChangeIn,
    "colleagues_activities": LeadActivity,
}


def validate_items(
    model: type[T], items: Sequence[object], context: ParseContext, root: str, max_errors: int = MAX_ERRORS
) -> list[T]:
    """The items of a list, validated in parts.

    Raises InvalidFields with their errors as soon as there are `max_errors` or more.
    """
    adapter, valid = _list_adapter(model), list[T]()
    errors, omitted = list[FieldError](), 0
    for start in range(0, len(items), PART):
        try:
            valid += adapter.validate_python(items[start : start + PART], context=context)
        except ValidationError as error:
            described = describe_errors(error, root, model, max_errors - len(errors), start)
            errors += described.errors
            omitted += described.omitted
            if len(errors) == max_errors:
                break
    if errors:
        raise InvalidFields(errors, omitted)
    return valid


@cache
def _list_adapter(model: type[T]) -> TypeAdapter[list[T]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]
