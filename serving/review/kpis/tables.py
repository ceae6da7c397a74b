"""The tables and pictures of the figures that steer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serving.review.charts.charts import Bars, PageChart, Series
from serving.review.kpis.definitions import BANDS, Proportion
from serving.review.kpis.report import KpiReport
from serving.review.kpis.sheet import CellRows, Sheet, SheetColumn, SheetColumnKind
from serving.review.web.page_request import PageRequest

ColumnTexts = tuple[tuple[str, str, SheetColumnKind], ...]
"""The columns of a table: the key of each, the key of its title's text, and what it holds."""

_MONTHS: ColumnTexts = (
    ("month", "figures_month", "text"),
    ("hot_leads", "figures_hot", "number"),
    ("acceptance_rate", "figures_acceptance", "share"),
    ("opportunity_rate", "opportunity_rate_word", "share"),
    ("win_rate", "figures_win", "share"),
)
_FUNNEL: ColumnTexts = (("step", "figures_step", "text"), ("of_hot_leads", "figures_share", "share"))
_RESPONSE_TIME: ColumnTexts = (
    ("first_contact", "figures_contact_in", "text"),
    ("win_rate", "figures_win", "share"),
)
_RESULTS: ColumnTexts = (
    ("hot_leads", "figures_hot", "number"),
    ("opportunities", "figures_opportunities", "number"),
    ("wins", "figures_wins", "number"),
    ("cost", "figures_cost", "money"),
    ("cost_per_hot", "figures_per_hot", "money"),
    ("cost_per_win", "figures_per_win", "money"),
)
_STAGES: ColumnTexts = (("stage", "stage", "text"), ("leads", "figures_leads", "number"))
_SENT_BACK: ColumnTexts = (
    ("definition", "figures_definition", "text"),
    ("reason", "steps_reason", "text"),
    ("leads", "figures_leads", "number"),
)
_LOST_LATE: ColumnTexts = (("lead_id", "calls_lead", "lead"),)


def build_sheets(report: KpiReport, visit: PageRequest) -> Iterator[Sheet]:
    """Every table, in the order of the page."""
    translate, newest_first = visit.translate, reversed([*report.months.items()])
    months: CellRows = [[name, k.hot, k.acceptance, k.opportunity, k.win] for name, k in newest_first]
    yield Sheet("months", translate("figures_months"), _columns(_MONTHS, visit), months)
    funnel: CellRows = [[translate(f"figures_step_{step}"), share] for step, share in report.funnel.items()]
    note = translate("figures_afterwards_how")
    yield Sheet("afterwards", translate("figures_afterwards"), _columns(_FUNNEL, visit), funnel, note)
    yield _response_time(report, visit)
    yield from (_by_source(report, column, visit) for column in report.sources)
    stages: CellRows = [[translate(f"stage_{stage}"), count] for stage, count in report.stages.items()]
    yield Sheet("stages", translate("figures_stages"), _columns(_STAGES, visit), stages)
    sent_back: CellRows = [[_name_version(report, v, visit), why, n] for v, why, n in report.sent_back]
    yield Sheet("sent_back", translate("figures_back"), _columns(_SENT_BACK, visit), sent_back)
    lost = [[lead] for lead in report.lost_late]
    title, note = translate("figures_lost", count=len(lost)), translate("figures_lost_how")
    yield Sheet("lost_late", title, _columns(_LOST_LATE, visit), lost, note)


def build_charts(report: KpiReport, visit: PageRequest) -> list[PageChart]:
    """Hot leads by month, and the win rate by the time to the first contact."""
    translate, months = visit.translate, report.months
    hot = Series(translate("figures_hot"), tuple(kpis.hot for kpis in months.values()), color="model")
    won_percent = map(_percent, report.win_rate_by_response_time)
    won = Series.with_intervals(translate("figures_win"), won_percent, "rules")
    return [
        Bars(title=translate("figures_hot_by_month"), labels=tuple(months), series=(hot,)),
        Bars(title=translate("figures_contact"), labels=tuple(_band_names(visit)), series=(won,), unit="%"),
    ]


def _columns(texts: ColumnTexts, visit: PageRequest) -> list[SheetColumn]:
    return [SheetColumn(key, visit.translate(text_key), kind) for key, text_key, kind in texts]


def _response_time(report: KpiReport, visit: PageRequest) -> Sheet:
    rows: CellRows = list(zip(_band_names(visit), report.win_rate_by_response_time, strict=True))
    note = visit.translate("figures_contact_how")
    if visit.scorer.card.stages.hot.business_hours:
        note += " " + visit.translate("figures_contact_office")
    return Sheet("contact", visit.translate("figures_contact"), _columns(_RESPONSE_TIME, visit), rows, note)


def _by_source(report: KpiReport, column: str, visit: PageRequest) -> Sheet:
    """What came of each channel, campaign, keyword or landing page, and what it cost."""
    words, lang = visit.crm.table.vocabulary, visit.lang
    label, missing = words.word(column, lang), visit.translate("missing")
    rows: CellRows = [
        [
            words.value(column, s.name, lang) if s.name else missing,
            *(s.hot, s.opportunities, s.won, s.cost, s.per_hot, s.per_win),
        ]
        for s in report.sources[column]
    ]
    columns = [SheetColumn("source", label, "text"), *_columns(_RESULTS, visit)]
    return Sheet(column, visit.translate("figures_by", what=label), columns, rows)


def _name_version(report: KpiReport, version: str, visit: PageRequest) -> str:
    number = report.definitions.get(version)
    if number is None:
        return version
    return visit.translate("figures_version", number=number, version=version)


def _percent(share: Proportion) -> Sequence[float]:
    """The rate in percent with the ends of its interval; empty where there is none."""
    return [100 * v for v in (share.rate, *(share.interval or ())) if v is not None]


def _band_names(visit: PageRequest) -> list[str]:
    within = [visit.translate("figures_within", hours=f"{hours:g}") for hours in BANDS]
    return [*within, visit.translate("figures_later"), visit.translate("figures_never")]
