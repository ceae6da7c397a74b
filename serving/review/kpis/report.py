"""The report of some months: all figures, counted once for all who look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from scoring.scorecard.office_hours import OfficeHours
from serving.review.definition.versions import all_versions
from serving.review.kpis import definitions
from serving.review.kpis import queries as kpi_queries
from serving.review.kpis.costs import Cost, cost_by_value
from serving.review.kpis.definitions import KpiFacts, Kpis, Period, Proportion, SourceKpis
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
    leads = definitions.leads_in_period(facts, period)
    attributes = kpi_queries.read_attributes(connection, leads, columns)

    def by_source(column: str) -> Sequence[SourceKpis]:
        sources = {lead: values.get(column, "") for lead, values in attributes.items()}
        return definitions.source_kpis(facts, period, sources, cost_by_value(costs, column, span.months))

    return KpiReport(
        definitions.kpis(facts, period),
        dict(zip(span.year, definitions.monthly_kpis(facts, span.borders), strict=True)),
        definitions.funnel(facts, period),
        definitions.win_rate_by_response_time(facts, year, office),
        _read_lost_late(connection, facts, period),
        kpi_queries.count_stages(connection),
        kpi_queries.count_sent_back(connection, period.start, period.end),
        {version.version: version.number for version in reversed(all_versions(connection))},
        {column: by_source(column) for column in columns},
    )


def _read_lost_late(connection: Connection, facts: KpiFacts, period: Period) -> list[str]:
    candidates = {lead: facts.hot[lead] for lead in definitions.lost_late(facts, period)}
    return definitions.lost_late(facts, period, kpi_queries.read_deadlines(connection, candidates))
