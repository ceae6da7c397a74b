"""The data of a CRM in NumPy arrays, from which features are computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.clock import NEVER
from features.columns import Bools, Column, Floats, Ints

LeadOrder: TypeAlias = Literal["date", "rank", "none"]


@dataclass(frozen=True)
class Activities:
    """Every activity of every lead, in the order of the source.

    `lead` are rows of leads, `type` codes into `types`, `time_ms` ms UTC, `value` numbers (nan: none).
    """

    lead: NDArray[np.int32]
    type: NDArray[np.int16]
    time_ms: Ints
    value: Floats | None
    types: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.lead)

    def select(self, rows: NDArray[np.integer] | Bools) -> Activities:
        """Those at some rows, in their order, or those that a mask selects."""
        value = None if self.value is None else self.value[rows]
        return Activities(self.lead[rows], self.type[rows], self.time_ms[rows], value, self.types)


@dataclass(frozen=True)
class BotActivities:
    """Activities that a machine made, such as a link scanner, and the name of the rule that says so of each.

    Features, rules and figures do not count them."""

    activities: Activities
    rules: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.activities)


@dataclass(frozen=True)
class Changes:
    """The history of one column: `lead` (row) got `value` at `time_ms` (ms UTC)."""

    lead: NDArray[np.int32]
    time_ms: Ints
    value: Column


@dataclass(frozen=True)
class Outcomes:
    """The outcome of each lead, one entry per lead (ms UTC, NEVER if it did not happen).

    `closed_at` is the first close of any kind, `won_at` the first win, `amount` that of the won deal,
    else of the last deal (nan: none). Without dates both times are 0 or NEVER.
    """

    closed_at: Ints
    won_at: Ints
    amount: Floats

    @property
    def won(self) -> NDArray[np.bool_]:
        return self.won_at < NEVER

    @property
    def closed(self) -> NDArray[np.bool_]:
        return self.closed_at < NEVER


@dataclass(frozen=True)
class Crm:
    """The leads of a CRM with their attributes, activities and outcomes.

    `created` is ms UTC where `order` is "date", a rank (0 is the oldest) where it is "rank", and 0
    throughout where it is "none". `group` holds the leads that splits must keep together:
    those of one account, or of identical rows. `snapshot` is the moment of the export.
    `dated_outcomes` says whether closes have a date. `for_segments` are attributes for segments only:
    they hold today's values, so features with a history do not use them. `activities` are those of people,
    `bots` those of machines. `open_amount` is what each open lead is expected to bring as of the snapshot
    (nan: unknown); no feature uses it.
    """

    lead_ids: NDArray[np.object_]
    order: LeadOrder
    created: Ints
    account: NDArray[np.int32]
    group: NDArray[np.int32]
    attributes: dict[str, Column]
    activities: Activities
    outcomes: Outcomes
    snapshot: int
    dated_outcomes: bool
    changes: dict[str, Changes] = field(default_factory=dict)
    for_segments: frozenset[str] = frozenset()
    bots: BotActivities = field(default_factory=lambda: no_bots())
    open_amount: Floats | None = None

    def __len__(self) -> int:
        return len(self.lead_ids)

    def amounts_at(self, moment: int) -> Floats | None:
        """The amounts of open leads as far as they were known at a moment (ms UTC): today's are not known
        earlier. None: of no lead."""
        amount = self.open_amount
        is_known = amount is not None and moment >= self.snapshot and not np.isnan(amount).all()
        return amount if is_known else None

    @property
    def horizon_applies(self) -> bool:
        """Whether 'won within the horizon' can be determined: leads and closes have dates."""
        return self.order == "date" and self.dated_outcomes


def no_activities() -> Activities:
    """The activities of a CRM without any."""
    nothing = np.empty(0, dtype=np.int64)
    return Activities(nothing.astype(np.int32), nothing.astype(np.int16), nothing, None, ())


def no_bots() -> BotActivities:
    """No activity of a machine."""
    return BotActivities(no_activities(), ())
