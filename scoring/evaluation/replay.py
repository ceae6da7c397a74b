"""Replay: a changed scorecard on closed deals, before it is published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from features.clock import MS_PER_DAY, from_ms
from features.columns import Bools, Ints
from scoring.model.evidence import Evidence
from scoring.model.thresholds import is_new_in_period
from scoring.scorecard.rating import Rating, rate
from scoring.scorecard.scale import BANDS, bands_of
from scoring.scorecard.scorecard import HOT, STAGES, Scorecard
from scoring.statistics.metrics import Estimate
from scoring.statistics.paired_differences import Difference, differences
from scoring.statistics.rates import Rate, Rates
from scoring.to_json import to_jsonable

CARDS = ("present", "new")
_MAX_MOVED, _WEEK, _ROW_DRAWS = 25, 7, 50


@dataclass(frozen=True, kw_only=True)
class RowEffect:
    """The effect of one rule of the new card.

    `holds` are the rows where it holds, `decides` those whose hot stage depends on it. `adds` is the new
    card's average precision less that of the card without the rule: the rule helps above 0.
    """

    table: str
    name: str
    points: int
    holds: Rate
    decides: Rate
    adds: Estimate


@dataclass(frozen=True, kw_only=True)
class MovedLead:
    """A lead with another stage under the new card, at the first moment of its most important change.

    `lead` is its pseudonym, `moment` ms UTC; stages are codes.
    """

    lead: str
    moment: int
    before: int
    after: int
    won: bool
    amount: float


@dataclass(frozen=True)
class CardReplay:
    """The present and the new card on the same closed deals. Raises DataError if there are none."""

    evidence: Evidence
    present: Scorecard
    new: Scorecard

    def __post_init__(self) -> None:
        self.evidence.check_not_empty()

    @cached_property
    def ratings(self) -> dict[str, Rating]:
        cards = zip(CARDS, (self.present, self.new), strict=True)
        return {name: rate(card, self.evidence.features) for name, card in cards}

    @cached_property
    def rates(self) -> Rates:
        return Rates(self.evidence.won, self.evidence.group)

    @cached_property
    def all(self) -> Rate:
        return self.rates.rate(np.ones(len(self.evidence), dtype=np.bool_))

    @cached_property
    def stages(self) -> dict[str, list[Rate]]:
        """By card, the win rate of each stage."""
        ratings, codes = self.ratings.items(), range(len(STAGES))
        return {name: [self.rates.rate(rating.stage == c) for c in codes] for name, rating in ratings}

    @cached_property
    def bands(self) -> dict[str, list[Rate]]:
        """By card, the win rate of each band of ten points of the score."""
        bands = {name: bands_of(rating.score) for name, rating in self.ratings.items()}
        return {name: [self.rates.rate(band == i) for i in range(BANDS)] for name, band in bands.items()}

    @cached_property
    def moves(self) -> list[list[Rate]]:
        """Rows: the stage by the present card, columns: by the new one."""
        before, after = (self.ratings[name].stage for name in CARDS)
        codes = range(len(STAGES))
        return [[self.rates.rate((before == b) & (after == a)) for a in codes] for b in codes]

    @cached_property
    def moved(self) -> list[MovedLead]:
        """Leads whose stage changes: first those that become hot, then those that no longer are hot."""
        before, after = (self.ratings[name].stage for name in CARDS)
        rows = np.flatnonzero(before != after)
        kind = np.where(after[rows] == HOT, 0, np.where(before[rows] == HOT, 1, 2))
        rows = rows[np.lexsort((self.evidence.moment[rows], kind))]
        first = np.sort(np.unique(self.evidence.lead[rows].astype(str), return_index=True)[1])
        return [self._moved_lead(row, before[row], after[row]) for row in rows[first][:_MAX_MOVED]]

    @cached_property
    def moved_leads(self) -> int:
        """The number of leads whose stage changes at some moment."""
        before, after = (self.ratings[name].stage for name in CARDS)
        return len(set(self.evidence.lead[before != after].tolist()))

    @cached_property
    def weekly_hot(self) -> dict[str, dict[str, int]]:
        """By card and week (its Monday, UTC), the number of leads that turn hot; empty without dates.

        Only leads that the evidence covers from their first day on are counted.
        """
        if not self.evidence.dated:
            return {}
        return {name: self._count_first_hot(rating.stage == HOT) for name, rating in self.ratings.items()}

    @cached_property
    def never_hot(self) -> dict[str, tuple[int, int]]:
        """By card, the number of won leads that were hot at no moment, and of all won leads."""
        lead = np.unique(self.evidence.lead.astype(str), return_inverse=True)[1]
        won = np.bincount(lead, self.evidence.won) > 0
        hot = {n: np.bincount(lead, rating.stage == HOT) > 0 for n, rating in self.ratings.items()}
        return {name: (int((won & ~any_hot).sum()), int(won.sum())) for name, any_hot in hot.items()}

    @cached_property
    def differences(self) -> Mapping[str, Difference]:
        """The new card less the present one, at the present one's volume."""
        present, new = (self.ratings[name] for name in CARDS)
        return differences(self.evidence.judged, new.rank, present.rank, present.stage == HOT)

    @cached_property
    def rows(self) -> list[RowEffect]:
        """Every rule of the new card, in its order."""
        rating = self.ratings["new"]
        holds = np.hstack([rating.fired, rating.triggers, rating.exclusions])
        return [
            self._row_effect(table, name, getattr(rule, "points", 0), holds[:, place])
            for place, (table, name, rule) in enumerate(self.new.rules())
        ]

    def to_dict(self) -> dict[str, Any]:
        """All figures in plain JSON types; in `differences` old is the present card."""
        rates, leads = ("all", "differences", "stages", "bands", "moves"), ("moved", "moved_leads")
        names = (*rates, *leads, "weekly_hot", "never_hot", "rows")
        figures = {name: to_jsonable(getattr(self, name)) for name in names}
        return {"present": self.present.version, "new": self.new.version, **figures}

    def _moved_lead(self, row: int, before: int, after: int) -> MovedLead:
        evidence = self.evidence
        return MovedLead(
            lead=str(evidence.lead[row]),
            moment=int(evidence.moment[row]),
            before=int(before),
            after=int(after),
            won=bool(evidence.won[row]),
            amount=float(evidence.amount[row]),
        )

    def _count_first_hot(self, hot: Bools) -> dict[str, int]:
        rows = np.flatnonzero(hot & is_new_in_period(self.evidence))
        rows = rows[np.argsort(self.evidence.moment[rows], kind="stable")]
        first = np.unique(self.evidence.lead[rows].astype(str), return_index=True)[1]
        week = _week_start(self.evidence.moment[rows][first])
        weeks, count = _week_start(self.evidence.moment), Counter(week.tolist())
        mondays = range(int(weeks.min()), int(weeks.max()) + 1, _WEEK * MS_PER_DAY)
        return {from_ms(monday).date().isoformat(): count[monday] for monday in mondays}

    def _row_effect(self, table: str, name: str, points: int, holds: Bools) -> RowEffect:
        rating, card = self.ratings["new"], _without_rule(self.new, table, name)
        without = rate(card, self.evidence.features)
        is_decisive = (rating.stage == HOT) != (without.stage == HOT)
        called, draws = rating.stage == HOT, _ROW_DRAWS
        by_metric = differences(self.evidence.judged, rating.rank, without.rank, called, draws)
        return RowEffect(
            table=table,
            name=name,
            points=points,
            holds=self.rates.rate(holds),
            decides=self.rates.rate(is_decisive),
            adds=by_metric["average_precision"].difference,
        )


def _without_rule(card: Scorecard, table: str, name: str) -> Scorecard:
    """The card without one rule; it is not validated, as it may be incomplete."""
    group, _, _ = table.partition(".")
    rules = getattr(card, group)
    if group in ("triggers", "exclusions"):
        changed = _drop_rule(rules, name)
    else:
        changed = rules.model_copy(update={"rows": _drop_rule(rules.rows, name)})
    return Scorecard.model_construct(**{**dict(card), group: changed})  # without cached properties


def _drop_rule(rules: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: rule for key, rule in rules.items() if key != name}


def _week_start(moment_ms: Ints) -> Ints:
    """The first moment (ms UTC) of the week of each moment; 1970-01-01 was a Thursday."""
    day = moment_ms // MS_PER_DAY
    return np.asarray((day - (day + 3) % _WEEK) * MS_PER_DAY)
