"""The leads on which a column is audited, and the column on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from features.columns import Bools, Column, Ints, is_missing, take
from features.crm.hindsight.cohorts import Cohorts
from features.crm.hindsight.events import LaterActivity
from features.crm.hindsight.sides import Sides, age_bands
from features.crm.load import Loaded
from features.crm_data import Crm
from features.moments import MIN_WINS
from features.statistics import level_auc, to_levels, win_rate_by_level

_NEWEST = 0.2


@dataclass(frozen=True)
class DecidedLeads:
    """The leads whose outcome is known, oldest first: their rows, outcomes, and the oldest 80%."""

    lead: Ints
    won: Bools
    old: Bools

    @staticmethod
    def from_crm(crm: Crm) -> DecidedLeads:
        is_decided = (
            crm.outcomes.closed
            if (crm.outcomes.closed & ~crm.outcomes.won).any()
            else np.ones(len(crm), bool)
        )
        lead = np.flatnonzero(is_decided)
        lead = lead[np.argsort(crm.created[lead], kind="stable")]
        old = np.arange(len(lead)) < len(lead) * (1 - _NEWEST)
        return DecidedLeads(lead, crm.outcomes.won[lead], old)

    @property
    def are_enough(self) -> bool:
        """Whether anything can be found: there are enough of them, won ones and others."""
        return len(self.lead) >= MIN_WINS and not self.won.all() and bool(self.won.any())


@dataclass(frozen=True)
class ComparedLeads:
    """All leads, oldest first: their rows and whether they are closed. Those that `use` selects, closed and
    open leads of equal age, are compared as `sides` (the first: closed), all by their `cohorts`."""

    lead: Ints
    closed: Bools
    use: Bools
    sides: Sides
    cohorts: Cohorts | None

    @staticmethod
    def from_crm(crm: Crm) -> ComparedLeads:
        """None are compared without ages, with few of either, or where no loss is recorded: an open lead is
        a lost one there."""
        lead = np.argsort(crm.created, kind="stable")
        closed, lost = crm.outcomes.closed[lead], (crm.outcomes.closed & ~crm.outcomes.won).any()
        band, use = age_bands(closed)
        enough = min(closed[use].sum(), (~closed[use]).sum()) >= MIN_WINS
        use &= bool(enough and lost and crm.order != "none")
        cohorts = Cohorts.from_closed(closed) if use.any() else None
        return ComparedLeads(lead, closed, use, Sides.from_bands(closed[use], band[use]), cohorts)


@dataclass(frozen=True, kw_only=True)
class AuditedColumn:
    """One column on the decided leads (`values` are those of the rows `place` of the table), and on the
    leads of `compared`; `events` are activities that it may be filled after."""

    name: str
    raw: pa.ChunkedArray
    place: Ints
    values: Column
    decided: DecidedLeads
    compared: ComparedLeads
    values_of_all: Column
    events: Sequence[LaterActivity]
    loaded: Loaded
    is_of_deals: bool

    @cached_property
    def values_of_compared(self) -> Column:
        """The values of the closed and open leads of equal age; none in a table of closed deals."""
        return take(self.values_of_all, np.flatnonzero(self.compared.use[: len(self.values_of_all)]))

    @cached_property
    def levels(self) -> tuple[Ints, int]:
        """The values of the decided leads as levels, and how many levels there are."""
        return to_levels(self.values)

    @property
    def filled(self) -> Bools:
        return ~is_missing(self.values)

    @property
    def shares(self) -> tuple[float, float]:
        """The filled share among the won leads and among the others."""
        won, filled = self.decided.won, self.filled
        return float(filled[won].mean()), float(filled[~won].mean())

    def auc(self) -> float:
        """ROC AUC of the column alone: learnt on the oldest 80%, evaluated on the newest."""
        return self._auc(self.decided.old)

    def auc_interleaved(self) -> float:
        """The same, learnt on every second lead: insensitive to changes over time."""
        return self._auc(np.arange(len(self.decided.won)) % 2 == 0)

    def _auc(self, learnt: Bools) -> float:
        level, count = self.levels
        won = self.decided.won
        rate = win_rate_by_level(level[learnt], count, won[learnt])
        return level_auc(level[~learnt], won[~learnt], rate)
