"""What is answered beside the Score, as schemas of the OpenAPI document."""

from __future__ import annotations

from scoring.decision.decision import DECIDERS
from scoring.scorecard.scorecard import STAGES
from serving.api.openapi.schema import TIME, Schema, object_schema, ref
from serving.api.openapi.scores import PERCENT

_STRING: Schema = {"type": "string"}
_NULLABLE_STRING: Schema = {"type": ["string", "null"]}
_NULLABLE_TIME: Schema = {**TIME, "type": ["string", "null"]}
_NULLABLE_NUMBER: Schema = {"type": ["number", "null"]}
_NULLABLE_INTEGER: Schema = {"type": ["integer", "null"]}
_INTEGER: Schema = {"type": "integer"}
_STAGE: Schema = {"type": "string", "enum": list(STAGES)}
_STRINGS: Schema = {"type": "array", "items": _STRING}


def response_schemas() -> dict[str, Schema]:
    """Every answer but the Score."""
    return {
        "BatchResult": {
            "description": "What became of one lead of a batch.",
            "oneOf": [
                object_schema(
                    "It was scored.", status={"const": 200}, answer=ref("Score"), problem={"type": "null"}
                ),
                object_schema(
                    "It could not be scored.",
                    status={"type": "integer", "minimum": 400},
                    answer={"type": "null"},
                    problem=ref("Problem"),
                ),
            ],
        },
        "BatchAnswer": object_schema(
            "A result for each lead, in the order of the batch.",
            scored=_INTEGER,
            failed=_INTEGER,
            results={"type": "array", "items": ref("BatchResult")},
        ),
        "Acknowledgement": _acknowledgement(),
        "Acknowledgements": object_schema(
            "One for each of the list, in its order.",
            results={"type": "array", "items": ref("Acknowledgement")},
        ),
        "PastScore": _past_score(),
        "History": object_schema(
            "The scores of a lead, newest first.",
            lead_id=_STRING,
            trend={
                "oneOf": [ref("Trend"), {"type": "null"}],
                "description": "null: there is one score only, or none but replays.",
            },
            scores={"type": "array", "items": ref("PastScore")},
        ),
        "Trend": object_schema(
            "The present score against that of a week before, else the oldest; a point is no change.",
            **{
                "direction": {"enum": ["rising", "steady", "falling"]},
                "change": _INTEGER,
                "since": {**TIME, "description": "When it was `from`."},
                "from": PERCENT,
            },
        ),
        "HotLead": _hot_lead(),
        "CallList": object_schema(
            "Whom to call, first deadline first.",
            as_of=TIME,
            count={**_INTEGER, "description": "So many leads are on this page."},
            total={**_INTEGER, "description": "So many are on all pages, of the owner that was asked for."},
            next={
                **_NULLABLE_STRING,
                "description": "Ask for the next page with it as `after`; null: this is the last.",
            },
            overdue={**_INTEGER, "description": "So many of this page are overdue."},
            owners={
                "type": "object",
                "additionalProperties": _INTEGER,
                "description": "How many leads each owner has to call.",
            },
            leads={"type": "array", "items": ref("HotLead")},
        ),
        "ModelInUse": _model_in_use(),
    }


def _past_score() -> Schema:
    reason = object_schema("A reason as a code.", code=_STRING, weight={"type": "number"})
    valued = object_schema(
        "A reason as a code.",
        code=_STRING,
        weight={"type": "number"},
        value={"type": ["number", "string", "null"]},
    )
    return object_schema(
        "A score as it was given, both sides, with reasons as codes and numbers.",
        lead_id=_STRING,
        as_of=TIME,
        scored_at=TIME,
        replay={"type": "boolean", "description": "Its moment was asked for with `as_of`."},
        score=PERCENT,
        stage=_STAGE,
        decided_by={"enum": list(DECIDERS)},
        fallback=_NULLABLE_STRING,
        model_version=_NULLABLE_STRING,
        probability=_NULLABLE_NUMBER,
        model_score=_NULLABLE_INTEGER,
        model_stage=_NULLABLE_STRING,
        card_version=_STRING,
        points=_INTEGER,
        fit=_INTEGER,
        intent=_INTEGER,
        rules_score=PERCENT,
        rules_stage=_STAGE,
        action=_STRING,
        owner=_STRING,
        deadline=_NULLABLE_TIME,
        request_id=_NULLABLE_STRING,
        model_reasons={"type": ["array", "null"], "items": valued},
        alike=_NULLABLE_INTEGER,
        alike_won=_NULLABLE_INTEGER,
        rules_reasons={"type": "array", "items": reason},
        triggers=_STRINGS,
        exclusions=_STRINGS,
        cautions=_STRINGS,
        prompt=_NULLABLE_STRING,
        hand_over=_NULLABLE_STRING,
        unknown=_STRINGS,
    )


