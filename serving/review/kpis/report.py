"""What the figures of some months come to: counted once, then told to all who look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.engine import Connection

from scoring.scorecard.office_hours import OfficeHours
from serving.review.definition.versions import all_versions
from serving.review.kpis import queries as kpi_queries
from serving.review.kpis.costs import SOURCES, Cost, cost_by
from serving.review.kpis.definitions import (
    Facts,
    Kpis,
    Period,
    Share,
    Source,
    afterwards,
    by_contact,
    concerned,
    kpis,
    lost_late,
    monthly,
    sources,
)
from serving.review.kpis.months import Span


@dataclass(frozen=True)
class Counted:
    """The figures of a span of months: its four figures, those of the twelve months that end with it (the
    newest last), how far its hot leads came, the year's win rate by the time to the first contact, the leads
    that were lost late, the stages now, why leads were sent back (with the numbers of the definitions), and
    what came of each source by column."""

    total: Kpis
    months: Mapping[str, Kpis]
    afterwards: Mapping[str, Share]
    contact: Sequence[Share]
    lost: Sequence[str]
    stages: Mapping[str, int]
    back: Sequence[tuple[str, str, int]]
    definitions: Mapping[str, int]
    sources: Mapping[str, Sequence[Source]]


def counted(
    connection: Connection,
    facts: Facts,
    span: Span,
    columns: Sequence[str],
    costs: Sequence[Cost],
    office: OfficeHours | None,
) -> Counted:
    """Count all figures of some months; sources by `columns`, time by the hours of an `office`."""
    period = span.period
    year = Period(span.borders[0], period.end)
    known = kpi_queries.attributes(connection, concerned(facts, period), columns)
    return Counted(
        kpis(facts, period),
        dict(zip(span.year, monthly(facts, span.borders), strict=True)),
        afterwards(facts, period),
        by_contact(facts, year, office),
        _lost(connection, facts, period),
        kpi_queries.stages_now(connection),
        kpi_queries.sent_back(connection, period.start, period.end),
        {each.version: each.number for each in reversed(all_versions(connection))},
        {c: sources(facts, period, partial(_of, known, c), cost_by(costs, c, span.months)) for c in columns},
    )


def source_columns(known: Mapping[str, object]) -> list[str]:
    """The columns among those of a company that tell where a lead came from."""
    return [column for column in SOURCES if column in known]


def _lost(connection: Connection, facts: Facts, period: Period) -> list[str]:
    perhaps = {lead: facts.hot[lead] for lead in lost_late(facts, period)}
    return lost_late(facts, period, kpi_queries.deadlines(connection, perhaps))


def _of(known: Mapping[str, Mapping[str, str]], column: str, lead: str) -> str | None:
    return known.get(lead, {}).get(column)
