"""The types of the API's answers, from which the OpenAPI document is derived.

Answers are plain dicts, which orjson writes fastest; tests hold the answers of every path against the
document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from scoring.decision.decision import Decider
from scoring.decision.score import DaysToWin, Percent, Score, Timestamp
from scoring.scorecard.scorecard import Stage
from serving.store.records import StoredState


@dataclass(frozen=True, kw_only=True)
class ScoreResponse(Score):
    """The answer for one lead: the Score, and what was done with the request."""

    ignored_attributes: Annotated[Sequence[str], Field(description="Attributes that no feature is made of.")]
    unknown_activities: Annotated[
        Sequence[str],
        Field(
            description="Types of activity that no feature names: misspelt, or not used. Features over all "
            "activities count them."
        ),
    ]
    stored: Annotated[
        StoredState,
        Field(
            description="Whether the answer is stored; queued: on disk, until the store is back; suppressed: "
            "never, for the lead was erased."
        ),
    ]


class FieldProblem(TypedDict):
    """A field that is not valid."""

    path: Annotated[str, Field(description="Where, as body.activities[3].at or query.lang.")]
    got: Annotated[str, Field(description="What was sent, cut at 80 characters.")]
    allowed: Annotated[str, Field(description="What may be sent.")]


class ProblemBody(TypedDict):
    """An error (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    request_id: Annotated[str | None, Field(description="The id of the request in the service's log.")]
    errors: NotRequired[list[FieldProblem]]
    more_errors: NotRequired[Annotated[int, Field(ge=0, description="How many errors are not listed.")]]


class BatchResult(TypedDict):
    """The result for one lead of a batch: an answer or a problem."""

    status: Annotated[int, Field(description="200 with an answer, 400 or more with a problem.")]
    answer: ScoreResponse | None
    problem: ProblemBody | None


class BatchAnswer(TypedDict):
    """A result for each lead, in the order of the batch."""

    scored: int
    failed: int
    results: list[BatchResult]


_IGNORED = "Attributes of a lead that crm.toml has no column for; they are not stored."
_UNKNOWN = "The type of an activity that no feature names: misspelt, or not used; stored."


class Acknowledgement(TypedDict):
    """The record is on the disk, or its lead was erased and nothing of it is stored any more."""

    id: Annotated[str, Field(description="The sender's id, or the hash in its place.")]
    version: int
    lead_id: str
    outcome: Annotated[
        Literal["stored", "already known", "suppressed"],
        Field(description="suppressed: the lead was erased, and the record is not stored."),
    ]
    ignored_attributes: NotRequired[Annotated[list[str], Field(description=_IGNORED)]]
    unknown_activities: NotRequired[Annotated[list[str], Field(description=_UNKNOWN)]]


class Acknowledgements(TypedDict):
    """One acknowledgement for each record of the list, in its order."""

    results: list[Acknowledgement]


class StoredReason(TypedDict):
    """A reason as a code: of the rules in points, of the model in log-odds."""

    code: str
    weight: float


class StoredModelReason(StoredReason):
    """A reason of the model, with the value of its feature."""

    value: float | str | None


class PastScore(TypedDict):
    """A stored score, both sides, with reasons as codes and numbers."""

    lead_id: str
    as_of: Timestamp
    scored_at: Timestamp
    replay: Annotated[bool, Field(description="Its moment was requested with `as_of`.")]
    score: Percent
    stage: Stage
    decided_by: Decider
    fallback: str | None
    model_version: str | None
    probability: float | None
    model_score: int | None
    model_stage: str | None
    card_version: str
    points: int
    fit: int
    intent: int
    rules_score: Percent
    rules_stage: Stage
    action: str
    owner: str
    deadline: Timestamp | None
    request_id: str | None
    amount: Annotated[float | None, Field(description="What the open deal was expected to bring.")]
    expected_value: Annotated[float | None, Field(description="Probability times amount.")]
    model_reasons: list[StoredModelReason] | None
    alike: int | None
    alike_won: int | None
    days_to_win: NotRequired[DaysToWin | None]
    rules_reasons: list[StoredReason]
    triggers: list[str]
    exclusions: list[str]
    cautions: list[str]
    prompt: str | None
    hand_over: str | None
    unknown: list[str]


Trend = TypedDict(
    "Trend",
    {
        "direction": Literal["rising", "steady", "falling"],
        "change": int,
        "since": Annotated[Timestamp, Field(description="When the score was `from`.")],
        "from": Percent,
    },
)
Trend.__doc__ = "The present score against that of a week before, else the oldest; a point is no change."


class ScoreHistory(TypedDict):
    """The scores of a lead, newest first."""

    lead_id: str
    trend: Annotated[Trend | None, Field(description="null: fewer than two scores besides replays.")]
    scores: list[PastScore]


class HotLead(TypedDict):
    """A lead to call."""

    lead_id: str
    score: Percent
    decided_by: Decider
    fallback: str | None
    probability: float | None
    amount: Annotated[float | None, Field(description="What the open deal is expected to bring.")]
    expected_value: Annotated[float | None, Field(description="Probability times amount, as scored.")]
    points: int
    owner: str
    action: str
    deadline: Annotated[Timestamp | None, Field(description="The earliest since it became hot.")]
    stage_since: Annotated[Timestamp, Field(description="Since when it is hot.")]
    first_contact_at: Annotated[Timestamp | None, Field(description="The first contact since then.")]
    last_step: Annotated[str | None, Field(description="The newest step of its hand-over.")]
    as_of: Timestamp
    scored_at: Timestamp
    model_version: str | None
    card_version: str
    request_id: str | None
    overdue: Annotated[bool, Field(description="The deadline is past, without a contact.")]
    reasons: Annotated[list[str], Field(description="Triggers and rules that held, in words.")]
    text: Annotated[str, Field(description="What to do.")]


class CallList(TypedDict):
    """The leads to call, first deadline first."""

    as_of: Timestamp
    count: Annotated[int, Field(description="The number of leads on this page.")]
    total: Annotated[int, Field(description="The number on all pages, of the requested owner.")]
    next: Annotated[str | None, Field(description="`after` of the next page; null: this is the last.")]
    overdue: Annotated[int, Field(description="The number of overdue leads on this page.")]
    owners: Annotated[dict[str, int], Field(description="The number of leads to call, by owner.")]
    leads: list[HotLead]


class Champion(TypedDict):
    """The model that scores."""

    version: str
    registered_version: str
    run_id: str
    champion_since: Timestamp
    champion_for_seconds: int


class Thresholds(TypedDict):
    """The probabilities from which on a lead is warm and hot."""

    warm: float
    hot: float


class ModelInUse(TypedDict):
    """What scores now."""

    model: Annotated[Champion | None, Field(description="null: the rules decide.")]
    fallback: str | None
    scorecard: str
    features: Annotated[str, Field(description="The fingerprint of the feature table.")]
    thresholds: Thresholds | None
    about: Annotated[
        dict[str, Any],
        Field(
            description="The model's training data, and its figures on the newest closed deals, which it "
            "had not seen, with intervals; empty without a model."
        ),
    ]
