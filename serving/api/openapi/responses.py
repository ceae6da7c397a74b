"""What is answered beside the Score, as schemas of the OpenAPI document."""

from __future__ import annotations

from scoring.decision.decision import DECIDERS
from scoring.scorecard.scorecard import STAGES
from serving.api.openapi.schema import TIME, Schema, object_of, ref
from serving.api.openapi.scores import PERCENT

_STRING: Schema = {"type": "string"}
_MAYBE_STRING: Schema = {"type": ["string", "null"]}
_MAYBE_TIME: Schema = {**TIME, "type": ["string", "null"]}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
_MAYBE_WHOLE: Schema = {"type": ["integer", "null"]}
_WHOLE: Schema = {"type": "integer"}
_STAGE: Schema = {"type": "string", "enum": list(STAGES)}
_STRINGS: Schema = {"type": "array", "items": _STRING}


def answer_schemas() -> dict[str, Schema]:
    """Every answer but the Score."""
    return {
        "BatchResult": {
            "description": "What became of one lead of a batch.",
            "oneOf": [
                object_of(
                    "It was scored.", status={"const": 200}, answer=ref("Score"), problem={"type": "null"}
                ),
                object_of(
                    "It could not be scored.",
                    status={"type": "integer", "minimum": 400},
                    answer={"type": "null"},
                    problem=ref("Problem"),
                ),
            ],
        },
        "BatchAnswer": object_of(
            "A result for each lead, in the order of the batch.",
            scored=_WHOLE,
            failed=_WHOLE,
            results={"type": "array", "items": ref("BatchResult")},
        ),
        "Acknowledgement": _acknowledgement(),
        "Acknowledgements": object_of(
            "One for each of the list, in its order.",
            results={"type": "array", "items": ref("Acknowledgement")},
        ),
        "PastScore": _past_score(),
        "History": object_of(
            "The scores of a lead, newest first.",
            lead_id=_STRING,
            trend={
                "oneOf": [ref("Trend"), {"type": "null"}],
                "description": "null: there is one score only, or none but replays.",
            },
            scores={"type": "array", "items": ref("PastScore")},
        ),
        "Trend": object_of(
            "The present score against that of a week before, else the oldest; a point is no change.",
            **{
                "direction": {"enum": ["rising", "steady", "falling"]},
                "change": _WHOLE,
                "since": {**TIME, "description": "When it was `from`."},
                "from": PERCENT,
            },
        ),
        "HotLead": _hot_lead(),
        "CallList": object_of(
            "Whom to call, first deadline first.",
            as_of=TIME,
            count={**_WHOLE, "description": "So many leads are on this page."},
            total={**_WHOLE, "description": "So many are on all pages, of the owner that was asked for."},
            next={
                **_MAYBE_STRING,
                "description": "Ask for the next page with it as `after`; null: this is the last.",
            },
            overdue={**_WHOLE, "description": "So many of this page are overdue."},
            owners={
                "type": "object",
                "additionalProperties": _WHOLE,
                "description": "How many leads each owner has to call.",
            },
            leads={"type": "array", "items": ref("HotLead")},
        ),
        "ModelInUse": _model_in_use(),
    }


