"""The Score: the answer for one lead, with everything that it rests on.

The constraints and descriptions of the fields are those of the API's document (see serving.api.openapi).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field, WithJsonSchema

from scoring.decision.decision import Decider, HandOver
from scoring.decision.overrides import Verdict
from scoring.decision.sales_status import DealOutcome
from scoring.model.cautions import Caution
from scoring.scorecard.scorecard import Stage

BantRole: TypeAlias = Literal["budget", "authority", "need", "timing"]
BANT: tuple[str, ...] = get_args(BantRole)
"""What inside sales ask about; [roles] in crm.toml names the column of each."""

Explain: TypeAlias = Literal["none", "top", "all"]
"""Which of the model's reasons an answer holds: none, the strongest, or every feature that counted."""

Fallback: TypeAlias = Literal["no_model", "model_error", "feature_mismatch", "bundle_damaged"]
"""Why the rules decided without the model."""

Percent: TypeAlias = Annotated[int, Field(ge=0, le=100)]
Timestamp: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment in ISO 8601, UTC."""


@dataclass(frozen=True)
class Reason:
    """A reason in words. `code` is the feature or the row, `weight` its log-odds or points."""

    code: str
    text: str
    weight: float
    value: float | str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelAnswer:
    """The model's side. Of `alike` leads with a similar score `alike_won` were won; `expected_value` has the
    unit of the amount."""

    version: str
    score: Percent
    stage: Stage
    probability: Annotated[float, Field(ge=0, le=1, description="To be won within the horizon.")]
    expected_value: Annotated[
        float | None,
        Field(ge=0, description="Probability times amount; null: the amount is unknown, or the deal closed."),
    ]
    alike: int
    alike_won: int
    reasons: Annotated[
        tuple[Reason, ...] | None, Field(description="Strongest first; null with explain=none.")
    ]


@dataclass(frozen=True, kw_only=True)
class RulesAnswer:
    """The rules' side: points of fit and intent, the rows that hold, triggers and exclusions."""

    version: str
    score: Percent
    stage: Stage
    points: int
    fit: int
    intent: int
    reasons: tuple[Reason, ...]
    triggers: tuple[Reason, ...]
    exclusions: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class ActionAnswer:
    """What to do, by whom and by when (null: no deadline)."""

    kind: str
    owner: str
    text: str
    content: str | None
    deadline: Timestamp | None
    overdue: bool
    prompt: Annotated[str | None, Field(description="The code of the prompt that this action answers.")]


@dataclass(frozen=True)
class PersonAnswer:
    """The override in force."""

    verdict: Verdict
    reason: str
    by: str
    expires: Annotated[Timestamp | None, Field(description="null: without end.")]


@dataclass(frozen=True)
class ClosedAnswer:
    """That the lead's deal is won or lost, and since when."""

    outcome: DealOutcome
    at: Annotated[Timestamp, Field(description="When it was closed.")]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The answer for one lead. `as_of` is the moment that is judged, `scored_at` when it was judged."""

    lead_id: str
    score: Percent
    stage: Stage
    decided_by: Decider
    fallback: Annotated[Fallback | None, Field(description="Why the model did not answer; null: it did.")]
    cautions: tuple[Caution, ...]
    model: ModelAnswer | None
    rules: RulesAnswer
    person: PersonAnswer | None
    action: ActionAnswer
    hand_over: Annotated[
        HandOver | None, Field(description="mql: proposed to inside sales; sql: accepted by a person.")
    ]
    unknown: Annotated[tuple[BantRole, ...], Field(description="What inside sales have not asked yet.")]
    as_of: Annotated[Timestamp | None, Field(description="The moment that is judged.")]
    scored_at: Timestamp
    request_id: str | None = None
    closed: Annotated[
        ClosedAnswer | None,
        Field(description="The deal is closed: the lead needs no call, whatever its score."),
    ] = None
    out_of_range: Annotated[
        tuple[str, ...], Field(description="The features that the caution out_of_range is about.")
    ] = ()
    amount: Annotated[
        float | None, Field(ge=0, description="What the open deal is expected to bring; null: unknown.")
    ] = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def detail(self) -> dict[str, Any]:
        """What the answer rests on, without texts, in plain JSON types: this is stored.

        Reasons are codes with their weight (log-odds of the model, points of the scorecard's rows) and,
        for the model, the value; None if the model did not answer or its reasons were not requested.
        """
        model, rules = self.model, self.rules
        reasons = None
        if model is not None and model.reasons is not None:
            reasons = [{"code": r.code, "weight": r.weight, "value": r.value} for r in model.reasons]
        return {
            "model_reasons": reasons,
            "amount": self.amount,
            "expected_value": None if model is None else model.expected_value,
            "alike": None if model is None else model.alike,
            "alike_won": None if model is None else model.alike_won,
            "rules_reasons": [{"code": r.code, "weight": r.weight} for r in rules.reasons],
            "triggers": [r.code for r in rules.triggers],
            "exclusions": [r.code for r in rules.exclusions],
            "cautions": list(self.cautions),
            "prompt": self.action.prompt,
            "hand_over": self.hand_over,
            "unknown": list(self.unknown),
        }
