"""The bodies of requests: one strict pydantic model each. Unknown keys are errors.

Validated with a ParseContext as pydantic's context, a model also checks what its values mean: numbers in the
company's number columns, and no time in the future. All errors, formal and semantic, come from one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from serving.leads.field_types import (
    Amount,
    Attributes,
    AttributeValue,
    Identifier,
    JsonValue,
    LongText,
    Moment,
    Name,
    NonEmptyText,
    Number,
    ParsedAttributes,
    PastMoment,
    WholeNumber,
    parse_attribute,
)

MAX_BATCH, MAX_ACTIVITIES, MAX_RECORDS = 5_000, 10_000, 10_000


class RequestBody(BaseModel):
    """A body: frozen, strict about types, without unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class LeadActivity(RequestBody):
    """Something that a lead did."""

    type: Name
    at: PastMoment
    value: Number | None = None


class AttributeChangeIn(RequestBody):
    """An attribute that took a value at a time."""

    column: Name
    value: AttributeValue = None
    at: PastMoment

    @field_validator("value")
    @classmethod
    def _parse_value(cls, value: JsonValue, info: ValidationInfo) -> JsonValue:
        return parse_attribute(info.data.get("column"), value, info.context)


class Lead(RequestBody):
    """A lead to score. With only its id, it is scored from what was sent about it before; with anything
    more, from this body alone, and nothing of it is stored.

    With a ParseContext, the values of the company's columns are parsed: texts, numbers or None.
    """

    lead_id: Identifier
    created_at: PastMoment | None = Field(
        default=None, description="When the lead came; without it, the first thing known of it."
    )
    attributes: ParsedAttributes = Field(default_factory=dict, description="Columns as crm.toml names them.")
    activities: Annotated[list[LeadActivity], Field(max_length=MAX_ACTIVITIES)] = []
    changes: Annotated[list[AttributeChangeIn], Field(max_length=MAX_ACTIVITIES)] = Field(
        default=[], description="The history of attributes; each holds from its time on."
    )
    colleagues_activities: Annotated[list[LeadActivity], Field(max_length=MAX_ACTIVITIES)] = Field(
        default=[], description="What other leads of the same account did."
    )
    amount: Amount | None = Field(
        default=None, description="What its open deal is expected to bring; for the expected value alone."
    )


class BatchIn(RequestBody):
    """Leads to score in one call."""

    leads: Annotated[list[Lead], Field(min_length=1, max_length=MAX_BATCH)]


class RecordIn(RequestBody):
    """A record to store. The same `id` and `version` is stored once."""

    id: Identifier | None = Field(
        default=None, description="The sender's id; without one, a hash of lead, type and time."
    )
    version: WholeNumber = Field(default=1, ge=1, le=1_000_000_000, description="A later one corrects.")
    lead_id: Identifier


class ActivityIn(LeadActivity, RecordIn):
    """Something that a lead did, to be stored."""


class LeadIn(RecordIn):
    """What is known of a lead from `updated_at` on; columns that are absent stay as they are."""

    updated_at: PastMoment
    created_at: PastMoment | None = None
    account_id: Identifier | None = None
    attributes: Attributes = {}
    amount: Amount | None = Field(
        default=None, description="What its open deal is expected to bring; for the expected value alone."
    )


class OutcomeIn(RecordIn):
    """A deal that was won or lost."""

    outcome: Literal["won", "lost"]
    closed_at: PastMoment
    amount: Number | None = None
    lost_reason: LongText | None = None


class OpportunityIn(RecordIn):
    """An opportunity (商談) that came from a lead."""

    opened_at: PastMoment
    stage: LongText | None = None
    amount: Amount | None = Field(
        default=None, description="What it is expected to bring: the newest one is that of the lead."
    )
    by: LongText | None = None


class BantAnswers(RequestBody):
    """What inside sales heard; each answer takes the place of the attribute of that role."""

    budget: LongText | None = None
    authority: LongText | None = None
    need: LongText | None = None
    timing: LongText | None = None

    @field_validator("*")
    @classmethod
    def _check_number(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.context is not None:
            parse_attribute(info.context.schema.roles.get(info.field_name), value, info.context)
        return value


REQUIRED_BY_STEP: Mapping[str, str] = {"sent_back": "reason", "hearing": "hearing", "next_action": "due_at"}
"""The field that a step needs."""


def _required_by(step: str) -> Any:
    return Field(default=None, validate_default=True, description=f"Needed for the step {step}.")


class HandoverIn(RecordIn):
    """A step between marketing, inside sales and field sales."""

    step: Literal["handed_over", "accepted", "sent_back", "hearing", "first_contact", "next_action"]
    at: PastMoment
    by: LongText | None = None
    reason: LongText | None = _required_by("sent_back")
    hearing: BantAnswers | None = _required_by("hearing")
    due_at: Moment | None = _required_by("next_action")

    @field_validator(*REQUIRED_BY_STEP.values())
    @classmethod
    def _check_required(cls, value: object, info: ValidationInfo) -> object:
        step = info.data.get("step")
        if not value and REQUIRED_BY_STEP.get(step or "") == info.field_name:
            raise ValueError(f"a value: the step {step} needs it")
        return value


class OverrideIn(RecordIn):
    """A person's decision about a lead: hot or not, with reason, until it expires."""

    verdict: Literal["hot", "not_hot"]
    reason: NonEmptyText
    by: NonEmptyText
    at: PastMoment
    expires_at: Moment | None = Field(default=None, description="After `at`; null: without end.")

    @field_validator("expires_at")
    @classmethod
    def _check_expiry(cls, expires_at: int | None, info: ValidationInfo) -> int | None:
        moment = info.data.get("at")
        if expires_at is not None and moment is not None and expires_at <= moment:
            raise ValueError("a time after `at`")
        return expires_at


class VerdictIn(RecordIn):
    """A reviewer's verdict on a lead that model and rules score differently: which of them was right."""

    right_side: Literal["model", "rules", "both", "neither"]
    reason: NonEmptyText
    by: NonEmptyText
    at: PastMoment
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
"""The body of each kind of record."""
