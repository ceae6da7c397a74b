"""The Score as schemas of the OpenAPI document: from the classes that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import TypeAdapter

from scoring.decision.decision import DECIDERS, HAND_OVERS
from scoring.decision.overrides import VERDICTS
from scoring.decision.score import BANT, Score
from scoring.decision.scorer import Fallback
from scoring.model.cautions import CAUTIONS
from serving.api.openapi.schema import REF_TEMPLATE, TIME, Schema, ref, strip_titles
from serving.store.records import StoredState

_RENAMED = {"Told": "Reason"}
PERCENT: Schema = {"type": "integer", "minimum": 0, "maximum": 100}
_NARROWED: Mapping[str, Mapping[str, Schema]] = {
    "Score": {
        "score": PERCENT,
        "decided_by": {"type": "string", "enum": list(DECIDERS)},
        "fallback": {
            "enum": [*get_args(Fallback), None],
            "description": "Why the rules decided alone; null where the model answered.",
        },
        "cautions": {"type": "array", "items": {"enum": list(CAUTIONS)}},
        "hand_over": {
            "enum": [h for h in HAND_OVERS if h] + [None],
            "description": "mql: proposed to inside sales; sql: accepted by a person.",
        },
        "unknown": {
            "type": "array",
            "items": {"enum": list(BANT)},
            "description": "What nobody has asked yet.",
        },
        "as_of": {**TIME, "type": ["string", "null"], "description": "The moment that is judged."},
        "scored_at": TIME,
        "request_id": {"type": ["string", "null"]},
        "out_of_range": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The features that the caution out_of_range is about.",
        },
        "closed": {
            "oneOf": [ref("ClosedAnswer"), {"type": "null"}],
            "description": "Its deal is closed: there is nothing to call for, whatever the score.",
        },
    },
    "ClosedAnswer": {"at": {**TIME, "description": "When it was closed."}},
    "ModelAnswer": {
        "score": PERCENT,
        "probability": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "To be won within the horizon.",
        },
        "reasons": {
            "type": ["array", "null"],
            "items": ref("Reason"),
            "description": "Strongest first; null with explain=none.",
        },
    },
    "RulesAnswer": {"score": PERCENT},
    "PersonAnswer": {
        "verdict": {"enum": list(VERDICTS)},
        "expires": {**TIME, "type": ["string", "null"], "description": "null: without end."},
    },
    "ActionAnswer": {
        "deadline": {**TIME, "type": ["string", "null"]},
        "prompt": {"type": ["string", "null"], "description": "The code of what prompted this action."},
    },
}
"""What is narrower than the type of a field says."""


def score_schemas() -> dict[str, Schema]:
    """The Score and its parts; the answer of the service adds three fields to it."""
    schema = TypeAdapter(Score).json_schema(mode="serialization", ref_template=REF_TEMPLATE)
    definitions = {**schema.pop("$defs"), "Score": schema}
    schemas = {
        _RENAMED.get(name, name): _rename_references(definition) for name, definition in definitions.items()
    }
    for name, fields in _NARROWED.items():
        schemas[name]["properties"] |= fields
    schemas["Score"]["properties"] |= {
        "ignored_attributes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Attributes that no feature is made of.",
        },
        "unknown_activities": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Types of activity that no feature names: misspelt, or not "
            "used. Features over all activities count them.",
        },
        "stored": {
            "enum": list(get_args(StoredState)),
            "description": "Whether the answer is remembered; queued: on disk, until the store is back.",
        },
    }
    return {
        name: {**definition, "required": [*definition["properties"]]} for name, definition in schemas.items()
    }


def _rename_references(schema: Schema) -> Schema:
    result: Schema = strip_titles(schema)
    for new in _RENAMED.values():
        for properties in result["properties"].values():
            _rename_reference(properties, new)
    return result


def _rename_reference(schema: Any, new: str) -> None:
    """Let references to a renamed schema follow it, in place."""
    for inner in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(inner, dict | list):
            _rename_reference(inner, new)
    if isinstance(schema, dict) and schema.get("$ref") == REF_TEMPLATE.format(model="Told"):
        schema["$ref"] = REF_TEMPLATE.format(model=new)
