"""Examples: a lead at a moment, and whether it was won within the horizon.

Moments are fixed ages of a lead (landmarks), as long as it is still open then. They are never
chosen by looking at the close, which would bias every probability: see van Houwelingen, "Dynamic
prediction by landmarking in event history analysis", Scandinavian Journal of Statistics 34 (2007).

An example is used once its horizon has ended, whatever its outcome: using the early closes of
younger moments would include fast deals and exclude slow ones.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from features.clock import MS_PER_DAY, days_to_ms
from features.columns import Bools, Floats, Ints
from features.crm_data import Crm
from features.settings import Target

MIN_WINS = 20
"""Minimum number of won leads for a model; with fewer the rules alone decide."""


def count_missing(won: int, others: int) -> int:
    """How many leads are missing until `MIN_WINS` are won and as many are not."""
    return max(MIN_WINS - won, 0) + max(MIN_WINS - others, 0)


@dataclass(frozen=True)
class Examples:
    """Examples in the order of their moments.

    `lead` are rows of the CRM, `moment` and `known_at` ms UTC (or ranks if leads have no dates),
    `landmark` is the age in days, `group` is not divided by splits, `amount` is that of the deal (nan: none).
    `days_to_win` are those from the moment to the win (nan: not won, or no dates).
    """

    lead: NDArray[np.int32]
    moment: Ints
    known_at: Ints
    landmark: NDArray[np.float32]
    group: NDArray[np.int32]
    won: Bools
    amount: Floats
    days_to_win: Floats
    ordered: bool

    def __len__(self) -> int:
        return len(self.lead)

    def take(self, rows: NDArray[np.integer] | Bools) -> Examples:
        """The examples at the given positions."""
        columns = [field.name for field in fields(self) if field.name != "ordered"]
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    @property
    def won_leads(self) -> int:
        """The number of different leads that are won in these examples."""
        return len(np.unique(self.lead[self.won]))

    @property
    def other_leads(self) -> int:
        """The number of different leads that are won in none of these examples."""
        return len(np.unique(self.lead)) - self.won_leads

    @property
    def missing_leads(self) -> int:
        """How many more leads are needed to measure on these examples, or to learn what is measured."""
        return count_missing(self.won_leads, self.other_leads)


def build_examples(crm: Crm, target: Target) -> Examples:
    """All examples whose outcome is known at the snapshot, oldest moment first."""
    unsorted = _landmark_examples(crm, target) if crm.horizon_applies else _undated_examples(crm)
    return unsorted.take(np.argsort(unsorted.moment, kind="stable"))


def open_leads(crm: Crm, as_of: int) -> NDArray[np.int32]:
    """The rows of the leads that exist and are open at `as_of` (ms UTC)."""
    if not crm.horizon_applies:
        return np.flatnonzero(~crm.outcomes.closed).astype(np.int32)
    is_open = (crm.created <= as_of) & (crm.outcomes.closed_at > as_of)
    return np.flatnonzero(is_open).astype(np.int32)


def _landmark_examples(crm: Crm, target: Target) -> Examples:
    horizon = days_to_ms(target.horizon_days)
    ages = np.array([days_to_ms(age) for age in target.landmarks], dtype=np.int64)
    moment = crm.created[:, None] + ages[None, :]
    closed, won_at = crm.outcomes.closed_at[:, None], crm.outcomes.won_at[:, None]
    lead, age = np.nonzero((closed > moment) & (moment + horizon <= crm.snapshot))
    moment_ms = moment[lead, age]
    won = won_at[lead, 0] <= moment_ms + horizon
    return Examples(
        lead.astype(np.int32),
        moment_ms,
        moment_ms + horizon,
        np.array(target.landmarks, np.float32)[age],
        crm.group[lead],
        won,
        crm.outcomes.amount[lead],
        np.where(won, (won_at[lead, 0] - moment_ms) / MS_PER_DAY, np.nan),
        True,
    )


def _undated_examples(crm: Crm) -> Examples:
    """One example per closed lead: without dates the target is won."""
    lead = np.flatnonzero(crm.outcomes.closed).astype(np.int32)
    moment, landmark = crm.created[lead], np.zeros(len(lead), dtype=np.float32)
    won, amount = crm.outcomes.won[lead], crm.outcomes.amount[lead]
    no_days, ordered = np.full(len(lead), np.nan), crm.order != "none"
    return Examples(lead, moment, moment, landmark, crm.group[lead], won, amount, no_days, ordered)
