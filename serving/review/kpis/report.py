"""What the figures of some months come to: counted once, then told to all who look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.engine import Connection

from scoring.scorecard.office_hours import OfficeHours
from serving.review.definition.versions import all_versions
from serving.review.kpis import queries as kpi_queries
from serving.review.kpis.costs import SOURCES, Cost, cost_by_value
from serving.review.kpis.definitions import (
    KpiFacts,
    Kpis,
    Period,
    Proportion,
    SourceKpis,
    funnel,
    kpis,
    leads_in_period,
    lost_late,
    monthly_kpis,
    source_kpis,
    win_rate_by_response_time,
)
from serving.review.kpis.months import MonthRange


@dataclass(frozen=True)
class KpiReport:
    """The figures of a span of months: its four figures, those of the twelve months that end with it (the
    newest last), how far its hot leads came, the year's win rate by the time to the first contact, the leads
    that were lost late, the stages now, why leads were sent back (with the numbers of the definitions), and
    what came of each source by column."""

    total: Kpis
    months: Mapping[str, Kpis]
    funnel: Mapping[str, Proportion]
    win_rate_by_response_time: Sequence[Proportion]
    lost_late: Sequence[str]
    stages: Mapping[str, int]
    sent_back: Sequence[tuple[str, str, int]]
    definitions: Mapping[str, int]
    sources: Mapping[str, Sequence[SourceKpis]]


def build_report(
    connection: Connection,
    facts: KpiFacts,
    span: MonthRange,
    columns: Sequence[str],
    costs: Sequence[Cost],
    office: OfficeHours | None,
) -> KpiReport:
    """Count all figures of some months; sources by `columns`, time by the hours of an `office`."""
    period = span.period
    year = Period(span.borders[0], period.end)
    attributes = kpi_queries.read_attributes(connection, leads_in_period(facts, period), columns)
    return KpiReport(
        kpis(facts, period),
        dict(zip(span.year, monthly_kpis(facts, span.borders), strict=True)),
        funnel(facts, period),
        win_rate_by_response_time(facts, year, office),
        _read_lost_late(connection, facts, period),
        kpi_queries.count_stages(connection),
        kpi_queries.count_sent_back(connection, period.start, period.end),
        {version.version: version.number for version in reversed(all_versions(connection))},
        {
            c: source_kpis(
                facts, period, partial(_source_of, attributes, c), cost_by_value(costs, c, span.months)
            )
            for c in columns
        },
    )


def source_columns(available: Mapping[str, object]) -> list[str]:
    """The columns among those of a company that tell where a lead came from."""
    return [column for column in SOURCES if column in available]


def _read_lost_late(connection: Connection, facts: KpiFacts, period: Period) -> list[str]:
    candidates = {lead: facts.hot[lead] for lead in lost_late(facts, period)}
    return lost_late(facts, period, kpi_queries.read_deadlines(connection, candidates))


def _source_of(attributes: Mapping[str, Mapping[str, str]], column: str, lead: str) -> str | None:
    return attributes.get(lead, {}).get(column)
