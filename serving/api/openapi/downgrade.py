"""The OpenAPI document once more, in version 3.0 and in plain types: some CRMs read no other.

It says less than the full one, and nothing else: a field that may be of several types has the first of
them, a list has its items, and what only 3.1 can say is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SimpleSchema = dict[str, Any]
_METHODS = frozenset({"get", "post"})
_DROPPED_KEYS = frozenset({"if", "then", "allOf", "propertyNames", "pattern", "default"})


def to_openapi_30(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document in OpenAPI 3.0, without errors' bodies and headers."""
    components = document["components"]
    schemas = {name: _simplify(schema) for name, schema in components["schemas"].items()}
    copied_keys = ("info", "servers", "tags", "security")
    return {
        "openapi": "3.0.3",
        **{name: document[name] for name in copied_keys},
        "paths": {
            path: {
                method: _simplify_operation(operation)
                for method, operation in methods.items()
                if method in _METHODS
            }
            for path, methods in document["paths"].items()
            if path.startswith("/v1/")
        },
        "components": {"schemas": schemas, "securitySchemes": components["securitySchemes"]},
    }


def _simplify_operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    result = {
        **operation,
        "parameters": [_simplify_parameter(p) for p in operation["parameters"] if "name" in p],
        "responses": {
            status: _simplify_response(r)
            for status, r in operation["responses"].items()
            if status.startswith("2")
        },
    }
    if "requestBody" in operation:
        result["requestBody"] = {
            "required": True,
            "content": _simplify_content(operation["requestBody"]["content"]),
        }
    return result


def _simplify_parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {**parameter, "schema": _simplify(parameter["schema"])}


def _simplify_response(response: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": response["description"], "content": _simplify_content(response["content"])}


def _simplify_content(content: Mapping[str, Any]) -> dict[str, Any]:
    return {media: {"schema": _simplify(definition["schema"])} for media, definition in content.items()}


def _simplify(schema: Mapping[str, Any]) -> SimpleSchema:
    """A schema in one plain type; null is told as `nullable`."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches:
        return _simplify_branches(schema, branches)
    result: SimpleSchema = {k: v for k, v in schema.items() if k not in _DROPPED_KEYS}
    if "const" in result:
        result |= {"enum": [result.pop("const")]}
    if "enum" in result:
        result = _simplify_enum(result)
    if isinstance(result.get("type"), list):
        result |= {"type": result["type"][0], "nullable": "null" in result["type"]}
    for name in ("items", "additionalProperties"):
        if isinstance(result.get(name), dict):
            result[name] = _simplify(result[name])
    if "properties" in result:
        result["properties"] = {
            name: _simplify(field_schema) for name, field_schema in result["properties"].items()
        }
    return result


def _simplify_branches(schema: Mapping[str, Any], branches: list[SimpleSchema]) -> SimpleSchema:
    """The first branch of several, which says whether null is another."""
    non_null = [branch for branch in branches if branch.get("type") != "null"]
    if all("properties" in branch for branch in non_null):
        return _merge_objects(non_null)
    first, nullable = _simplify(non_null[0]), len(non_null) < len(branches)
    if not nullable:
        return first
    about = {k: v for k, v in schema.items() if k == "description"}
    return {**({"allOf": [first]} if "$ref" in first else first), **about, "nullable": True}


def _merge_objects(branches: list[SimpleSchema]) -> SimpleSchema:
    """Objects of which one stands, as one object that may have the fields of all."""
    fields: dict[str, SimpleSchema] = {}
    for branch in branches:
        for name, field_schema in branch["properties"].items():
            if field_schema != {"type": "null"}:
                fields[name] = _simplify(field_schema)
    return {
        "type": "object",
        "properties": {
            name: {"allOf": [field_schema], "nullable": True}
            if "$ref" in field_schema
            else _drop_limits(field_schema)
            for name, field_schema in fields.items()
        },
    }


def _simplify_enum(schema: SimpleSchema) -> SimpleSchema:
    """Values of one type; null goes into `nullable`."""
    values = [value for value in schema["enum"] if value is not None]
    kind = "integer" if isinstance(values[0], int) else "string"
    result = {**schema, "type": kind, "enum": values}
    return {**result, "nullable": True} if None in schema["enum"] else result


def _drop_limits(schema: SimpleSchema) -> SimpleSchema:
    """A field without the values that a single branch has."""
    return {k: v for k, v in schema.items() if k not in ("enum", "minimum")}