def _past_score() -> Schema:
    reason = object_of("A reason as a code.", code=_STRING, weight={"type": "number"})
    valued = object_of(
        "A reason as a code.",
        code=_STRING,
        weight={"type": "number"},
        value={"type": ["number", "string", "null"]},
    )
    return object_of(
        "A score as it was given, both sides, with reasons as codes and numbers.",
        lead_id=_STRING,
        as_of=TIME,
        scored_at=TIME,
        replay={"type": "boolean", "description": "Its moment was asked for with `as_of`."},
        score=PERCENT,
        stage=_STAGE,
        decided_by={"enum": list(DECIDERS)},
        fallback=_MAYBE_STRING,
        model_version=_MAYBE_STRING,
        probability=_MAYBE_NUMBER,
        model_score=_MAYBE_WHOLE,
        model_stage=_MAYBE_STRING,
        card_version=_STRING,
        points=_WHOLE,
        fit=_WHOLE,
        intent=_WHOLE,
        rules_score=PERCENT,
        rules_stage=_STAGE,
        action=_STRING,
        owner=_STRING,
        deadline=_MAYBE_TIME,
        request_id=_MAYBE_STRING,
        model_reasons={"type": ["array", "null"], "items": valued},
        alike=_MAYBE_WHOLE,
        alike_won=_MAYBE_WHOLE,
        rules_reasons={"type": "array", "items": reason},
        triggers=_STRINGS,
        exclusions=_STRINGS,
        cautions=_STRINGS,
        prompt=_MAYBE_STRING,
        hand_over=_MAYBE_STRING,
        unknown=_STRINGS,
    )


def _acknowledgement() -> Schema:
    told = object_of(
        "What was sent is on the disk.",
        id={**_STRING, "description": "The sender's id, or the hash that stands for it."},
        version=_WHOLE,
        lead_id=_STRING,
        outcome={"enum": ["stored", "already known"]},
    )
    told["properties"]["ignored_attributes"] = {
        "type": "array",
        "items": _STRING,
        "description": "Attributes of a lead that crm.toml has no column for; they are not stored.",
    }
    told["properties"]["unknown_activities"] = {
        "type": "array",
        "items": _STRING,
        "description": "The type of an activity that no feature names: misspelt, or not used. It is stored.",
    }
    return told


def _hot_lead() -> Schema:
    return object_of(
        "A lead to call.",
        lead_id=_STRING,
        score=PERCENT,
        decided_by={"enum": list(DECIDERS)},
        fallback=_MAYBE_STRING,
        probability=_MAYBE_NUMBER,
        points=_WHOLE,
        owner=_STRING,
        action=_STRING,
        deadline={**_MAYBE_TIME, "description": "The earliest told since it became hot."},
        stage_since={**TIME, "description": "Since when it is hot."},
        first_contact_at={**_MAYBE_TIME, "description": "The first contact since then."},
        last_step={**_MAYBE_STRING, "description": "The newest step of its hand-over."},
        as_of=TIME,
        scored_at=TIME,
        model_version=_MAYBE_STRING,
        card_version=_STRING,
        request_id=_MAYBE_STRING,
        overdue={"type": "boolean", "description": "The deadline is past, and there was no contact."},
        reasons={**_STRINGS, "description": "Triggers and rules that held, in words."},
        text={**_STRING, "description": "What to do."},
    )


def _model_in_use() -> Schema:
    model = object_of(
        "The champion.",
        version=_STRING,
        registered_version=_STRING,
        run_id=_STRING,
        champion_since=TIME,
        champion_for_seconds=_WHOLE,
    )
    maybe = {"oneOf": [model, {"type": "null"}], "description": "null: the rules decide."}
    thresholds = object_of("From these probabilities on.", warm={"type": "number"}, hot={"type": "number"})
    return object_of(
        "What scores now.",
        model=maybe,
        fallback=_MAYBE_STRING,
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
    wrong = object_of(
        "A field that does not hold.",
        path={**_STRING, "description": "Where, as body.activities[3].at or query.lang."},
        got={**_STRING, "description": "What was sent, cut at 80 characters."},
        allowed={**_STRING, "description": "What may be sent."},
    )
    problem = object_of(
        "An error (RFC 9457).",
        type={"const": "about:blank"},
        title=_STRING,
        status={"type": "integer", "minimum": 400, "maximum": 599},
        detail=_STRING,
        request_id={**_MAYBE_STRING, "description": "Under which the service's log tells of it."},
    )
    problem["properties"] |= {
        "errors": {"type": "array", "items": ref("WrongField")},
        "more_errors": {"type": "integer", "minimum": 0, "description": "Beside those told."},
    }
    return {"Problem": problem, "WrongField": wrong}
