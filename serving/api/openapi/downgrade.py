"""The OpenAPI document once more, in version 3.0 and in plain types: some CRMs read no other.

It says less than the full one, and nothing else: a field that may be of several types has the first of
them, a list has its items, and what only 3.1 can say is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
_METHODS = frozenset({"get", "post"})
_LEFT_OUT = frozenset({"if", "then", "allOf", "propertyNames", "pattern", "default"})


def simple_openapi(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document in OpenAPI 3.0, without errors' bodies and headers."""
    components = document["components"]
    schemas = {name: _simple(schema) for name, schema in components["schemas"].items()}
    kept = ("info", "servers", "tags", "security")
    return {
        "openapi": "3.0.3",
        **{name: document[name] for name in kept},
        "paths": {
            path: {method: _operation(told) for method, told in methods.items() if method in _METHODS}
            for path, methods in document["paths"].items()
            if path.startswith("/v1/")
        },
        "components": {"schemas": schemas, "securitySchemes": components["securitySchemes"]},
    }


def _operation(told: Mapping[str, Any]) -> dict[str, Any]:
    made = {
        **told,
        "parameters": [_parameter(p) for p in told["parameters"] if "name" in p],
        "responses": {
            status: _response(r) for status, r in told["responses"].items() if status.startswith("2")
        },
    }
    if "requestBody" in told:
        made["requestBody"] = {
            "required": True,
            "content": _content(told["requestBody"]["content"]),
        }
    return made


def _parameter(told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "schema": _simple(told["schema"])}


def _response(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": told["description"], "content": _content(told["content"])}


def _content(told: Mapping[str, Any]) -> dict[str, Any]:
    return {media: {"schema": _simple(each["schema"])} for media, each in told.items()}


def _simple(schema: Mapping[str, Any]) -> Schema:
    """A schema in one plain type; null is told as `nullable`."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches:
        return _first(schema, branches)
    told: Schema = {k: v for k, v in schema.items() if k not in _LEFT_OUT}
    if "const" in told:
        told |= {"enum": [told.pop("const")]}
    if "enum" in told:
        told = _enumerated(told)
    if isinstance(told.get("type"), list):
        told |= {"type": told["type"][0], "nullable": "null" in told["type"]}
    for name in ("items", "additionalProperties"):
        if isinstance(told.get(name), dict):
            told[name] = _simple(told[name])
    if "properties" in told:
        told["properties"] = {name: _simple(each) for name, each in told["properties"].items()}
    return told


def _first(schema: Mapping[str, Any], branches: list[Schema]) -> Schema:
    """The first branch of several, which says whether null is another."""
    there = [branch for branch in branches if branch.get("type") != "null"]
    if all("properties" in branch for branch in there):
        return _merged(there)
    first, nullable = _simple(there[0]), len(there) < len(branches)
    if not nullable:
        return first
    about = {k: v for k, v in schema.items() if k == "description"}
    return {**({"allOf": [first]} if "$ref" in first else first), **about, "nullable": True}


def _merged(branches: list[Schema]) -> Schema:
    """Objects of which one stands, as one object that may have the fields of all."""
    fields: dict[str, Schema] = {}
    for branch in branches:
        for name, each in branch["properties"].items():
            if each != {"type": "null"}:
                fields[name] = _simple(each)
    return {
        "type": "object",
        "properties": {
            name: {"allOf": [each], "nullable": True} if "$ref" in each else _typed(each)
            for name, each in fields.items()
        },
    }


def _enumerated(told: Schema) -> Schema:
    """Values of one type; null goes into `nullable`."""
    values = [value for value in told["enum"] if value is not None]
    kind = "integer" if isinstance(values[0], int) else "string"
    made = {**told, "type": kind, "enum": values}
    return {**made, "nullable": True} if None in told["enum"] else made


def _typed(told: Schema) -> Schema:
    """A field without the values that a single branch has."""
    return {k: v for k, v in told.items() if k not in ("enum", "minimum")}
