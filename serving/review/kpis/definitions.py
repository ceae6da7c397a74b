"""The KPIs: how each is defined and counted.

- A *hot lead* of a period is one that turned hot in it: the moment of its first answer with the stage hot
  (answers that were computed later for an earlier moment do not count).
- *Acceptance rate*: of the leads handed over in the period, those whose last judgement since is "accepted".
  A lead that was accepted or sent back without a hand-over counts as handed over then.
- *Opportunity rate* (商談化率): of the hot leads of the period, those that became an opportunity since.
- *Win rate* (成約率): of the leads closed in the period, those that were won. A lead with several deals
  counts by the one that closed last, a corrected deal by its newest version.
- *Time to first contact*: from turning hot to the first contact, in the office's hours where the definition
  counts those. A contact before the lead turned hot counts as 0 hours, one after the close as none.
- *Lost late*: hot leads lost in the period without a contact within 24 hours, nor by the deadline that
  their action had, where that was later (a weekend lay between).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType

from scoring.scorecard.office_hours import OfficeHours, compute_deadline

HOUR = 3_600_000
LATE_HOURS = 24.0
"""Every inquiry gets its first contact within 24 hours at the latest."""
BANDS = (1.0, 4.0, 24.0, 72.0)
"""The upper ends of the bands of hours to the first contact; two more bands are later, and never."""


@dataclass(frozen=True, slots=True)
class SalesHandling:
    """What sales did about a lead; each time the first (ms UTC), None where it did not happen.

    `accepted` is whether the last judgement was "accepted"; None where there was none.
    """

    handed_over_at: int | None = None
    contacted_at: int | None = None
    accepted: bool | None = None


@dataclass(frozen=True, slots=True)
class ClosedDeal:
    """How the deal of a lead ended."""

    won: bool
    closed_at: int
    amount: float | None


@dataclass(frozen=True)
class KpiFacts:
    """What the KPIs are counted from, by lead: when it turned hot, what sales did about it, its first
    opportunity (after it turned hot, where there is one), and how its deal ended. Times are ms UTC."""

    hot: Mapping[str, int] = field(default_factory=dict)
    handled: Mapping[str, SalesHandling] = field(default_factory=dict)
    opportunities: Mapping[str, int] = field(default_factory=dict)
    closed: Mapping[str, ClosedDeal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proportion:
    """The share of `part` cases in `total`, with its 95 % interval.

    Wilson, "Probable inference", Journal of the American Statistical Association 22 (1927).
    """

    part: int
    total: int

    @property
    def rate(self) -> float | None:
        """`part` / `total`, between 0 and 1; None where `total` is 0."""
        return self.part / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The lower and the upper end of the interval; None where `total` is 0."""
        if not self.total:
            return None
        z, n, p = 1.96, self.total, self.part / self.total
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Period:
    """The time from `start` up to `end`, which is not part of it (ms UTC)."""

    start: int
    end: int

    def contains(self, time_ms: int | None) -> bool:
        return time_ms is not None and self.start <= time_ms < self.end


@dataclass(frozen=True)
class Kpis:
    """The four KPIs of a period."""

    hot: int
    acceptance: Proportion
    opportunity: Proportion
    win: Proportion


def kpis(facts: KpiFacts, period: Period) -> Kpis:
    """The KPIs of a period, as the module defines them."""
    return monthly_kpis(facts, [period.start, period.end])[0]


def monthly_kpis(facts: KpiFacts, borders: Sequence[int]) -> list[Kpis]:
    """The KPIs of each period from one of the ascending `borders` (ms UTC) to the next."""
    hot, became, handed, accepted, closed, won = ([0] * (len(borders) + 1) for _ in range(6))
    for lead, hot_at in facts.hot.items():
        index = bisect_right(borders, hot_at)
        hot[index] += 1
        became[index] += facts.opportunities.get(lead, -1) >= hot_at
    for handled in facts.handled.values():
        if handled.handed_over_at is not None:
            index = bisect_right(borders, handled.handed_over_at)
            handed[index] += 1
            accepted[index] += handled.accepted is True
    for deal in facts.closed.values():
        index = bisect_right(borders, deal.closed_at)
        closed[index] += 1
        won[index] += deal.won
    rates = ((accepted, handed), (became, hot), (won, closed))
    return [
        Kpis(hot[i], *(Proportion(part[i], total[i]) for part, total in rates))
        for i in range(1, len(borders))
    ]


STEPS = ("contacted", "accepted", "opportunity", "won")
"""The steps of a hot lead on its way to a won deal."""


