"""The figures that steer: some months against their targets, the last twelve, sources, contact, reasons."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from sqlalchemy.engine import Connection
from starlette.responses import Response

from serving.review.kpis import queries as kpi_queries
from serving.review.kpis.costs import SOURCES, Cost, CostFileError, read_costs
from serving.review.kpis.definitions import Proportion
from serving.review.kpis.months import YEAR, MonthRange
from serving.review.kpis.report import KpiReport, build_report
from serving.review.kpis.sheet import format_cell
from serving.review.kpis.tables import build_charts, build_sheets
from serving.review.web.csv_download import csv_response
from serving.review.web.page_request import PageRequest, PageRoute
from serving.web.problems import not_found

CACHE_SECONDS = 300.0
FACTS_KEY = "kpi"
MONTH_COUNTS = (1, 3, YEAR)
"""The months that a page may be of."""


@dataclass(frozen=True)
class KpiPage:
    """What the page of some months shows, when it was counted (ms UTC), what is wrong with the costs, and
    when the first lead turned hot, where that was in these months (ms UTC): there it all begins."""

    span: MonthRange
    made_at: int
    report: KpiReport
    costs_wrong: str
    began: int | None


async def show(visit: PageRequest) -> Response:
    return await _render_page("figures.html", await _load_page(visit), visit)


async def show_printable(visit: PageRequest) -> Response:
    return await _render_page("figures_print.html", await _load_page(visit), visit)


async def download_csv(visit: PageRequest) -> Response:
    page, name = await _load_page(visit), visit.request.path_params["name"]
    sheet = next((sheet for sheet in build_sheets(page.report, visit) if sheet.name == name), None)
    if sheet is None:
        raise not_found("There is no such table.")
    months = dict.fromkeys((page.span.first, page.span.last))
    return csv_response("-".join((name, *months)), sheet.csv_head, sheet.csv_rows)


def prefetch_facts(visit: PageRequest) -> None:
    """Begin to read what the figures are counted from: of 100,000 leads it takes a second or two."""
    visit.cache.refresh_soon(FACTS_KEY, CACHE_SECONDS, partial(visit.store.read, kpi_queries.read_facts))


async def _load_page(visit: PageRequest) -> KpiPage:
    read = visit.store.read
    facts, made_at = await visit.cache.get(FACTS_KEY, CACHE_SECONDS, partial(read, kpi_queries.read_facts))
    span = MonthRange.from_query(visit.request.query_params, visit.now, visit.zone)
    costs, cost_error = await asyncio.to_thread(_load_costs, visit)
    card = visit.scorer.card
    office = card.hours if card.stages.hot.business_hours else None
    columns = [column for column in SOURCES if column in visit.crm.columns]

    def build(connection: Connection) -> KpiReport:
        return build_report(connection, facts, span, columns, costs, office)

    key = ("kpi", span, made_at, costs, card.version)
    report, _ = await visit.cache.get(key, CACHE_SECONDS, partial(read, build))
    first = min(facts.hot.values(), default=None)
    return KpiPage(span, made_at, report, cost_error, first if span.period.contains(first) else None)


def _load_costs(visit: PageRequest) -> tuple[tuple[Cost, ...], str]:
    """The costs, and what is wrong with their file."""
    file = visit.crm.review.costs
    try:
        return () if file is None else read_costs(visit.crm.folder / file), ""
    except CostFileError as problem:
        return (), problem.describe(visit.lang)


async def _render_page(template: str, page: KpiPage, visit: PageRequest) -> Response:
    span, charts = page.span, build_charts(page.report, visit)
    await visit.draw_charts(charts)
    runs = span.is_running(visit.now)
    return visit.html(
        template,
        told=page,
        sheets=list(build_sheets(page.report, visit)),
        cell=partial(format_cell, visit.translate),
        earlier=span.shift(-1),
        later=None if runs else span.shift(1),
        spans=[(count, span.last_months(count)) for count in MONTH_COUNTS],
        runs=runs,
        goals=_list_goals(page, visit),
        has_costs=visit.crm.review.costs is not None,
        figures=charts,
    )


def _list_goals(page: KpiPage, visit: PageRequest) -> list[dict[str, object]]:
    """The four figures, each with its target and whether it is reached."""
    total, targets = page.report.total, visit.crm.review.targets
    a_month = targets.hot_leads_a_month
    wanted: dict[str, tuple[int | Proportion, float | None]] = {
        "hot": (total.hot, None if a_month is None else a_month * len(page.span.months)),
        "acceptance": (total.acceptance, targets.acceptance_rate),
        "opportunity": (total.opportunity, targets.opportunity_rate),
        "win": (total.win, targets.win_rate),
    }
    runs = page.span.is_running(visit.now)
    return [
        {"name": name, "value": value, "target": target, "reached": _is_reached(value, target, runs)}
        for name, (value, target) in wanted.items()
    ]


def _is_reached(value: int | Proportion, target: float | None, runs: bool) -> bool | None:
    """Whether a target is reached; None without a target or a value, and for a number that is not reached
    while the month still runs."""
    reached = value.rate if isinstance(value, Proportion) else value
    if target is None or reached is None:
        return None
    is_running = runs and not isinstance(value, Proportion)
    return True if reached >= target else None if is_running else False


ROUTES = (
    PageRoute("GET", "/figures", show),
    PageRoute("GET", "/figures/print", show_printable),
    PageRoute("GET", "/figures/{name}.csv", download_csv),
)
