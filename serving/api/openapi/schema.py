"""Schemas of the OpenAPI document: published names, and the answers' types as schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import DataclassField, ModelField, TypedDictField, WithDefaultSchema

from serving.api import answer_types

OpenapiObject = dict[str, Any]
"""A JSON object of an OpenAPI document, such as a path, an operation or a response."""
Schema = OpenapiObject
_REF = "#/components/schemas/"
REF_TEMPLATE = f"{_REF}{{model}}"
_PUBLISHED: Mapping[str, str] = {
    "AttributeChangeIn": "Change",
    "BatchIn": "Batch",
    "FieldProblem": "WrongField",
    "LeadActivity": "Activity",
    "ProblemBody": "Problem",
    "ScoreHistory": "History",
    "ScoreResponse": "Score",
}
"""Types whose schema has another name, which clients generated from earlier documents know."""
_ANSWERS = (
    answer_types.ScoreResponse,
    answer_types.BatchAnswer,
    answer_types.Acknowledgements,
    answer_types.ScoreHistory,
    answer_types.CallList,
    answer_types.ModelInUse,
)


def ref(name: str) -> Schema:
    return {"$ref": _REF + name}


def response_schemas() -> dict[str, Schema]:
    """The schema of every answer and its parts, from the types in `serving.api.answer_types`."""
    inputs = [(answer.__name__, "serialization", TypeAdapter(answer)) for answer in _ANSWERS]
    _, schema = TypeAdapter.json_schemas(
        inputs,  # type: ignore[arg-type]  # a list of adapters of several types
        ref_template=REF_TEMPLATE,
        schema_generator=_ResponseSchema,
    )
    return publish_schemas(schema["$defs"])


class _ResponseSchema(GenerateJsonSchema):
    """Answers have all fields of their dataclasses, also those with defaults."""

    def field_is_required(self, field: ModelField | DataclassField | TypedDictField, total: bool) -> bool:
        return field["type"] == "dataclass-field" or super().field_is_required(field, total)

    def default_schema(self, schema: WithDefaultSchema) -> Schema:
        return self.generate_inner(schema["schema"])


def publish_schemas(definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """Schemas of pydantic under their published names, without titles."""
    return {_PUBLISHED.get(name, name): _clean(schema) for name, schema in definitions.items()}


def _clean(schema: Schema) -> Schema:
    """Without titles, which only repeat a name; descriptions on one line; references by published names."""
    result = {
        key: _clean_value(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)
    }
    if isinstance(description := result.get("description"), str):
        result["description"] = re.sub(r"\s+", " ", description)
    if isinstance(target := result.get("$ref"), str):
        name = target.removeprefix(_REF)
        result["$ref"] = _REF + _PUBLISHED.get(name, name)
    return result


def _clean_value(value: object) -> object:
    if isinstance(value, list):
        return [_clean_value(item) for item in value]
    return _clean(value) if isinstance(value, dict) else value
