"""The tables and pictures of the figures that steer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serving.review.charts.charts import Bars, PageChart, Series
from serving.review.kpis.definitions import BANDS, Proportion
from serving.review.kpis.report import KpiReport
from serving.review.kpis.sheet import CellRows, Sheet, SheetColumn
from serving.review.web.page_request import PageRequest


def build_sheets(report: KpiReport, visit: PageRequest) -> Iterator[Sheet]:
    """Every table, in the order of the page."""
    yield _by_month(report, visit)
    yield _funnel(report, visit)
    yield _response_time(report, visit)
    yield from (_by_source(report, column, visit) for column in report.sources)
    yield _stages(report, visit)
    yield _sent_back(report, visit)
    yield _lost_late(report, visit)


def build_charts(report: KpiReport, visit: PageRequest) -> list[PageChart]:
    """Hot leads by month, and the win rate by the time to the first contact."""
    translate, months = visit.translate, report.months
    hot = Series(translate("figures_hot"), tuple(kpis.hot for kpis in months.values()), color="model")
    won = _proportion_series(translate("figures_win"), report.win_rate_by_response_time)
    return [
        Bars(title=translate("figures_hot_by_month"), labels=tuple(months), series=(hot,)),
        Bars(title=translate("figures_contact"), labels=tuple(_band_names(visit)), series=(won,), unit=" %"),
    ]


def _by_month(report: KpiReport, visit: PageRequest) -> Sheet:
    translate = visit.translate
    rows: CellRows = [
        [month, kpis.hot, kpis.acceptance, kpis.opportunity, kpis.win]
        for month, kpis in reversed([*report.months.items()])
    ]
    return Sheet(
        "months",
        translate("figures_months"),
        [
            SheetColumn("month", translate("figures_month"), "text"),
            SheetColumn("hot_leads", translate("figures_hot")),
            SheetColumn("acceptance_rate", translate("figures_acceptance"), "share"),
            SheetColumn("opportunity_rate", translate("opportunity_rate_word"), "share"),
            SheetColumn("win_rate", translate("figures_win"), "share"),
        ],
        rows,
    )


def _funnel(report: KpiReport, visit: PageRequest) -> Sheet:
    translate = visit.translate
    rows: CellRows = [[translate(f"figures_step_{step}"), share] for step, share in report.funnel.items()]
    return Sheet(
        "afterwards",
        translate("figures_afterwards"),
        [
            SheetColumn("step", translate("figures_step"), "text"),
            SheetColumn("of_hot_leads", translate("figures_share"), "share"),
        ],
        rows,
        translate("figures_afterwards_how"),
    )


def _response_time(report: KpiReport, visit: PageRequest) -> Sheet:
    translate = visit.translate
    rows: CellRows = [
        [name, share]
        for name, share in zip(_band_names(visit), report.win_rate_by_response_time, strict=True)
    ]
    notes = [translate("figures_contact_how")]
    if visit.scorer.card.stages.hot.business_hours:
        notes.append(translate("figures_contact_office"))
    return Sheet(
        "contact",
        translate("figures_contact"),
        [
            SheetColumn("first_contact", translate("figures_contact_in"), "text"),
            SheetColumn("win_rate", translate("figures_win"), "share"),
        ],
        rows,
        " ".join(notes),
    )


def _by_source(report: KpiReport, column: str, visit: PageRequest) -> Sheet:
    """What came of each channel, campaign, keyword or landing page, and what it cost."""
    translate, source_label = visit.translate, visit.crm.table.vocabulary.word(column, visit.lang)
    return Sheet(
        column,
        translate("figures_by", what=source_label),
        [
            SheetColumn("source", source_label, "text"),
            SheetColumn("hot_leads", translate("figures_hot")),
            SheetColumn("opportunities", translate("figures_opportunities")),
            SheetColumn("wins", translate("figures_wins")),
            SheetColumn("cost", translate("figures_cost"), "money"),
            SheetColumn("cost_per_hot", translate("figures_per_hot"), "money"),
            SheetColumn("cost_per_win", translate("figures_per_win"), "money"),
        ],
        [
            [_value_word(visit, column, s.name), s.hot, s.opportunities, s.won, s.cost, s.per_hot, s.per_win]
            for s in report.sources[column]
        ],
    )


def _stages(report: KpiReport, visit: PageRequest) -> Sheet:
    translate = visit.translate
    rows: CellRows = [[translate(f"stage_{stage}"), count] for stage, count in report.stages.items()]
    columns = [
        SheetColumn("stage", translate("stage"), "text"),
        SheetColumn("leads", translate("figures_leads")),
    ]
    return Sheet("stages", translate("figures_stages"), columns, rows)


def _sent_back(report: KpiReport, visit: PageRequest) -> Sheet:
    translate, numbers = visit.translate, report.definitions

    def name(version: str) -> str:
        if version not in numbers:
            return version
        return translate("figures_version", number=numbers[version], version=version)

    rows: CellRows = [[name(version), reason, count] for version, reason, count in report.sent_back]
    return Sheet(
        "sent_back",
        translate("figures_back"),
        [
            SheetColumn("definition", translate("figures_definition"), "text"),
            SheetColumn("reason", translate("steps_reason"), "text"),
            SheetColumn("leads", translate("figures_leads")),
        ],
        rows,
    )


def _lost_late(report: KpiReport, visit: PageRequest) -> Sheet:
    translate, rows = visit.translate, [[lead] for lead in report.lost_late]
    return Sheet(
        "lost_late",
        translate("figures_lost", count=len(rows)),
        [SheetColumn("lead_id", translate("calls_lead"), "lead")],
        rows,
        translate("figures_lost_how"),
    )


def _proportion_series(name: str, shares: Sequence[Proportion]) -> Series:
    ends = [share.interval for share in shares]
    return Series(
        name,
        tuple(None if s.rate is None else 100 * s.rate for s in shares),
        tuple(None if e is None else 100 * e[0] for e in ends),
        tuple(None if e is None else 100 * e[1] for e in ends),
        "rules",
    )


def _band_names(visit: PageRequest) -> list[str]:
    within = [visit.translate("figures_within", hours=f"{hours:g}") for hours in BANDS]
    return [*within, visit.translate("figures_later"), visit.translate("figures_never")]


def _value_word(visit: PageRequest, column: str, value: str) -> str:
    if not value:
        return visit.translate("missing")
    return visit.crm.table.vocabulary.value(column, value, visit.lang)
