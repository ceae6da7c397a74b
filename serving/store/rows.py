"""What the store returns: a lead with its history, steps of sales, and a row of the call list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from features.clock import NEVER
from features.one_lead import AttributeChange, Event
from scoring.decision.sales_status import SalesStep

StepsByLead: TypeAlias = Mapping[str, tuple[SalesStep, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLead:
    """The stored history of a lead. Times are ms UTC; lists are sorted by time, then by arrival.

    `created` is the earliest created_at, else the time of the lead's first record. `changes` are all values
    of attributes that were ever sent (None: emptied). `hearings` are topic, time and answer of the hearing.
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


@dataclass(frozen=True, slots=True)
class StoredSteps:
    """Steps of sales: the new ones by lead, all steps of each lead that had a correction, the number of
    rows read, and the newest row (`seq`) of each table."""

    by_lead: StepsByLead = field(default_factory=dict)
    corrected: StepsByLead = field(default_factory=dict)
    count: int = 0
    newest: tuple[int, ...] = ()


class ListCursor(NamedTuple):
    """A position in the call list, which is sorted by deadline (ms UTC; NEVER: none), descending score
    and id."""

    due: int
    score: int
    lead_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HotRow:
    """A lead to call: its present score, since when it is hot, and the steps of sales. Times are ms UTC.

    `deadline` is the earliest of the predictions since the lead became hot (None: none),
    `first_contact_at` the first contact since then, `last_step` the newest hand-over step of any kind.
    """

    lead_id: str
    as_of: int
    scored_at: int
    score: int
    decided_by: str
    fallback: str | None
    model_version: str | None
    probability: float | None
    model_score: int | None
    card_version: str
    points: int
    rules_score: int
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
        return ListCursor(NEVER if self.deadline is None else self.deadline, self.score, self.lead_id)
