"""Parts that the schemas of the OpenAPI document share."""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]
PLACE = "#/components/schemas/{model}"
TIME: Schema = {"type": "string", "format": "date-time"}


def ref(model: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": PLACE.format(model=model)}


def object_of(description: str, **properties: Schema) -> Schema:
    """An object that always has all of the properties."""
    return {"type": "object", "description": description, "properties": properties, "required": [*properties]}


def plainer(schema: Any) -> Any:
    """A schema without titles that only repeat a name, and with descriptions on one line."""
    if isinstance(schema, list):
        return [plainer(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: plainer(value) for key, value in schema.items() if not _is_title(key, value)}
    if isinstance(told.get("description"), str):
        told["description"] = re.sub(r"\s+", " ", told["description"])
    return told


def _is_title(key: str, value: Any) -> bool:
    return key == "title" and isinstance(value, str)
