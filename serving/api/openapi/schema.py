"""Parts that the schemas of the OpenAPI document share."""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]
REF_TEMPLATE = "#/components/schemas/{model}"
TIME: Schema = {"type": "string", "format": "date-time"}


def ref(model: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": REF_TEMPLATE.format(model=model)}


def object_schema(description: str, **properties: Schema) -> Schema:
    """An object that always has all of the properties."""
    return {"type": "object", "description": description, "properties": properties, "required": [*properties]}


def strip_titles(schema: Any) -> Any:
    """A schema without titles that only repeat a name, and with descriptions on one line."""
    if isinstance(schema, list):
        return [strip_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strip_titles(value) for key, value in schema.items() if not _is_title(key, value)}
    if isinstance(result.get("description"), str):
        result["description"] = re.sub(r"\s+", " ", result["description"])
    return result


def _is_title(key: str, value: Any) -> bool:
    return key == "title" and isinstance(value, str)
