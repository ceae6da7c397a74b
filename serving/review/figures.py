"""The figures that steer: this month against its targets, the last twelve, sources, contact, reasons."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection
from starlette.responses import Response

from features.clock import from_ms, to_ms
from features.errors import DataError
from serving.problems import not_found
from serving.review import kpi_queries
from serving.review.costs import SOURCES, Cost, cost_by, read_costs
from serving.review.drawing import Bars, Figure, Series
from serving.review.kpi import (
    BANDS,
    Facts,
    Kpis,
    Period,
    Share,
    Source,
    by_contact,
    concerned,
    lost_late,
    monthly,
    sources,
)
from serving.review.sheets import Column, Sheet, shown
from serving.review.tables_out import csv_answer
from serving.review.visit import PageRoute, Visit

KEPT_SECONDS, MONTHS, MOST_LOST = 300.0, 12, 100
FACTS = "kpi"
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Counted:
    """The figures of a month: the twelve months' four figures (the newest last), the win rate by the time to
    the first contact, the leads that were lost late, the stages now, why leads were sent back, and what came
    of each source by column."""

    months: Mapping[str, Kpis]
    contact: Sequence[Share]
    lost: Sequence[str]
    stages: Mapping[str, int]
    back: Sequence[tuple[str, str, int]]
    sources: Mapping[str, Sequence[Source]]


@dataclass(frozen=True)
class Told:
    """What the page of a month shows, and when it was counted (ms UTC)."""

    month: str
    made_at: int
    counted: Counted
    costs_wrong: str

    @property
    def now(self) -> Kpis:
        """The four figures of the month itself."""
        return self.counted.months[self.month]


async def show(visit: Visit) -> Response:
    """The page."""
    told = await _told(visit)
    return visit.html("figures.html", **_shown(told, visit), figures=_figures(told, visit))


async def print_out(visit: Visit) -> Response:
    """The month on paper."""
    told = await _told(visit)
    return visit.html("figures_print.html", **_shown(told, visit), figures=_figures(told, visit))


async def take_away(visit: Visit) -> Response:
    """One table as CSV."""
    told, name = await _told(visit), visit.request.path_params["name"]
    sheet = next((sheet for sheet in _sheets(told, visit) if sheet.name == name), None)
    if sheet is None:
        raise not_found("There is no such table.")
    return csv_answer(f"{name}-{told.month}", sheet.csv_head, sheet.csv_rows)


def prepare(visit: Visit) -> None:
    """Begin to read what the figures are counted from: of 100,000 leads it takes a second or two."""
    visit.cache.prepare(FACTS, KEPT_SECONDS, partial(visit.house.store.see, kpi_queries.facts))


async def _told(visit: Visit) -> Told:
    facts, made_at = await visit.kept(
        FACTS, KEPT_SECONDS, partial(visit.house.store.see, kpi_queries.facts)
    )
    now = f"{from_ms(visit.now).astimezone(visit.house.crm.zone):%Y-%m}"
    asked = visit.request.query_params.get("month", "")
    month = asked if _MONTH.fullmatch(asked) and asked <= now else now
    costs, wrong = await asyncio.to_thread(_costs, visit)
    count = partial(_counted, facts=facts, month=month, costs=costs, visit=visit)
    counted, _ = await visit.kept(
        ("kpi", month, made_at), KEPT_SECONDS, partial(visit.house.store.see, count)
    )
    return Told(month, made_at, counted, wrong)


def _counted(
    connection: Connection, facts: Facts, month: str, costs: Sequence[Cost], visit: Visit
) -> Counted:
    """Count all figures of a month."""
    months = [_before(month, n) for n in reversed(range(MONTHS))]
    period = _period(month, visit)
    year = Period(_period(months[0], visit).start, period.end)
    columns = _columns(visit)
    known = kpi_queries.attributes(connection, concerned(facts, period), columns)
    return Counted(
        dict(zip(months, monthly(facts, [*(_start(m, visit) for m in months), period.end]), strict=True)),
        by_contact(facts, year), lost_late(facts, period), kpi_queries.stages_now(connection),
        kpi_queries.sent_back(connection, period.start, period.end),
        {c: sources(facts, period, partial(_of, known, c), cost_by(costs, c, [month])) for c in columns},
    )  # fmt: skip


def _costs(visit: Visit) -> tuple[list[Cost], str]:
    """The costs, and what is wrong with their file."""
    told = visit.house.crm.review.costs
    if told is None:
        return [], ""
    try:
        return read_costs(visit.house.crm.folder / told), ""
    except DataError as problem:
        return [], str(problem)


def _shown(told: Told, visit: Visit) -> dict[str, Any]:
    after = _before(told.month, -1)
    now = f"{from_ms(visit.now).astimezone(visit.house.crm.zone):%Y-%m}"
    return {
        "told": told, "sheets": list(_sheets(told, visit)), "cell": shown,
        "earlier": _before(told.month, 1), "later": after if after <= now else None,
        "goals": _goals(told, visit), "has_costs": visit.house.crm.review.costs is not None,
    }  # fmt: skip


def _goals(told: Told, visit: Visit) -> list[dict[str, Any]]:
    """The four figures of the month, each with its target and whether it is reached."""
    found, targets = told.now, visit.house.crm.review.targets
    wanted: dict[str, tuple[Any, float | None]] = {
        "hot": (found.hot, targets.hot_leads_a_month),
        "acceptance": (found.acceptance, targets.acceptance_rate),
        "opportunity": (found.opportunity, targets.opportunity_rate),
        "win": (found.win, targets.win_rate),
    }
    return [
        {"name": name, "value": value, "target": target, "reached": _reached(value, target)}
        for name, (value, target) in wanted.items()
    ]


def _reached(value: int | Share, target: float | None) -> bool | None:
    reached = value.rate if isinstance(value, Share) else value
    return None if target is None or reached is None else reached >= target


def _sheets(told: Told, visit: Visit) -> Iterator[Sheet]:
    say = visit.say
    yield _by_month(told, visit)
    yield _contact(told, visit)
    yield from (_by_source(told, column, visit) for column in _columns(visit))
    counted = told.counted
    stages = [[say(f"stage_{stage}"), count] for stage, count in counted.stages.items()]
    yield Sheet("stages", say("figures_stages"), [Column("stage", say("stage"), "text"),
                Column("leads", say("figures_leads"))], stages)  # fmt: skip
    back = [[version, reason, count] for version, reason, count in counted.back]
    yield Sheet("sent_back", say("figures_back"), [
        Column("definition", say("figures_definition"), "text"), Column("reason", say("steps_reason"), "text"),
        Column("leads", say("figures_leads")),
    ], back)  # fmt: skip
    lost = [[lead] for lead in counted.lost[:MOST_LOST]]
    yield Sheet("lost_late", say("figures_lost", count=len(counted.lost)),
                [Column("lead_id", say("calls_lead"), "lead")], lost, say("figures_lost_how"))  # fmt: skip


def _by_source(told: Told, column: str, visit: Visit) -> Sheet:
    """What came of each channel, campaign, keyword or landing page, and what it cost."""
    say, what = visit.say, visit.house.crm.table.vocabulary.word(column, visit.lang)
    found = told.counted.sources[column]
    return Sheet(column, say("figures_by", what=what), [
        Column("source", what, "text"), Column("hot_leads", say("figures_hot")),
        Column("opportunities", say("figures_opportunities")), Column("wins", say("figures_wins")),
        Column("cost", say("figures_cost"), "money"),
        Column("cost_per_hot", say("figures_per_hot"), "money"),
        Column("cost_per_win", say("figures_per_win"), "money"),
    ], [
        [_word(visit, column, s.name), s.hot, s.opportunities, s.won, s.cost, s.per_hot, s.per_win]
        for s in found
    ])  # fmt: skip


def _by_month(told: Told, visit: Visit) -> Sheet:
    say = visit.say
    rows = [
        [month, each.hot, each.acceptance, each.opportunity, each.win]
        for month, each in reversed([*told.counted.months.items()])
    ]
    return Sheet("months", say("figures_months"), [
        Column("month", say("figures_month"), "text"), Column("hot_leads", say("figures_hot")),
        Column("acceptance_rate", say("figures_acceptance"), "share"),
        Column("opportunity_rate", say("opportunity_rate_word"), "share"),
        Column("win_rate", say("figures_win"), "share"),
    ], rows)  # fmt: skip


def _contact(told: Told, visit: Visit) -> Sheet:
    names = _band_names(visit)
    rows = [[name, share] for name, share in zip(names, told.counted.contact, strict=True)]
    return Sheet("contact", visit.say("figures_contact"), [
        Column("first_contact", visit.say("figures_contact_in"), "text"),
        Column("win_rate", visit.say("figures_win"), "share"),
    ], rows, visit.say("figures_contact_how"))  # fmt: skip


def _band_names(visit: Visit) -> list[str]:
    within = [visit.say("figures_within", hours=f"{hours:g}") for hours in BANDS]
    return [*within, visit.say("figures_later"), visit.say("figures_never")]


def _figures(told: Told, visit: Visit) -> list[Figure]:
    months, names = told.counted.months, _band_names(visit)
    return [
        Bars(visit.say("figures_hot_by_month"), [*months],
             [Series(visit.say("figures_hot"), [each.hot for each in months.values()], role="model")]),
        Bars(visit.say("figures_contact"), names, [_shares(visit.say("figures_win"), told.counted.contact)], " %"),
    ]  # fmt: skip


def _shares(name: str, shares: Sequence[Share]) -> Series:
    ends = [share.interval for share in shares]
    return Series(
        name, [None if s.rate is None else 100 * s.rate for s in shares],
        [None if e is None else 100 * e[0] for e in ends], [None if e is None else 100 * e[1] for e in ends],
        "rules",
    )  # fmt: skip


def _columns(visit: Visit) -> list[str]:
    """The columns that tell where a lead came from."""
    known = visit.house.crm.columns
    return [column for column in SOURCES if column in known]


def _of(known: Mapping[str, Mapping[str, str]], column: str, lead: str) -> str | None:
    return known.get(lead, {}).get(column)


def _word(visit: Visit, column: str, value: str) -> str:
    words, key = visit.house.crm.table.vocabulary, f"{column}={value}"
    if not value:
        return visit.say("missing")
    return words.word(key, visit.lang) if key in words.words else value


def _period(month: str, visit: Visit) -> Period:
    """A month in the company's time zone."""
    return Period(_start(month, visit), _start(_before(month, -1), visit))


def _start(month: str, visit: Visit) -> int:
    first = date.fromisoformat(f"{month}-01")
    return to_ms(datetime(first.year, first.month, 1, tzinfo=visit.house.crm.zone))


def _before(month: str, months: int) -> str:
    year, number = map(int, month.split("-"))
    place = year * 12 + number - 1 - months
    return f"{place // 12:04}-{place % 12 + 1:02}"


ROUTES = (
    PageRoute("GET", "/figures", show), PageRoute("GET", "/figures/print", print_out),
    PageRoute("GET", "/figures/{name}.csv", take_away),
)  # fmt: skip
