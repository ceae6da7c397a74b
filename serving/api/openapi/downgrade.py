"""The OpenAPI document in version 3.0 and in plain types, for CRMs that read nothing newer.

It is a subset of the full document: a field with several types has the first of them, and constraints
that only 3.1 can express are left out.
"""

from __future__ import annotations

from serving.api.openapi.schema import OpenapiObject, Schema

_METHODS = frozenset({"get", "post"})
_DROPPED_KEYS = frozenset({"if", "then", "allOf", "propertyNames", "pattern", "default"})


def to_openapi_30(document: OpenapiObject) -> OpenapiObject:
    """The document in OpenAPI 3.0, without the bodies of errors and without headers."""
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


def _simplify_operation(operation: OpenapiObject) -> OpenapiObject:
    result = {
        **operation,
        "parameters": [
            {**p, "schema": _simplify(p["schema"])} for p in operation["parameters"] if "name" in p
        ],
        "responses": {
            status: {"description": r["description"], "content": _simplify_content(r["content"])}
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


def _simplify_content(content: OpenapiObject) -> OpenapiObject:
    return {media: {"schema": _simplify(definition["schema"])} for media, definition in content.items()}


def _simplify(schema: Schema) -> Schema:
    """A schema of one plain type; null becomes `nullable`."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches:
        return _simplify_branches(schema, branches)
    result: Schema = {k: v for k, v in schema.items() if k not in _DROPPED_KEYS}
    if "const" in result:
        result |= {"enum": [result.pop("const")]}
    for name in ("items", "additionalProperties"):
        if isinstance(result.get(name), dict):
            result[name] = _simplify(result[name])
    if "properties" in result:
        result["properties"] = {
            name: _simplify(field_schema) for name, field_schema in result["properties"].items()
        }
    return result


def _simplify_branches(schema: Schema, branches: list[Schema]) -> Schema:
    """The first branch of several, nullable if null is another."""
    non_null = [branch for branch in branches if branch.get("type") != "null"]
    first, nullable = _simplify(non_null[0]), len(non_null) < len(branches)
    if not nullable:
        return first
    about = {k: v for k, v in schema.items() if k == "description"}
    return {**({"allOf": [first]} if "$ref" in first else first), **about, "nullable": True}
