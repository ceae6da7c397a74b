"""The figures that steer: some months against their targets, the last twelve, sources, contact, reasons."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection
from starlette.responses import Response

from serving.review.kpis import queries as kpi_queries
from serving.review.kpis.costs import Cost, CostsWrong, read_costs
from serving.review.kpis.definitions import Share
from serving.review.kpis.months import YEAR, Span
from serving.review.kpis.report import Counted, counted, source_columns
from serving.review.kpis.sheet import shown
from serving.review.kpis.tables import pictures, sheets
from serving.review.web.csv_download import csv_answer
from serving.review.web.page_request import PageRoute, Visit
from serving.web.problems import not_found

KEPT_SECONDS = 300.0
FACTS = "kpi"
LENGTHS = (1, 3, YEAR)
"""The months that a page may be of."""


@dataclass(frozen=True)
class Told:
    """What the page of some months shows, when it was counted (ms UTC), what is wrong with the costs, and
    when the first lead turned hot, where that was in these months (ms UTC): there it all begins."""

    span: Span
    made_at: int
    counted: Counted
    costs_wrong: str
    began: int | None


async def show(visit: Visit) -> Response:
    """The page."""
    return _page("figures.html", await _told(visit), visit)


async def print_out(visit: Visit) -> Response:
    """The months on paper."""
    return _page("figures_print.html", await _told(visit), visit)


async def take_away(visit: Visit) -> Response:
    """One table as CSV."""
    told, name = await _told(visit), visit.request.path_params["name"]
    sheet = next((sheet for sheet in sheets(told.counted, visit) if sheet.name == name), None)
    if sheet is None:
        raise not_found("There is no such table.")
    months = dict.fromkeys((told.span.first, told.span.last))
    return csv_answer("-".join((name, *months)), sheet.csv_head, sheet.csv_rows)


def prepare(visit: Visit) -> None:
    """Begin to read what the figures are counted from: of 100,000 leads it takes a second or two."""
    visit.cache.prepare(FACTS, KEPT_SECONDS, partial(visit.house.store.see, kpi_queries.facts))


async def _told(visit: Visit) -> Told:
    see, house = visit.house.store.see, visit.house
    facts, made_at = await visit.kept(FACTS, KEPT_SECONDS, partial(see, kpi_queries.facts))
    span = Span.asked(visit.request.query_params, visit.now, house.crm.zone)
    costs, wrong = await asyncio.to_thread(_costs, visit)
    card = house.watch.in_use.scorer.card
    office = card.hours if card.stages.hot.business_hours else None
    columns = source_columns(house.crm.columns)

    def count(at: Connection) -> Counted:
        return counted(at, facts, span, columns, costs, office)

    key = ("kpi", span, made_at, costs, card.version)
    found, _ = await visit.kept(key, KEPT_SECONDS, partial(see, count))
    first = min(facts.hot.values(), default=None)
    return Told(span, made_at, found, wrong, first if span.period.holds(first) else None)


def _costs(visit: Visit) -> tuple[tuple[Cost, ...], str]:
    """The costs, and what is wrong with their file."""
    file = visit.house.crm.review.costs
    if file is None:
        return (), ""
    try:
        return read_costs(visit.house.crm.folder / file), ""
    except CostsWrong as problem:
        return (), problem.told(visit.lang)


def _page(template: str, told: Told, visit: Visit) -> Response:
    span = told.span
    runs = span.runs(visit.now)
    return visit.html(
        template,
        told=told,
        sheets=list(sheets(told.counted, visit)),
        cell=partial(shown, visit.say),
        earlier=span.moved(-1),
        later=None if runs else span.moved(1),
        spans=[(count, span.of_months(count)) for count in LENGTHS],
        runs=runs,
        goals=_goals(told, visit),
        has_costs=visit.house.crm.review.costs is not None,
        figures=pictures(told.counted, visit),
    )


def _goals(told: Told, visit: Visit) -> list[dict[str, Any]]:
    """The four figures, each with its target and whether it is reached."""
    found, targets = told.counted.total, visit.house.crm.review.targets
    a_month = targets.hot_leads_a_month
    wanted: dict[str, tuple[Any, float | None]] = {
        "hot": (found.hot, None if a_month is None else a_month * len(told.span.months)),
        "acceptance": (found.acceptance, targets.acceptance_rate),
        "opportunity": (found.opportunity, targets.opportunity_rate),
        "win": (found.win, targets.win_rate),
    }
    runs = told.span.runs(visit.now)
    return [
        {"name": name, "value": value, "target": target, "reached": _reached(value, target, runs)}
        for name, (value, target) in wanted.items()
    ]


def _reached(value: int | Share, target: float | None, runs: bool) -> bool | None:
    """Whether a target is reached; None: nothing tells, or the month still has days to reach its number."""
    reached = value.rate if isinstance(value, Share) else value
    if target is None or reached is None:
        return None
    still = runs and not isinstance(value, Share)
    return True if reached >= target else None if still else False


ROUTES = (
    PageRoute("GET", "/figures", show),
    PageRoute("GET", "/figures/print", print_out),
    PageRoute("GET", "/figures/{name}.csv", take_away),
)
