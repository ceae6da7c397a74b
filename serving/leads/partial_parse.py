"""What can be read of a body that is wrong, so that all that is wrong with it is told at once.

Every field is read by itself. In the place of one that is wrong stands something that is not: a time long
past, an empty text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

Model = TypeVar("Model", bound=BaseModel)
_LONG_PAST = datetime(1970, 1, 1, tzinfo=UTC)
_ABSENT: Any = object()


def salvaged(model: type[Model], raw: bytes) -> list[Model]:
    """What can be read of a body of one or a list, one for each; nothing where it is no JSON."""
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return []
    return [salvage(model, item) for item in (parsed if isinstance(parsed, list) else [parsed])]


def salvage(model: type[Model], value: object) -> Model:
    """What can be read of one object."""
    fields = value if isinstance(value, dict) else {}
    return model.model_construct(
        **{
            name: _read(model, name, field, fields.get(name, _ABSENT))
            for name, field in model.model_fields.items()
        }
    )


def _read(model: type[BaseModel], name: str, field: FieldInfo, raw: object) -> Any:
    inner, many = next(_models(field.annotation), None), _is_a(list, field.annotation)
    if inner is not None and many and isinstance(raw, list):
        return [salvage(inner, element) for element in raw]
    if inner is not None and not many and isinstance(raw, dict):
        return salvage(inner, raw)
    if isinstance(raw, dict) and _is_a(Mapping, field.annotation):
        pieces = (_read_value(model, name, {key: element}) for key, element in raw.items())
        return {key: element for item in pieces if item is not _ABSENT for key, element in item.items()}
    if (value := _read_value(model, name, raw)) is not _ABSENT:
        return value
    if not field.is_required():
        return field.get_default(call_default_factory=True)
    return _LONG_PAST if AwareDatetime in _parts(field.annotation) else ""


def _read_value(model: type[BaseModel], name: str, raw: object) -> Any:
    """A field that is right by itself; _ABSENT where it is not there, or wrong."""
    if raw is _ABSENT:
        return _ABSENT
    try:
        return _adapter(model, name).validate_python(raw)
    except ValidationError:
        return _ABSENT


@cache
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Checks a field as its model does, but for what it says of several together."""
    field = model.model_fields[name]
    full_type: Any = field.annotation
    if field.metadata:
        full_type = Annotated[(full_type, *field.metadata)]
    return TypeAdapter(full_type, config=ConfigDict(strict=True))


def _is_a(kind: type, annotation: object) -> bool:
    """Whether an annotation, or a part of it, is that of a kind of collection."""
    origins = (get_origin(part) for part in _parts(annotation))
    return any(isinstance(origin, type) and issubclass(origin, kind) for origin in origins)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    return (p for p in _parts(annotation) if isinstance(p, type) and issubclass(p, BaseModel))


def _parts(annotation: object) -> Iterator[object]:
    """An annotation with all that it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
