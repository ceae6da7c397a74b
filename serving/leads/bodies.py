"""What is sent to the service: one pydantic model a body, strict, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from serving.leads.field_types import (
    Attributes,
    Identifier,
    Moment,
    Name,
    Number,
    Said,
    Value,
    Whole,
    Words,
)

BATCH_MOST, ACTIVITIES_MOST, RECORDS_MOST = 5_000, 10_000, 10_000


class Body(BaseModel):
    """A body: frozen, strict about types, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Activity(Body):
    """Something that a lead did."""

    type: Name
    at: Moment
    value: Number | None = None


class Change(Body):
    """An attribute that took a value at a time."""

    column: Name
    value: Value = None
    at: Moment


class Lead(Body):
    """A lead to score. With its id alone, it is scored from what was sent of it before; with anything
    more, from this body alone, and nothing of it is stored."""

    lead_id: Identifier
    created_at: Moment | None = Field(
        default=None, description="When the lead came; without it, the first thing known of it."
    )
    attributes: Attributes = Field(default_factory=dict, description="Columns as crm.toml names them.")
    activities: Annotated[list[Activity], Field(max_length=ACTIVITIES_MOST)] = []
    changes: Annotated[list[Change], Field(max_length=ACTIVITIES_MOST)] = Field(
        default=[], description="The history of attributes; each holds from its time on."
    )
    colleagues_activities: Annotated[list[Activity], Field(max_length=ACTIVITIES_MOST)] = Field(
        default=[], description="What other leads of the same account did."
    )

    @property
    def by_id_alone(self) -> bool:
        return self.model_fields_set == {"lead_id"}


class Batch(Body):
    """Leads to score in one call."""

    leads: Annotated[list[Lead], Field(min_length=1, max_length=BATCH_MOST)]


class Sent(Body):
    """Something to be remembered. With the same `id` and `version` it is taken once."""

    id: Identifier | None = Field(
        default=None, description="The sender's id; without one, a hash of lead, type and time."
    )
    version: Whole = Field(default=1, ge=1, le=1_000_000_000, description="A later one corrects.")
    lead_id: Identifier


class SentActivity(Sent):
    """Something that a lead did, to be remembered."""

    type: Name
    at: Moment
    value: Number | None = None


class SentLead(Sent):
    """What is known of a lead from `updated_at` on; columns that are not told stay as they are."""

    updated_at: Moment
    created_at: Moment | None = None
    account_id: Identifier | None = None
    attributes: Attributes = {}


class SentOutcome(Sent):
    """A deal that was won or lost."""

    outcome: Literal["won", "lost"]
    closed_at: Moment
    amount: Number | None = None
    lost_reason: Words | None = None


class SentOpportunity(Sent):
    """An opportunity (商談) that came from a lead."""

    opened_at: Moment
    stage: Words | None = None
    amount: Number | None = None
    by: Words | None = None


class Hearing(Body):
    """What inside sales heard; each answer takes the place of the attribute of that role."""

    budget: Words | None = None
    authority: Words | None = None
    need: Words | None = None
    timing: Words | None = None


NEEDED: Mapping[str, str] = {"sent_back": "reason", "hearing": "hearing", "next_action": "due_at"}
"""What a step must tell."""


def _needed_for(step: str) -> Any:
    return Field(default=None, validate_default=True, description=f"Needed for the step {step}.")


class SentHandover(Sent):
    """A step between marketing, inside sales and field sales."""

    step: Literal["handed_over", "accepted", "sent_back", "hearing", "first_contact", "next_action"]
    at: Moment
    by: Words | None = None
    reason: Words | None = _needed_for("sent_back")
    hearing: Hearing | None = _needed_for("hearing")
    due_at: Moment | None = _needed_for("next_action")

    @field_validator(*NEEDED.values())
    @classmethod
    def _needed(cls, told: Any, info: ValidationInfo) -> Any:
        step = info.data.get("step")
        if not told and NEEDED.get(step or "") == info.field_name:
            raise ValueError(f"a value: the step {step} needs it")
        return told


class SentOverride(Sent):
    """A person's word on a lead: hot or not, with reason, until it expires."""

    verdict: Literal["hot", "not_hot"]
    reason: Said
    by: Said
    at: Moment
    expires_at: Moment | None = Field(default=None, description="After `at`; null: without end.")

    @field_validator("expires_at")
    @classmethod
    def _later(cls, expires_at: datetime | None, info: ValidationInfo) -> datetime | None:
        at = info.data.get("at")
        if expires_at is not None and at is not None and expires_at <= at:
            raise ValueError("a time after `at`")
        return expires_at


class SentVerdict(Sent):
    """A reviewer's word on a lead that model and rules judge differently: which of them was right."""

    right_side: Literal["model", "rules", "both", "neither"]
    reason: Said
    by: Said
    at: Moment
    model_version: Name | None = Field(default=None, description="The model that was looked at.")
    card_version: Name | None = Field(default=None, description="The rules that were looked at.")


SENT: Mapping[str, type[Sent]] = {
    "activities": SentActivity,
    "leads": SentLead,
    "outcomes": SentOutcome,
    "opportunities": SentOpportunity,
    "handovers": SentHandover,
    "overrides": SentOverride,
    "verdicts": SentVerdict,
}
"""What each of the seven doors takes, one or a list."""
