"""The first page: does the model beat the rules, how do both agree, and what waits for somebody?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.responses import Response

from scoring.evaluation.monitoring import QUIET
from scoring.scorecard.scorecard import STAGES
from scoring.statistics.metrics import Band
from scoring.statistics.rates import Rate
from serving.monitoring.monitor import monitor_store
from serving.monitoring.page import describe_advice, monitor_page
from serving.review.charts.charts import Bars, Lines, PageChart, Series, SeriesColor
from serving.review.disagreements.queries import UNJUDGED
from serving.review.kpis.page import prefetch_facts
from serving.review.models.page import pending_challenger
from serving.review.overview.evidence import JudgedDeals, load_judged_deals
from serving.review.overview.queries import count_agreement, count_pending
from serving.review.web.page_request import PageRequest, PageRoute

EVIDENCE_CACHE_SECONDS = 600.0
"""So long the proof stays: it changes with the model or the card alone, which are in its key."""
COUNTS_CACHE_SECONDS = 15.0
"""So long the counts of open leads stay: of 100,000 they take a tenth of a second."""
MONITORING_CACHE_SECONDS = 1_800.0
_SIDES: tuple[SeriesColor, ...] = ("model", "rules")


@dataclass(frozen=True)
class AgreementCell:
    """Leads of a pair of stages, and where they are listed."""

    count: int
    path: str
    agrees: bool


async def show(visit: PageRequest) -> Response:
    prefetch_facts(visit)
    _refresh_monitoring(visit)
    scorer, cache = visit.scorer, visit.cache
    load, count = partial(load_judged_deals, visit.components), partial(visit.store.read, count_agreement)
    deals, _ = await cache.get(("proof", *scorer.versions), EVIDENCE_CACHE_SECONDS, load)
    counts, _ = await cache.get("agreement", COUNTS_CACHE_SECONDS, count)
    charts: list[PageChart] = [] if deals is None else [_lift(deals, visit), _calibration(deals, visit)]
    await visit.draw_charts(charts)
    model_stages, not_hot_ids = _model_stages(counts), visit.overrides.not_hot_ids(visit.now)
    return visit.html(
        "overview.html",
        proof=deals,
        figures=charts,
        agreement=_agreement_table(counts, model_stages),
        judged=model_stages,
        challenger=await pending_challenger(visit),
        waits=await visit.read(lambda connection: count_pending(connection, visit.now, not_hot_ids)),
        served=_monitoring_summary(visit),
        fallback=scorer.fallback,
        has_rules=bool(scorer.card.rows),
    )


def _refresh_monitoring(visit: PageRequest) -> None:
    """Begin to look at what was served: it takes seconds, so the page shows what was found last."""
    monitor = partial(monitor_store, visit.store, visit.settings, visit.crm, visit.scorer, visit.now)
    visit.cache.refresh_soon(_monitoring_key(visit), MONITORING_CACHE_SECONDS, monitor)


def _monitoring_key(visit: PageRequest) -> tuple[str | None, ...]:
    return ("served", *visit.scorer.versions)


def _monitoring_summary(visit: PageRequest) -> dict[str, object] | None:
    """What was found last, in words and blocks; None where nothing was yet."""
    cached = visit.cache.peek(_monitoring_key(visit))
    if cached is None:
        return None
    report, made_at = cached
    table, lang = visit.crm.table, visit.lang
    blocks = monitor_page(report, table, visit.crm.name, lang).blocks[1:]
    return {
        "advice": describe_advice(report, table, lang),
        "act": report.advice not in QUIET,
        "blocks": [(type(block).__name__, block) for block in blocks],
        "at": made_at,
    }


def _model_stages(counts: Mapping[tuple[str, str | None], int]) -> Sequence[str | None]:
    """The columns: the stages of the model, hot first, and None where it did not judge some."""
    return (*reversed(STAGES), *{None for _, model in counts if model is None})


def _agreement_table(
    counts: Mapping[tuple[str, str | None], int], model_stages: Sequence[str | None]
) -> list[tuple[str, list[AgreementCell]]]:
    """A row for each stage of the rules, hot first."""
    return [
        (rules, [_agreement_cell(counts.get((rules, model), 0), rules, model) for model in model_stages])
        for rules in reversed(STAGES)
    ]


def _agreement_cell(count: int, rules: str, model: str | None) -> AgreementCell:
    path = f"/review/disagreements?rules={rules}&model={model or UNJUDGED}"
    return AgreementCell(count, path, rules == model)


def _lift(judged_deals: JudgedDeals, visit: PageRequest) -> Bars:
    """By stage, how many times the average win rate."""
    translate, stages = visit.translate, judged_deals.stages
    return Bars(
        title=translate("overview_lift"),
        labels=tuple(translate(f"stage_{stage}") for stage in STAGES),
        series=tuple(
            Series.with_intervals(translate(f"side_{s}"), map(_lift_point, stages[s]), s) for s in _SIDES
        ),
        unit=translate("overview_times"),
    )


def _lift_point(rate: Rate) -> list[float | None]:
    return [None if v != v else v for v in (rate.lift, rate.lift_low, rate.lift_high)]


def _calibration(judged_deals: JudgedDeals, visit: PageRequest) -> Lines:
    """The observed win rate over the predicted probability, in percent."""
    x = tuple(sorted({100 * band.predicted for bands in judged_deals.bands.values() for band in bands}))
    series = []
    for side in (s for s in _SIDES if s in judged_deals.bands):
        points = {100 * band.predicted: _band_point(band) for band in judged_deals.bands[side]}
        name = visit.translate(f"side_{side}")
        series.append(Series.with_intervals(name, (points.get(predicted, ()) for predicted in x), side))
    ideal = Series(visit.translate("overview_ideal"), x)
    return Lines(
        title=visit.translate("overview_calibration"),
        x=x,
        series=(*series, ideal),
        unit="%",
        x_title=visit.translate("overview_told"),
    )


def _band_point(band: Band) -> list[float]:
    low, high = max(0.0, band.observed - band.error), min(1.0, band.observed + band.error)
    return [100 * value for value in (band.observed, low, high)]


ROUTES = (PageRoute("GET", "", show), PageRoute("GET", "/", show))
