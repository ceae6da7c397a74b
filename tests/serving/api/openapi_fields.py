"""The paths, parameters, status codes and fields of an OpenAPI document in a compact form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]


def document_fields(document: Mapping[str, Any]) -> Json:
    """By path and method: parameters, status codes, and the fields of request and successful answer.

    References are resolved. Required parameters and fields end with `*`; a field without fields of its own
    is null.
    """
    return {
        path: {method: _operation_fields(operation, document) for method, operation in methods.items()}
        for path, methods in document["paths"].items()
    }


def _operation_fields(operation: Json, document: Mapping[str, Any]) -> Json:
    responses = {code: _resolve(r, document) for code, r in operation["responses"].items()}
    parameters = [_resolve(p, document) for p in operation.get("parameters", [])]
    return {
        "parameters": sorted(p["name"] + "*" * bool(p.get("required")) for p in parameters),
        "codes": sorted(responses),
        "request": _content_fields(operation.get("requestBody", {}), document),
        "answer": _content_fields(responses["200"], document),
    }


def problem_fields(document: Mapping[str, Any]) -> Json | None:
    """The fields of an error."""
    return _fields({"$ref": "#/components/schemas/Problem"}, document)


def _content_fields(message: Json, document: Mapping[str, Any]) -> Json | None:
    (media,) = message.get("content", {"": {}}).values()
    return _fields(media.get("schema", {}), document)


def _fields(schema: Any, document: Mapping[str, Any]) -> Json | None:
    """The fields of all branches of a schema or of its items; None for a plain value."""
    objects = list(_objects(schema, document))
    result: Json = {}
    for name in sorted({name for branch in objects for name in branch["properties"]}):
        holders = [branch for branch in objects if name in branch["properties"]]
        required = all(name in branch.get("required", ()) for branch in holders)
        inner = [_fields(branch["properties"][name], document) for branch in holders]
        result[name + "*" * required] = next((fields for fields in inner if fields), None)
    return result or None


def _objects(schema: Any, document: Mapping[str, Any]) -> Iterator[Json]:
    resolved = _resolve(schema, document)
    if "properties" in resolved:
        yield resolved
    for branch in (*resolved.get("oneOf", ()), *resolved.get("anyOf", ()), resolved.get("items")):
        if isinstance(branch, dict):
            yield from _objects(branch, document)


def _resolve(schema: Json, document: Mapping[str, Any]) -> Json:
    result = schema
    while "$ref" in result:
        target: Any = document
        for step in result["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        result = target
    return result
