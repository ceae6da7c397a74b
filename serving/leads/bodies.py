"""What is sent to the service: one pydantic model a body, strict, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from serving.leads.field_types import (
    Attributes,
    AttributeValue,
    Identifier,
    LongText,
    Moment,
    Name,
    NonEmptyText,
    Number,
    WholeNumber,
)

MAX_BATCH, MAX_ACTIVITIES, MAX_RECORDS = 5_000, 10_000, 10_000


class RequestBody(BaseModel):
    """A body: frozen, strict about types, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class LeadActivity(RequestBody):
    """Something that a lead did."""

    type: Name
    at: Moment
    value: Number | None = None


class AttributeChangeIn(RequestBody):
    """An attribute that took a value at a time."""

    column: Name
    value: AttributeValue = None
    at: Moment


class Lead(RequestBody):
    """A lead to score. With its id alone, it is scored from what was sent of it before; with anything
    more, from this body alone, and nothing of it is stored."""

    lead_id: Identifier
    created_at: Moment | None = Field(
        default=None, description="When the lead came; without it, the first thing known of it."
    )
    attributes: Attributes = Field(default_factory=dict, description="Columns as crm.toml names them.")
    activities: Annotated[list[LeadActivity], Field(max_length=MAX_ACTIVITIES)] = []
    changes: Annotated[list[AttributeChangeIn], Field(max_length=MAX_ACTIVITIES)] = Field(
        default=[], description="The history of attributes; each holds from its time on."
    )
    colleagues_activities: Annotated[list[LeadActivity], Field(max_length=MAX_ACTIVITIES)] = Field(
        default=[], description="What other leads of the same account did."
    )

    @property
    def is_id_only(self) -> bool:
        return self.model_fields_set == {"lead_id"}


class BatchIn(RequestBody):
    """Leads to score in one call."""

    leads: Annotated[list[Lead], Field(min_length=1, max_length=MAX_BATCH)]


class RecordIn(RequestBody):
    """Something to be remembered. With the same `id` and `version` it is taken once."""

    id: Identifier | None = Field(
        default=None, description="The sender's id; without one, a hash of lead, type and time."
    )
    version: WholeNumber = Field(default=1, ge=1, le=1_000_000_000, description="A later one corrects.")
    lead_id: Identifier


class ActivityIn(RecordIn):
    """Something that a lead did, to be remembered."""

    type: Name
    at: Moment
    value: Number | None = None


class LeadIn(RecordIn):
    """What is known of a lead from `updated_at` on; columns that are not told stay as they are."""

    updated_at: Moment
    created_at: Moment | None = None
    account_id: Identifier | None = None
    attributes: Attributes = {}


class OutcomeIn(RecordIn):
    """A deal that was won or lost."""

    outcome: Literal["won", "lost"]
    closed_at: Moment
    amount: Number | None = None
    lost_reason: LongText | None = None


class OpportunityIn(RecordIn):
    """An opportunity (商談) that came from a lead."""

    opened_at: Moment
    stage: LongText | None = None
    amount: Number | None = None
    by: LongText | None = None


class BantAnswers(RequestBody):
    """What inside sales heard; each answer takes the place of the attribute of that role."""

    budget: LongText | None = None
    authority: LongText | None = None
    need: LongText | None = None
    timing: LongText | None = None


REQUIRED_BY_STEP: Mapping[str, str] = {"sent_back": "reason", "hearing": "hearing", "next_action": "due_at"}
"""What a step must tell."""


def _required_by(step: str) -> Any:
    return Field(default=None, validate_default=True, description=f"Needed for the step {step}.")


class HandoverIn(RecordIn):
    """A step between marketing, inside sales and field sales."""

    step: Literal["handed_over", "accepted", "sent_back", "hearing", "first_contact", "next_action"]
    at: Moment
    by: LongText | None = None
    reason: LongText | None = _required_by("sent_back")
    hearing: BantAnswers | None = _required_by("hearing")
    due_at: Moment | None = _required_by("next_action")

    @field_validator(*REQUIRED_BY_STEP.values())
    @classmethod
    def _check_required(cls, value: Any, info: ValidationInfo) -> Any:
        step = info.data.get("step")
        if not value and REQUIRED_BY_STEP.get(step or "") == info.field_name:
            raise ValueError(f"a value: the step {step} needs it")
        return value


class OverrideIn(RecordIn):
    """A person's word on a lead: hot or not, with reason, until it expires."""

    verdict: Literal["hot", "not_hot"]
    reason: NonEmptyText
    by: NonEmptyText
    at: Moment
    expires_at: Moment | None = Field(default=None, description="After `at`; null: without end.")

    @field_validator("expires_at")
    @classmethod
    def _check_expiry(cls, expires_at: datetime | None, info: ValidationInfo) -> datetime | None:
        moment = info.data.get("at")
        if expires_at is not None and moment is not None and expires_at <= moment:
            raise ValueError("a time after `at`")
        return expires_at


class VerdictIn(RecordIn):
    """A reviewer's word on a lead that model and rules judge differently: which of them was right."""

    right_side: Literal["model", "rules", "both", "neither"]
    reason: NonEmptyText
    by: NonEmptyText
    at: Moment
    model_version: Name | None = Field(default=None, description="The model that was looked at.")
    card_version: Name | None = Field(default=None, description="The rules that were looked at.")


RECORD_MODELS: Mapping[str, type[RecordIn]] = {
    "activities": ActivityIn,
    "leads": LeadIn,
    "outcomes": OutcomeIn,
    "opportunities": OpportunityIn,
    "handovers": HandoverIn,
    "overrides": OverrideIn,
    "verdicts": VerdictIn,
}
"""What each of the seven doors takes, one or a list."""
