"""The HTTP answers to errors of the layers below: one place for all of them."""

from __future__ import annotations

from features.clock import iso
from serving.leads.lead_facts import LeadNotCreated, UnknownLead
from serving.store.store import StoreUnavailable
from serving.web.field_errors import InvalidFields, NotJson, field_error
from serving.web.problems import Problem, invalid_fields, not_found, not_json, store_unavailable

ERRORS: tuple[type[Exception], ...] = (
    Problem,
    InvalidFields,
    NotJson,
    UnknownLead,
    LeadNotCreated,
    StoreUnavailable,
)
"""The errors that have an answer of their own; any other is a fault of the service (500)."""


def to_problem(error: Exception) -> Problem:
    """The problem that answers one of ERRORS: 422, 400, 404 or 503."""
    match error:
        case Problem():
            return error
        case InvalidFields():
            return invalid_fields(error.errors, error.omitted)
        case NotJson():
            return not_json()
        case UnknownLead():
            return not_found(
                "Nothing was sent of this lead before. Send its attributes and activities "
                "in the body, or POST them to /v1/leads and /v1/activities."
            )
        case LeadNotCreated():
            allowed = f"a moment when the lead was there: it came at {iso(error.created)}"
            return invalid_fields([field_error("query.as_of", iso(error.as_of), allowed)])
        case StoreUnavailable():
            return store_unavailable(
                "The store is away. Try again later; a lead with attributes or activities in the body can be "
                "scored meanwhile.",
                error.retry_after,
            )
    raise error