def _acknowledgement() -> Schema:
    schema = object_schema(
        "What was sent is on the disk.",
        id={**_STRING, "description": "The sender's id, or the hash that stands for it."},
        version=_INTEGER,
        lead_id=_STRING,
        outcome={"enum": ["stored", "already known"]},
    )
    schema["properties"]["ignored_attributes"] = {
        "type": "array",
        "items": _STRING,
        "description": "Attributes of a lead that crm.toml has no column for; they are not stored.",
    }
    schema["properties"]["unknown_activities"] = {
        "type": "array",
        "items": _STRING,
        "description": "The type of an activity that no feature names: misspelt, or not used. It is stored.",
    }
    return schema


def _hot_lead() -> Schema:
    return object_schema(
        "A lead to call.",
        lead_id=_STRING,
        score=PERCENT,
        decided_by={"enum": list(DECIDERS)},
        fallback=_NULLABLE_STRING,
        probability=_NULLABLE_NUMBER,
        points=_INTEGER,
        owner=_STRING,
        action=_STRING,
        deadline={**_NULLABLE_TIME, "description": "The earliest told since it became hot."},
        stage_since={**TIME, "description": "Since when it is hot."},
        first_contact_at={**_NULLABLE_TIME, "description": "The first contact since then."},
        last_step={**_NULLABLE_STRING, "description": "The newest step of its hand-over."},
        as_of=TIME,
        scored_at=TIME,
        model_version=_NULLABLE_STRING,
        card_version=_STRING,
        request_id=_NULLABLE_STRING,
        overdue={"type": "boolean", "description": "The deadline is past, and there was no contact."},
        reasons={**_STRINGS, "description": "Triggers and rules that held, in words."},
        text={**_STRING, "description": "What to do."},
    )


def _model_in_use() -> Schema:
    model = object_schema(
        "The champion.",
        version=_STRING,
        registered_version=_STRING,
        run_id=_STRING,
        champion_since=TIME,
        champion_for_seconds=_INTEGER,
    )
    maybe = {"oneOf": [model, {"type": "null"}], "description": "null: the rules decide."}
    thresholds = object_schema(
        "From these probabilities on.", warm={"type": "number"}, hot={"type": "number"}
    )
    return object_schema(
        "What scores now.",
        model=maybe,
        fallback=_NULLABLE_STRING,
        scorecard=_STRING,
        features={**_STRING, "description": "The fingerprint of the feature table."},
        thresholds={"oneOf": [thresholds, {"type": "null"}]},
        about={
            "type": "object",
            "description": "What the model was trained on, and how good it was on "
            "newest deals that it had not seen, with intervals; empty without a model.",
        },
    )


def problem_schemas() -> dict[str, Schema]:
    """The one shape of all errors."""
    field_error = object_schema(
        "A field that does not hold.",
        path={**_STRING, "description": "Where, as body.activities[3].at or query.lang."},
        got={**_STRING, "description": "What was sent, cut at 80 characters."},
        allowed={**_STRING, "description": "What may be sent."},
    )
    problem = object_schema(
        "An error (RFC 9457).",
        type={"const": "about:blank"},
        title=_STRING,
        status={"type": "integer", "minimum": 400, "maximum": 599},
        detail=_STRING,
        request_id={**_NULLABLE_STRING, "description": "Under which the service's log tells of it."},
    )
    problem["properties"] |= {
        "errors": {"type": "array", "items": ref("WrongField")},
        "more_errors": {"type": "integer", "minimum": 0, "description": "Beside those told."},
    }
    return {"Problem": problem, "WrongField": field_error}
