"""Examples of the OpenAPI document; the service accepts each of them unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from features.settings import CrmSettings

Example = dict[str, Any]
_LEAD_ID, _SECOND_LEAD_ID = "L-1001", "L-1002"
_CREATED_AT, _UPDATED_AT = "2025-04-01T10:00:00+09:00", "2025-04-02T15:30:00+09:00"


def build_examples(crm: CrmSettings) -> Mapping[str, Mapping[str, Example]]:
    """By path, the bodies that may be posted there: name, purpose and body."""
    activity = min(crm.table.activities - {"*"}, default="visit")
    attributes = {name: _example_value(name, kind, crm) for name, kind in list(crm.columns.items())[:3]}
    lead = {
        "lead_id": _LEAD_ID,
        "created_at": _CREATED_AT,
        "attributes": attributes,
        "activities": [{"type": activity, "at": _UPDATED_AT}],
    }
    second_lead = {**lead, "lead_id": _SECOND_LEAD_ID}
    record_examples = {name: _record_examples(kind) for name, kind in _RECORD_BODIES.items()}
    record_examples["leads"]["one"]["value"]["attributes"] = attributes
    record_examples["activities"]["one"]["value"]["type"] = activity
    record_examples["activities"]["list"]["value"][0]["type"] = activity
    return {
        "/v1/score": {
            "body": _example("A lead with all that is known of it", lead),
            "id": _example("A lead that was sent before, by its id alone", {"lead_id": _LEAD_ID}),
        },
        "/v1/score/batch": {
            "leads": _example("Leads with what is known of them", {"leads": [lead, second_lead]})
        },
        **{f"/v1/{name}": kind_examples for name, kind_examples in record_examples.items()},
    }


_RECORD_BODIES: Mapping[str, Example] = {
    "leads": {
        "id": "lead-1001-7",
        "lead_id": _LEAD_ID,
        "updated_at": _UPDATED_AT,
        "created_at": _CREATED_AT,
        "account_id": "A-77",
    },
    "activities": {"id": "act-52", "lead_id": _LEAD_ID, "at": _UPDATED_AT},
    "outcomes": {
        "id": "deal-9",
        "lead_id": _SECOND_LEAD_ID,
        "outcome": "lost",
        "closed_at": _UPDATED_AT,
        "amount": 480000,
        "lost_reason": "price",
    },
    "opportunities": {
        "id": "opp-9",
        "lead_id": _LEAD_ID,
        "opened_at": _UPDATED_AT,
        "stage": "proposal",
        "amount": 480000,
        "by": "Tanaka",
    },
    "handovers": {
        "id": "step-3",
        "lead_id": _LEAD_ID,
        "step": "sent_back",
        "at": _UPDATED_AT,
        "by": "Tanaka",
        "reason": "no budget this year",
    },
    "overrides": {
        "id": "word-1",
        "lead_id": _LEAD_ID,
        "verdict": "hot",
        "reason": "met the director",
        "by": "Sato",
        "at": _UPDATED_AT,
        "expires_at": "2025-05-02T15:30:00+09:00",
    },
    "verdicts": {
        "id": "view-1",
        "lead_id": _LEAD_ID,
        "right_side": "model",
        "by": "Sato",
        "at": _UPDATED_AT,
        "reason": "the director came to the webinar",
    },
}


def _record_examples(body: Example) -> dict[str, Example]:
    """One record, and a list with the same record under another id."""
    return {
        "one": _example("One", dict(body)),
        "list": _example("A list", [{**body, "id": f"{body['id']}-2"}]),
    }


def _example(summary: str, value: object) -> Example:
    return {"summary": summary, "value": value}


def _example_value(name: str, kind: str, crm: CrmSettings) -> str | float:
    """A value of a column: the first that the company has a word for, if any."""
    if kind == "number":
        return 120
    return next(iter(crm.table.vocabulary.values(name)), "unknown")
