"""What the store gives back: a lead as it is known, and a row of the call list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from features.clock import NEVER
from features.one_lead import AttributeChange, Event


@dataclass(frozen=True, slots=True)
class StoredLead:
    """All that is known about a lead. Times are ms UTC, lists by time, of equal times by arrival.

    `created` is the earliest created_at told, else when it was first heard of. `changes` are all
    values ever told (None: emptied). `hearings` are what was asked about, when, and the answer.
    `account_events` are the activities of all leads of its account, None without an account.
    """

    lead_id: str
    created: int
    account: str | None
    changes: list[AttributeChange]
    events: list[Event]
    hearings: list[tuple[str, int, str]]
    account_events: list[Event] | None
    first_contacts: list[int]


class ListCursor(NamedTuple):
    """A place in the call list, which is in the order of deadline (ms UTC, NEVER: none), of score from
    the highest on, and of id."""

    due: int
    score: int
    lead_id: str


@dataclass(frozen=True, slots=True)
class HotRow:
    """A lead to call: its present score, since when it is hot, and what was done about it.

    `deadline` is the earliest told since it became hot (None: none). `first_contact_at` is the first
    contact since then, `last_step` the newest hand-over step of any kind. Times are ms UTC.
    """

    lead_id: str
    as_of: int
    scored_at: int
    score: int
    stage: str
    decided_by: str
    fallback: str | None
    model_version: str | None
    probability: float | None
    model_score: int | None
    model_stage: str | None
    card_version: str
    points: int
    fit: int
    intent: int
    rules_score: int
    rules_stage: str
    action: str
    owner: str
    deadline: int | None
    request_id: str | None
    detail: str
    stage_since: int
    first_contact_at: int | None = None
    last_step: str | None = None

    @property
    def cursor(self) -> ListCursor:
        """Where it stands in the list."""
        return ListCursor(NEVER if self.deadline is None else self.deadline, self.score, self.lead_id)