def funnel(facts: KpiFacts, period: Period) -> dict[str, Proportion]:
    """The share of the leads that turned hot in the period that reached each of STEPS since."""
    hot = [(lead, hot_at) for lead, hot_at in facts.hot.items() if period.contains(hot_at)]
    counts = dict.fromkeys(STEPS, 0)
    for lead, hot_at in hot:
        handled, closed = facts.handled.get(lead, SalesHandling()), facts.closed.get(lead)
        counts["contacted"] += handled.contacted_at is not None
        counts["accepted"] += handled.accepted is True
        counts["opportunity"] += facts.opportunities.get(lead, -1) >= hot_at
        counts["won"] += closed is not None and closed.won and closed.closed_at >= hot_at
    return {step: Proportion(count, len(hot)) for step, count in counts.items()}


def win_rate_by_response_time(
    facts: KpiFacts, period: Period, office: OfficeHours | None = None
) -> list[Proportion]:
    """The win rate of closed leads that turned hot in the period, by the time to their first contact: one for
    each of BANDS, then later, then never. With an `office`, only its opening hours count as time."""
    counts = [[0, 0] for _ in range(len(BANDS) + 2)]
    for lead, hot_at in facts.hot.items():
        closed = facts.closed.get(lead)
        if closed is not None and period.contains(hot_at) and closed.closed_at >= hot_at:
            index = _band_index(hot_at, _first_contact(facts, lead, closed.closed_at), office)
            counts[index][0] += closed.won
            counts[index][1] += 1
    return [Proportion(won, count) for won, count in counts]


def lost_late(
    facts: KpiFacts, period: Period, deadlines: Mapping[str, int] = MappingProxyType({})
) -> list[str]:
    """Hot leads that were lost in the period, and had no first contact within 24 hours, nor by their
    deadline (ms UTC) where that was later; the last lost first."""
    lost = []
    for lead, hot_at in facts.hot.items():
        closed = facts.closed.get(lead)
        if closed is None or closed.won:
            continue
        if closed.closed_at >= hot_at and period.contains(closed.closed_at):
            contacted = _first_contact(facts, lead, closed.closed_at)
            latest = max(hot_at + LATE_HOURS * HOUR, deadlines.get(lead, 0))
            if contacted is None or contacted > latest:
                lost.append((-closed.closed_at, lead))
    return [lead for _, lead in sorted(lost)]


def _first_contact(facts: KpiFacts, lead: str, until: int) -> int | None:
    """The first contact of a lead up to a moment."""
    handled = facts.handled.get(lead)
    contacted = None if handled is None else handled.contacted_at
    return contacted if contacted is not None and contacted <= until else None


@dataclass(frozen=True)
class SourceKpis:
    """The number of hot leads, opportunities and won leads from a source (a channel, campaign, keyword or
    landing page) in a period, and its cost (None: unknown)."""

    name: str
    hot: int
    opportunities: int
    won: int
    cost: float | None

    @property
    def per_hot(self) -> float | None:
        return self.cost / self.hot if self.cost is not None and self.hot else None

    @property
    def per_win(self) -> float | None:
        return self.cost / self.won if self.cost is not None and self.won else None


def source_kpis(
    facts: KpiFacts, period: Period, sources: Mapping[str, str], costs: Mapping[str, float]
) -> list[SourceKpis]:
    """The KPIs of each source, most hot leads first.

    `sources` has the source of each lead; leads without one count under "". `costs` has the cost of each
    source, also of those without a result.
    """
    by_result = _leads_by_result(facts, period)
    hot, became, won = (Counter(sources.get(lead, "") for lead in leads) for leads in by_result)
    names = dict.fromkeys([*hot, *became, *won, *costs])
    rows = [SourceKpis(name, hot[name], became[name], won[name], costs.get(name)) for name in names]
    return sorted(rows, key=lambda source: (-source.hot, -source.won, source.name))


def leads_in_period(facts: KpiFacts, period: Period) -> list[str]:
    """The leads that `source_kpis` counts in a period, each once."""
    return list(dict.fromkeys(chain.from_iterable(_leads_by_result(facts, period))))


def _leads_by_result(facts: KpiFacts, period: Period) -> tuple[list[str], list[str], list[str]]:
    """The leads that turned hot, became an opportunity, and were won in a period."""
    hot = [lead for lead, time_ms in facts.hot.items() if period.contains(time_ms)]
    became = [lead for lead, time_ms in facts.opportunities.items() if period.contains(time_ms)]
    won = [lead for lead, c in facts.closed.items() if c.won and period.contains(c.closed_at)]
    return hot, became, won


def _band_index(hot_at: int, contacted: int | None, office: OfficeHours | None) -> int:
    if contacted is None:
        return len(BANDS) + 1
    within = (contacted <= compute_deadline(hot_at, hours, office) for hours in BANDS)
    return next((index for index, is_within in enumerate(within) if is_within), len(BANDS))
