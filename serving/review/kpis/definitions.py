"""The figures that steer: one definition each, with what they are counted of.

- A *hot lead* of a period is one that turned hot in it: the moment of its first answer with the stage hot
  (answers for moments that were asked for later do not count).
- *Acceptance rate*: of the leads handed over in the period, those whose last judgement since is "accepted".
  A lead that was accepted or sent back without a hand-over counts as handed over then.
- *Opportunity rate* (商談化率): of the hot leads of the period, those that became an opportunity since.
- *Win rate* (成約率): of the leads closed in the period, those that were won. A lead with several deals
  counts by the one that closed last, a corrected deal by its newest version.
- *Time to first contact*: from turning hot to the first contact, in the office's hours where the definition
  counts those. Sales that were in contact before were there at once; a contact after the close came never.
- *Lost late*: hot leads lost in the period without a contact within 24 hours, nor by the deadline that
  they had, where that was later (a weekend lay between).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType

from scoring.scorecard.office_hours import OfficeHours, due

HOUR = 3_600_000
LATE_HOURS = 24.0
"""Every inquiry gets its first contact within 24 hours at the latest."""
BANDS = (1.0, 4.0, 24.0, 72.0)
"""Hours to the first contact, up to which a band goes; then later, and never."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What sales did about a lead; each time the first (ms UTC), None where it did not happen.

    `accepted`: what was said last, None where it was neither accepted nor sent back.
    """

    handed: int | None = None
    contacted: int | None = None
    accepted: bool | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """How the deal of a lead ended."""

    won: bool
    at: int
    amount: float | None


@dataclass(frozen=True)
class Facts:
    """All that the figures are counted from, by lead: when it turned hot, what was done about it, its first
    opportunity (after it turned hot, where there is one), and how its deal ended. Times are ms UTC."""

    hot: Mapping[str, int] = field(default_factory=dict)
    handled: Mapping[str, Handled] = field(default_factory=dict)
    opportunities: Mapping[str, int] = field(default_factory=dict)
    closed: Mapping[str, Closed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole`, with the 95 % interval of the rate.

    Wilson, "Probable inference", Journal of the American Statistical Association 22 (1927).
    """

    part: int
    whole: int

    @property
    def rate(self) -> float | None:
        return self.part / self.whole if self.whole else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The lower and the upper end; None where nothing was counted."""
        if not self.whole:
            return None
        z, n, p = 1.96, self.whole, self.part / self.whole
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Period:
    """From a moment to another (ms UTC), which is no part of it."""

    start: int
    end: int

    def holds(self, at: int | None) -> bool:
        return at is not None and self.start <= at < self.end


@dataclass(frozen=True)
class Kpis:
    """The four figures of a period."""

    hot: int
    acceptance: Share
    opportunity: Share
    win: Share


def kpis(facts: Facts, period: Period) -> Kpis:
    """The four figures of a period, as defined above."""
    return monthly(facts, [period.start, period.end])[0]


def monthly(facts: Facts, borders: Sequence[int]) -> list[Kpis]:
    """The four figures of each of the periods that follow each other between `borders` (ms UTC)."""
    hot, became, handed, accepted, closed, won = ([0] * (len(borders) + 1) for _ in range(6))
    for lead, at in facts.hot.items():
        place = bisect_right(borders, at)
        hot[place] += 1
        became[place] += facts.opportunities.get(lead, -1) >= at
    for handled in facts.handled.values():
        if handled.handed is not None:
            place = bisect_right(borders, handled.handed)
            handed[place] += 1
            accepted[place] += handled.accepted is True
    for each in facts.closed.values():
        place = bisect_right(borders, each.at)
        closed[place] += 1
        won[place] += each.won
    return [
        Kpis(
            hot[i],
            Share(accepted[i], handed[i]),
            Share(became[i], hot[i]),
            Share(won[i], closed[i]),
        )
        for i in range(1, len(borders))
    ]


STEPS = ("contacted", "accepted", "opportunity", "won")
"""What becomes of a hot lead that sales win."""


def afterwards(facts: Facts, period: Period) -> dict[str, Share]:
    """Of the leads that turned hot in the period, how many came as far as each of STEPS since."""
    hot = [(lead, at) for lead, at in facts.hot.items() if period.holds(at)]
    counts = dict.fromkeys(STEPS, 0)
    for lead, at in hot:
        handled, closed = facts.handled.get(lead, Handled()), facts.closed.get(lead)
        counts["contacted"] += handled.contacted is not None
        counts["accepted"] += handled.accepted is True
        counts["opportunity"] += facts.opportunities.get(lead, -1) >= at
        counts["won"] += closed is not None and closed.won and closed.at >= at
    return {step: Share(count, len(hot)) for step, count in counts.items()}


def by_contact(facts: Facts, period: Period, office: OfficeHours | None = None) -> list[Share]:
    """The win rate of closed leads that had turned hot in the period, by the time to their first contact:
    a share for each band of BANDS, then later, then never. `office`: its hours alone count."""
    counts = [[0, 0] for _ in range(len(BANDS) + 2)]
    for lead, hot_at in facts.hot.items():
        closed = facts.closed.get(lead)
        if closed is not None and period.holds(hot_at) and closed.at >= hot_at:
            place = _band(hot_at, _contacted(facts, lead, closed.at), office)
            counts[place][0] += closed.won
            counts[place][1] += 1
    return [Share(won, count) for won, count in counts]


def lost_late(facts: Facts, period: Period, deadlines: Mapping[str, int] = MappingProxyType({})) -> list[str]:
    """Hot leads that were lost in the period, and had no first contact within 24 hours, nor by their
    deadline (ms UTC) where that was later; the last lost first."""
    found = []
    for lead, hot_at in facts.hot.items():
        closed = facts.closed.get(lead)
        if closed is not None and not closed.won and period.holds(closed.at) and closed.at >= hot_at:
            contacted = _contacted(facts, lead, closed.at)
            latest = max(hot_at + LATE_HOURS * HOUR, deadlines.get(lead, 0))
            if contacted is None or contacted > latest:
                found.append((-closed.at, lead))
    return [lead for _, lead in sorted(found)]


def _contacted(facts: Facts, lead: str, until: int) -> int | None:
    """The first contact of a lead up to a moment."""
    handled = facts.handled.get(lead)
    contacted = None if handled is None else handled.contacted
    return contacted if contacted is not None and contacted <= until else None


@dataclass(frozen=True)
class Source:
    """What came of the leads of a channel (or campaign, keyword, landing page) in a period: hot leads,
    opportunities and wins of it, and what it cost (None: not told)."""

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


def sources(
    facts: Facts, period: Period, of: Callable[[str], str | None], costs: Mapping[str, float]
) -> list[Source]:
    """What came of each source; `of` tells a lead's ("" where it is not known). Those that cost and
    brought nothing are there too; the most hot leads first."""
    hot, became, won = (_counted(of, leads) for leads in _within(facts, period))
    names = dict.fromkeys([*hot, *became, *won, *costs])
    told = [Source(n, hot.get(n, 0), became.get(n, 0), won.get(n, 0), costs.get(n, None)) for n in names]
    return sorted(told, key=lambda source: (-source.hot, -source.won, source.name))


def concerned(facts: Facts, period: Period) -> list[str]:
    """The leads that `sources` asks for."""
    return list(dict.fromkeys(chain.from_iterable(_within(facts, period))))


def _within(facts: Facts, period: Period) -> tuple[list[str], list[str], list[str]]:
    """The leads that turned hot, became an opportunity, and were won in a period."""
    hot = [lead for lead, at in facts.hot.items() if period.holds(at)]
    became = [lead for lead, at in facts.opportunities.items() if period.holds(at)]
    won = [lead for lead, c in facts.closed.items() if c.won and period.holds(c.at)]
    return hot, became, won


def _counted(of: Callable[[str], str | None], leads: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for lead in leads:
        name = of(lead) or ""
        counts[name] = counts.get(name, 0) + 1
    return counts


def _band(hot_at: int, contacted: int | None, office: OfficeHours | None) -> int:
    if contacted is None:
        return len(BANDS) + 1
    upto = (place for place, most in enumerate(BANDS) if contacted <= due(hot_at, most, office))
    return next(upto, len(BANDS))
