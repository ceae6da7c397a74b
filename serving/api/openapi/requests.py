"""The request bodies as schemas of the OpenAPI document: from the models that validate them, and crm.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from features.kinds import Language
from features.numbers import NUMBER
from features.settings import CrmSettings
from serving.api.openapi.schema import REF_TEMPLATE, Schema, publish_schemas, ref
from serving.leads import bodies
from serving.leads.field_types import (
    FROM_YEAR,
    MAX_ATTRIBUTES,
    MAX_NUMBER,
    MAX_TEXT_LENGTH,
    TO_YEAR,
    AttributeSchema,
)
from serving.store.records import KINDS

NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\x00-\x1f\x7f]+$"}
MODEL_NAMES: Mapping[str, str] = {kind: bodies.RECORD_MODELS[kind].__name__ for kind in KINDS}
YEARS = f"Times carry an offset (2026-10-01T09:30:00+09:00) and lie between {FROM_YEAR} and {TO_YEAR}."
_LANGUAGES: tuple[Language, ...] = get_args(Language)


def request_schemas(crm: CrmSettings) -> dict[str, Schema]:
    """The schemas of the request bodies, with this company's attributes."""
    return {**_body_schemas(crm), **_company_schemas(crm)}


def one_or_list(body: str) -> Schema:
    many = {"type": "array", "items": ref(body), "minItems": 1, "maxItems": bodies.MAX_RECORDS}
    return {"oneOf": [ref(body), many]}


def _body_schemas(crm: CrmSettings) -> dict[str, Schema]:
    schemas: dict[str, Schema] = {}
    models: tuple[type[bodies.RequestBody], ...] = (bodies.BatchIn, *bodies.RECORD_MODELS.values())
    for model in models:
        schema = model.model_json_schema(ref_template=REF_TEMPLATE)
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    result = publish_schemas(schemas)
    for name in ("Lead", "LeadIn"):
        result[name]["properties"]["attributes"] = ref("Attributes")
    result["Change"] = _narrow_change(result["Change"], crm)
    result["BantAnswers"] = _describe_hearing(result["BantAnswers"], crm)
    result["HandoverIn"]["allOf"] = [
        _require_field(*requirement) for requirement in bodies.REQUIRED_BY_STEP.items()
    ]
    return result


def _require_field(step: str, field: str) -> Schema:
    """That a step needs a field; a text must not be empty."""
    return {
        "if": {"properties": {"step": {"const": step}}, "required": ["step"]},
        "then": {"properties": {field: {"not": {"type": "null"}, "minLength": 1}}, "required": [field]},
    }


def _narrow_change(schema: Schema, crm: CrmSettings) -> Schema:
    """Require a number as the value of a change in a column of numbers."""
    numbers = [
        name for name, kind in crm.columns.items() if kind == "number" and not crm.number_formats.get(name)
    ]
    schema["properties"]["value"] = {**ref("Value"), "default": None}
    if numbers:
        schema["if"] = {"properties": {"column": {"enum": numbers}}, "required": ["column"]}
        schema["then"] = {"properties": {"value": ref("NumberValue")}}
    return schema


def _describe_hearing(schema: Schema, crm: CrmSettings) -> Schema:
    """Require a number, as a text, for answers that go into a column of numbers."""
    for role, column in AttributeSchema.from_settings(crm).roles.items():
        if crm.columns[column] == "number" and column not in crm.number_formats:
            schema["properties"][role] = {"anyOf": [_number_text(crm), {"type": "null"}]}
        schema["properties"][role]["description"] = f"Goes into the attribute {column!r}."
    return schema


def _company_schemas(crm: CrmSettings) -> dict[str, Schema]:
    number = {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}
    text = {"type": "string", "maxLength": MAX_TEXT_LENGTH, "pattern": r"^[^\x00]*$"}
    return {
        "Value": {
            "description": "A value of an attribute; null: it is unknown (by now).",
            "anyOf": [text, number, {"type": "boolean"}, {"type": "null"}],
        },
        "NumberValue": {
            "description": 'A number, a text of one such as "1,200", or null: unknown (by now).',
            "anyOf": [number, _number_text(crm), {"type": "null"}],
        },
        "Attributes": {
            "description": "The lead's attributes, by the columns of crm.toml. Others may be sent: no "
            "feature is made of them, and the answer names them in `ignored_attributes`.",
            "type": "object",
            "maxProperties": MAX_ATTRIBUTES,
            "propertyNames": NAME,
            "properties": {name: _attribute_schema(name, kind, crm) for name, kind in crm.columns.items()},
            "additionalProperties": ref("Value"),
        },
    }


def _attribute_schema(name: str, kind: str, crm: CrmSettings) -> Schema:
    """A column, described by the company's words for it and for its values."""
    words = crm.table.vocabulary.words
    labels = [words.get(name, {}).get(lang) for lang in _LANGUAGES]
    values = crm.table.vocabulary.values(name)
    label = " / ".join(word for word in labels if word) or name
    values_note = f" Values with words: {', '.join(values)}." if values else ""
    number_format = crm.number_formats.get(name) if kind == "number" else None
    if number_format:
        values_note = f" A number, or a text as the export writes it ({number_format.describe()})."
    schema = ref("NumberValue" if kind == "number" and not number_format else "Value")
    return {**schema, "description": f"{label} ({kind}).{values_note}"}


def _number_text(crm: CrmSettings) -> Schema:
    """A text that is a number, or one of the company's words for a missing value."""
    # Not re.escape: outside Python a # must not be escaped.
    escaped = (re.sub(r"([.*+?^${}()|\[\]\\])", r"\\\1", word) for word in crm.missing)
    nothing = "|".join(sorted({*escaped} - {""}))
    inner = f"{NUMBER}|{nothing}" if nothing else NUMBER
    return {"type": "string", "maxLength": MAX_TEXT_LENGTH, "pattern": rf"^[ \t]*({inner})?[ \t]*$"}
