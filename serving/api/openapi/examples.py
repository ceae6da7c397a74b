"""Examples of the OpenAPI document; each is answered as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from features.settings import CrmSettings

Example = dict[str, Any]
_LEAD, _OTHER = "L-1001", "L-1002"
_AT, _LATER = "2025-04-01T10:00:00+09:00", "2025-04-02T15:30:00+09:00"


def examples(crm: CrmSettings) -> Mapping[str, Mapping[str, Example]]:
    """By path, what may be posted there: a name, what it is for, and the body."""
    activity = min(crm.table.activities - {"*"}, default="visit")
    attributes = {name: _value(name, kind, crm) for name, kind in list(crm.columns.items())[:3]}
    lead = {
        "lead_id": _LEAD,
        "created_at": _AT,
        "attributes": attributes,
        "activities": [{"type": activity, "at": _LATER}],
    }
    other = {**lead, "lead_id": _OTHER}
    told = {name: _records(kind) for name, kind in _RECORDS.items()}
    told["leads"]["one"]["value"]["attributes"] = attributes
    told["activities"]["one"]["value"]["type"] = activity
    told["activities"]["list"]["value"][0]["type"] = activity
    return {
        "/v1/score": {
            "body": _example("A lead with all that is known of it", lead),
            "id": _example("A lead that was sent before, by its id alone", {"lead_id": _LEAD}),
        },
        "/v1/score/batch": {
            "leads": _example("Leads with what is known of them", {"leads": [lead, other]}),
        },
        **{f"/v1/{name}": each for name, each in told.items()},
    }


_RECORDS: Mapping[str, Example] = {
    "leads": {
        "id": "lead-1001-7",
        "lead_id": _LEAD,
        "updated_at": _LATER,
        "created_at": _AT,
        "account_id": "A-77",
    },
    "activities": {"id": "act-52", "lead_id": _LEAD, "at": _LATER},
    "outcomes": {
        "id": "deal-9",
        "lead_id": _OTHER,
        "outcome": "lost",
        "closed_at": _LATER,
        "amount": 480000,
        "lost_reason": "price",
    },
    "opportunities": {
        "id": "opp-9",
        "lead_id": _LEAD,
        "opened_at": _LATER,
        "stage": "proposal",
        "amount": 480000,
        "by": "Tanaka",
    },
    "handovers": {
        "id": "step-3",
        "lead_id": _LEAD,
        "step": "sent_back",
        "at": _LATER,
        "by": "Tanaka",
        "reason": "no budget this year",
    },
    "overrides": {
        "id": "word-1",
        "lead_id": _LEAD,
        "verdict": "hot",
        "reason": "met the director",
        "by": "Sato",
        "at": _LATER,
        "expires_at": "2025-05-02T15:30:00+09:00",
    },
    "verdicts": {
        "id": "view-1",
        "lead_id": _LEAD,
        "right_side": "model",
        "by": "Sato",
        "at": _LATER,
        "reason": "the director came to the webinar",
    },
}


def _records(body: Example) -> dict[str, Example]:
    """One record, and a list whose record another id stands for."""
    return {
        "one": _example("One", dict(body)),
        "list": _example("A list", [{**body, "id": f"{body['id']}-2"}]),
    }


def _example(summary: str, value: Any) -> Example:
    return {"summary": summary, "value": value}


def _value(name: str, kind: str, crm: CrmSettings) -> str | float:
    """A value of a column: one that the company has a word for, if there is any."""
    if kind == "number":
        return 120
    start = f"{name}="
    words = crm.table.vocabulary.words
    return next((key.removeprefix(start) for key in words if key.startswith(start)), "unknown")
