"""What is sent, as schemas of the OpenAPI document: from the models that check it, and crm.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from features.kinds import Language
from features.numbers import NUMBER
from features.settings import CrmSettings
from serving.api.openapi.schema import PLACE, Schema, plainer, ref
from serving.leads import bodies
from serving.leads.field_types import ATTRIBUTES_MOST, FROM_YEAR, MOST, TO_YEAR, WORDS_MOST
from serving.leads.lead_facts import Reading
from serving.store.records import KINDS

NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "pattern": r"^[^\x00-\x1f\x7f]+$",
}
KINDS_OF_BODY: Mapping[str, str] = {kind: bodies.SENT[kind].__name__ for kind in KINDS}
YEARS = f"Times carry an offset (2026-10-01T09:30:00+09:00) and lie between {FROM_YEAR} and {TO_YEAR}."
_LANGUAGES: tuple[Language, ...] = get_args(Language)


def sent_schemas(crm: CrmSettings) -> dict[str, Schema]:
    """The bodies that are taken, with this company's attributes."""
    return {**_bodies(crm), **_company(crm)}


def one_or_list(body: str) -> Schema:
    """One body, or a list of them."""
    many = {"type": "array", "items": ref(body), "minItems": 1, "maxItems": bodies.RECORDS_MOST}
    return {"oneOf": [ref(body), many]}


def _bodies(crm: CrmSettings) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    models: tuple[type[bodies.Body], ...] = (bodies.Batch, *bodies.SENT.values())
    for model in models:
        schema = model.model_json_schema(ref_template=PLACE)
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    told = {name: plainer(schema) for name, schema in found.items()}
    for name in ("Lead", "SentLead"):
        told[name]["properties"]["attributes"] = ref("Attributes")
    told["Change"] = _change(told["Change"], crm)
    told["Hearing"] = _hearing(told["Hearing"], crm)
    told["SentHandover"]["allOf"] = [_needs(*each) for each in bodies.NEEDED.items()]
    return told


def _needs(step: str, field: str) -> Schema:
    """The step needs the field; a text must not be empty."""
    return {
        "if": {"properties": {"step": {"const": step}}, "required": ["step"]},
        "then": {
            "properties": {field: {"not": {"type": "null"}, "minLength": 1}},
            "required": [field],
        },
    }


def _change(schema: Schema, crm: CrmSettings) -> Schema:
    """A change of a column of numbers tells a number."""
    numbers = [name for name, kind in crm.columns.items() if kind == "number"]
    schema["properties"]["value"] = {**ref("Value"), "default": None}
    if numbers:
        schema["if"] = {"properties": {"column": {"enum": numbers}}, "required": ["column"]}
        schema["then"] = {"properties": {"value": ref("NumberValue")}}
    return schema


def _hearing(schema: Schema, crm: CrmSettings) -> Schema:
    """What was heard of a column of numbers is a number, as a text."""
    for role, column in Reading.of(crm).roles.items():
        if crm.columns[column] == "number":
            schema["properties"][role] = {"anyOf": [_number_text(crm), {"type": "null"}]}
        schema["properties"][role]["description"] = f"Goes into the attribute {column!r}."
    return schema


def _company(crm: CrmSettings) -> dict[str, Schema]:
    number = {"type": "number", "minimum": -MOST, "maximum": MOST}
    text = {"type": "string", "maxLength": WORDS_MOST, "pattern": r"^[^\x00]*$"}
    return {
        "Value": {
            "description": "A value of an attribute; null: it is not known (any more).",
            "anyOf": [text, number, {"type": "boolean"}, {"type": "null"}],
        },
        "NumberValue": {
            "description": 'A number, a text of one such as "1,200", or null: not known (any more).',
            "anyOf": [number, _number_text(crm), {"type": "null"}],
        },
        "Attributes": {
            "description": "What is known of the lead, by the columns of crm.toml. Others may be sent: no "
            "feature is made of them, and the answer names them in `ignored_attributes`.",
            "type": "object",
            "maxProperties": ATTRIBUTES_MOST,
            "propertyNames": NAME,
            "properties": {name: _attribute(name, kind, crm) for name, kind in crm.columns.items()},
            "additionalProperties": ref("Value"),
        },
    }


def _attribute(name: str, kind: str, crm: CrmSettings) -> Schema:
    """A column in the company's words, with its words for values."""
    words = crm.table.vocabulary.words
    told = [words.get(name, {}).get(lang) for lang in _LANGUAGES]
    values = [key.partition("=")[2] for key in words if key.startswith(f"{name}=")]
    said = " / ".join(word for word in told if word) or name
    known = f" Values with words: {', '.join(values)}." if values else ""
    schema = ref("NumberValue" if kind == "number" else "Value")
    return {**schema, "description": f"{said} ({kind}).{known}"}


def _number_text(crm: CrmSettings) -> Schema:
    """A text that is a number, or one of the company's words for a value that is missing."""
    # Not re.escape: outside Python a # must not be escaped.
    escaped = (re.sub(r"([.*+?^${}()|\[\]\\])", r"\\\1", word) for word in crm.missing)
    nothing = "|".join(sorted({*escaped} - {""}))
    inner = f"{NUMBER}|{nothing}" if nothing else NUMBER
    return {"type": "string", "maxLength": WORDS_MOST, "pattern": rf"^[ \t]*({inner})?[ \t]*$"}
