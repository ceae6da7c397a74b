"""Fields of a request that are not valid: where they are, what was received, what is allowed."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import get_args, is_typeddict

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from features.errors import suggest_nearest

MAX_SHOWN = 80
"""The length at which a value or a key is cut."""
MAX_ERRORS = 50
"""The number of errors of a request that are described; the others are only counted."""

TIME = "a time with offset such as 2026-10-01T09:30:00+09:00"
NEEDED = "a value: this field is needed"


@dataclass(frozen=True, slots=True)
class FieldError:
    """A field of a request that is not valid.

    `path` is its place (body.activities[3].at), `received` its value (cut at 80 characters), `allowed` what
    may be sent. `received` is only for the sender: it never goes into a log.
    """

    path: str
    received: str = field(repr=False)
    allowed: str


class InvalidFields(Exception):
    """Fields of a request are not valid. `omitted` counts those that `errors` does not describe."""

    def __init__(self, errors: Iterable[FieldError], omitted: int = 0) -> None:
        super().__init__("fields are not valid")  # no values: the message may be logged
        self.errors, self.omitted = tuple(errors), omitted


class NotJson(Exception):
    """A body is not JSON in UTF-8."""


def from_validation_error(
    error: ValidationError, root: str = "body", model: object | None = None
) -> InvalidFields | NotJson:
    """The errors that pydantic found in JSON, in our words.

    `model` (the class or type that was checked against) lets an unknown field be answered with the field
    name that is nearest to it.
    """
    details = error.errors(include_url=False)
    if any(one["type"] == "json_invalid" for one in details):
        return NotJson()
    return _describe(details, root, model, MAX_ERRORS)


def describe_errors(
    error: ValidationError, root: str, model: object, max_errors: int = MAX_ERRORS, first_index: int = 0
) -> InvalidFields:
    """The errors that pydantic found in parsed JSON, `max_errors` of them in our words.

    Of a part of a list, `first_index` is the place of its first item in the list.
    """
    details = error.errors(include_url=False)
    for one in details[:max_errors] if first_index else ():
        index, *inner = one["loc"]
        one["loc"] = (first_index + int(index), *inner)
    return _describe(details, root, model, max_errors)


def _describe(
    details: Sequence[ErrorDetails], root: str, model: object | None, max_errors: int
) -> InvalidFields:
    errors = [from_pydantic_error(one, root, model) for one in details[:max_errors]]
    return InvalidFields(errors, omitted=len(details) - len(errors))


def field_error(path: str, received: object, allowed: str) -> FieldError:
    """A field that is not valid, with its value as it is shown."""
    return FieldError(path, format_value(received), allowed)


def format_value(value: object) -> str:
    """A value in the spelling of JSON, cut at 80 characters, whatever its size."""
    text = _VALUE_REPR.repr(value)
    # A lone surrogate may stand in a Python text, but not in the JSON of the answer.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def format_path(root: str, loc: tuple[int | str, ...]) -> str:
    """A place as it is written: body.activities[3].at."""
    inner = [p for p in loc[:-1] if not (isinstance(p, str) and _LABEL.fullmatch(p))]
    return root + "".join(map(_format_step, [*inner, *loc[-1:]]))


def from_pydantic_error(error: ErrorDetails, root: str, model: object | None = None) -> FieldError:
    kind, loc = error["type"], error["loc"]
    path = format_path(root, loc)
    if kind == "missing":
        return FieldError(path, "nothing", NEEDED)
    if kind == "extra_forbidden":
        return FieldError(path, format_value(error["input"]), _suggest_field(str(loc[-1]), model, loc[:-1]))
    return FieldError(path, format_value(error["input"]), _describe_allowed(error))


class _ValueRepr(reprlib.Repr):
    """JSON's spelling, of a part of the value where it is large."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxlist = 2, 3, 3

    def repr_str(self, x: str, level: int) -> str:
        return json.dumps(x[:MAX_SHOWN], ensure_ascii=False)

    def repr_bool(self, x: bool, level: int) -> str:
        return "true" if x else "false"

    def repr_NoneType(self, x: None, level: int) -> str:
        return "null"

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write very long numbers, and they are of no use here.
        return str(x) if x.bit_length() < 256 else f"a number of {x.bit_length()} bits"


_VALUE_REPR = _ValueRepr()

_LABEL = re.compile(r"(list|dict|tuple|set|nullable|[a-z]+-[a-z-]+)\[.*\]", re.DOTALL)
"""What pydantic calls the branches of a union; they are no part of the path."""

_PLAIN = re.compile(r"[^\W\d][\w-]{0,79}")


def _format_step(part: int | str) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN.fullmatch(part) else f"[{format_value(part)}]"


def _suggest_field(name: str, model: object | None, loc: tuple[int | str, ...]) -> str:
    field_names = sorted(_field_annotations(_model_at(model, loc)))
    return (
        f"no such field; {suggest_nearest(name[:MAX_SHOWN], field_names)}" if field_names else "no such field"
    )


def _model_at(model: object, loc: tuple[int | str, ...]) -> object:
    for part in loc:
        if isinstance(part, str):
            inner = {**_field_annotations(_model(model))}
            model = inner.get(part, model)  # a union's branch is no field: stay
    return _model(model)


def _model(annotation: object) -> object:
    """The first model in an annotation such as Annotated[list[Activity], ...] | None."""
    if _field_annotations(annotation):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model(a)) is not None), None)


def _field_annotations(model: object) -> Mapping[str, object]:
    """The fields of a model by the name that a sender uses, with their annotations."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {f.alias or name: f.annotation for name, f in model.model_fields.items()}
    if isinstance(model, type) and is_dataclass(model):
        return {f.name: f.type for f in fields(model)}
    if is_typeddict(model):
        return dict(model.__annotations__)
    return {}


def _describe_allowed(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    for start, words in _ALLOWED_TEXTS.items():
        if kind.startswith(start):
            return words if isinstance(words, str) else words(context)
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message if len(message) <= 300 else message[:299] + "…"


_ALLOWED_TEXTS: Mapping[str, str | Callable[[Mapping[str, object]], str]] = {
    # The first entry that the type starts with tells what is allowed.
    "string_too_short": lambda c: f"a text of at least {c['min_length']:,} characters",
    "string_too_long": lambda c: f"a text of at most {c['max_length']:,} characters",
    "string_pattern_mismatch": lambda c: f"a text of the form {c['pattern']}",
    "string": "a text",
    "int": "a whole number",
    **dict.fromkeys(("float", "decimal"), "a number"),
    "finite_number": "a finite number",
    "bool": "true or false",
    "datetime": TIME,
    "timezone": TIME,
    "date": "a date such as 2026-10-01",
    "literal_error": lambda c: f"one of {c['expected']}",
    "enum": lambda c: f"one of {c['expected']}",
    "union_tag_invalid": lambda c: f"one of {c['expected_tags']} as {c['discriminator']}",
    "union_tag_not_found": lambda c: f"an object with {c['discriminator']}",
    "none_required": "null",
    "greater_than_equal": lambda c: f"at least {c['ge']}",
    "greater_than": lambda c: f"more than {c['gt']}",
    "less_than_equal": lambda c: f"at most {c['le']}",
    "less_than": lambda c: f"less than {c['lt']}",
    "too_long": lambda c: f"at most {c['max_length']:,} items",
    "too_short": lambda c: f"at least {c['min_length']:,} items",
    **dict.fromkeys(("list", "tuple", "set"), "a list"),
    **dict.fromkeys(("dict", "mapping", "model", "dataclass", "typed_dict"), "an object"),
    "recursion_loop": "a value that is not nested so deeply",
}
