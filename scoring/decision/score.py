"""The Score: the answer for one lead, with all that it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from scoring.decision.sales_status import DealOutcome
from scoring.scorecard.scorecard import Stage

BANT = ("budget", "authority", "need", "timing")
"""What inside sales ask about; [roles] in crm.toml says which columns tell of it."""

Explain: TypeAlias = Literal["none", "top", "all"]
"""How many of the model's reasons are told: none, the strongest, or every feature that counted."""


@dataclass(frozen=True)
class Reason:
    """A reason in words. `code` is the feature or the row, `weight` its log-odds or points."""

    code: str
    text: str
    weight: float
    value: float | str | None = None


@dataclass(frozen=True)
class ModelAnswer:
    """The model's side. Of `alike` leads scored like this one, `alike_won` were won."""

    version: str
    score: int
    stage: Stage
    probability: float
    alike: int
    alike_won: int
    reasons: tuple[Reason, ...] | None


@dataclass(frozen=True)
class RulesAnswer:
    """The rules' side: points of fit and intent, the rows that hold, triggers and exclusions."""

    version: str
    score: int
    stage: Stage
    points: int
    fit: int
    intent: int
    reasons: tuple[Reason, ...]
    triggers: tuple[Reason, ...]
    exclusions: tuple[Reason, ...]


@dataclass(frozen=True)
class ActionAnswer:
    """What to do, by whom and by when (ISO 8601 UTC; None: no deadline)."""

    kind: str
    owner: str
    text: str
    content: str | None
    deadline: str | None
    overdue: bool
    prompt: str | None


@dataclass(frozen=True)
class PersonAnswer:
    """The override that holds."""

    verdict: str
    reason: str
    by: str
    expires: str | None


@dataclass(frozen=True)
class ClosedAnswer:
    """That the lead's deal is won or lost, and since when (ISO 8601 UTC)."""

    outcome: DealOutcome
    at: str


@dataclass(frozen=True)
class Score:
    """The answer for one lead. `as_of` is the moment that is judged, `scored_at` when it was;
    `out_of_range` are the features that the caution of that name is about."""

    lead_id: str
    score: int
    stage: Stage
    decided_by: str
    fallback: str | None
    cautions: tuple[str, ...]
    model: ModelAnswer | None
    rules: RulesAnswer
    person: PersonAnswer | None
    action: ActionAnswer
    hand_over: str | None
    unknown: tuple[str, ...]
    as_of: str | None
    scored_at: str
    request_id: str | None = None
    closed: ClosedAnswer | None = None
    out_of_range: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    def detail(self) -> dict[str, Any]:
        """What the answer rests on, in no language, as JSON can hold it.

        Reasons are codes with their weight (log-odds of the model, points of the scorecard's rows) and,
        of the model, the value; None where the model did not answer, or was not asked for them.
        """
        model, rules = self.model, self.rules
        reasons = None if model is None else model.reasons
        return {
            "model_reasons": None
            if reasons is None
            else [{"code": r.code, "weight": r.weight, "value": r.value} for r in reasons],
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
