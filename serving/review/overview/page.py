"""The first page: does the model beat the rules, how do both agree, and what waits for somebody?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from scoring.evaluation.monitoring import QUIET
from scoring.scorecard.scorecard import STAGES
from scoring.statistics.rates import Rate
from serving.monitoring.monitor import monitored
from serving.monitoring.page import advice_in_words, monitor_page
from serving.review.charts.charts import Bars, Figure, Lines, Role, Series
from serving.review.disagreements.queries import UNJUDGED
from serving.review.kpis.page import prepare
from serving.review.models.page import undecided
from serving.review.overview.evidence import Proof, proof_of
from serving.review.overview.queries import agreement, waiting
from serving.review.web.page_request import PageRoute, Visit

KEPT_SECONDS = 600.0
"""So long the proof stays: it changes with the model or the card alone, which are in its key."""
COUNTED_SECONDS = 15.0
"""So long the counts of open leads stay: of 100,000 they take a tenth of a second."""
WATCHED_SECONDS = 1_800.0
_SIDES: tuple[Role, ...] = ("model", "rules")


@dataclass(frozen=True)
class Cell:
    """Leads of a pair of stages, and where they are listed."""

    count: int
    path: str
    agrees: bool


async def show(visit: Visit) -> Response:
    """The overview."""
    prepare(visit)
    _watch(visit)
    scorer = visit.house.watch.in_use.scorer
    key = ("proof", *scorer.versions)
    proof, _ = await visit.kept(key, KEPT_SECONDS, lambda: proof_of(visit.house))
    told, _ = await visit.kept("agreement", COUNTED_SECONDS, lambda: visit.house.store.see(agreement))
    judged, cooled = _judged(told), visit.house.said.cooled(visit.now)
    return visit.html(
        "overview.html",
        proof=proof,
        figures=[] if proof is None else _figures(proof, visit),
        agreement=_table(told, judged),
        judged=judged,
        challenger=await undecided(visit),
        waits=await visit.see(lambda at: waiting(at, visit.now, cooled)),
        served=_served(visit),
        fallback=scorer.fallback,
        has_rules=bool(scorer.card.rows),
    )


def _watch(visit: Visit) -> None:
    """Begin to look at what was served: it takes seconds, so the page shows what was found last."""
    house = visit.house
    visit.cache.prepare(
        _watched(visit),
        WATCHED_SECONDS,
        lambda: monitored(
            house.store, house.settings, house.crm, house.watch.in_use.scorer, house.desk.clock()
        ),
    )


def _watched(visit: Visit) -> tuple[str | None, ...]:
    return ("served", *visit.house.watch.in_use.scorer.versions)


def _served(visit: Visit) -> dict[str, Any] | None:
    """What was found last, in words and blocks; None where nothing was yet."""
    found = visit.cache.peek(_watched(visit))
    if found is None:
        return None
    told, made_at = found
    table, lang = visit.house.crm.table, visit.lang
    blocks = monitor_page(told, table, visit.house.crm.name, lang).blocks[1:]
    return {
        "advice": advice_in_words(told, table, lang),
        "act": told.advice not in QUIET,
        "blocks": [(type(block).__name__, block) for block in blocks],
        "at": made_at,
    }


def _judged(told: Mapping[tuple[str, str | None], int]) -> Sequence[str | None]:
    """The columns: the stages of the model, hot first, and None where it did not judge some."""
    return (*reversed(STAGES), *{None for _, model in told if model is None})


def _table(
    told: Mapping[tuple[str, str | None], int], judged: Sequence[str | None]
) -> list[tuple[str, list[Cell]]]:
    """A row for each stage of the rules, hot first."""
    return [
        (rules, [_cell(told.get((rules, model), 0), rules, model) for model in judged])
        for rules in reversed(STAGES)
    ]


def _cell(count: int, rules: str, model: str | None) -> Cell:
    return Cell(count, f"/review/disagreements?rules={rules}&model={model or UNJUDGED}", rules == model)


def _figures(proof: Proof, visit: Visit) -> list[Figure]:
    return [_lift(proof, visit), _calibration(proof, visit)]


def _lift(proof: Proof, visit: Visit) -> Bars:
    """By stage, how many times the average win rate."""
    names = [visit.say(f"stage_{stage}") for stage in STAGES]
    series = [_rates(visit.say(f"side_{side}"), proof.stages[side], side) for side in _SIDES]
    return Bars(visit.say("overview_lift"), names, series, visit.say("overview_times"))


def _rates(name: str, rates: Sequence[Rate], side: Role) -> Series:
    return Series(
        name,
        [_known(r.lift) for r in rates],
        [_known(r.lift_low) for r in rates],
        [_known(r.lift_high) for r in rates],
        side,
    )


def _calibration(proof: Proof, visit: Visit) -> Lines:
    """The win rate that came over the probability that was told, in percent."""
    bands = [(side, band) for side, told in proof.bands.items() for band in told]
    x = sorted({100 * band.told for _, band in bands})
    series = []
    for side in proof.bands:
        of_side = {100 * band.told: band for s, band in bands if s == side}
        ends = [(of_side[at].came, of_side[at].error) if at in of_side else None for at in x]
        series.append(
            Series(
                visit.say(f"side_{side}"),
                [end and 100 * end[0] for end in ends],
                [end and 100 * max(0.0, end[0] - end[1]) for end in ends],
                [end and 100 * min(1.0, end[0] + end[1]) for end in ends],
                "model" if side == "model" else "rules",
            )
        )
    ideal = Series(visit.say("overview_ideal"), x)
    return Lines(
        visit.say("overview_calibration"), x, [*series, ideal], unit=" %", x_title=visit.say("overview_told")
    )


def _known(value: float) -> float | None:
    return None if value != value else value


ROUTES = (PageRoute("GET", "", show), PageRoute("GET", "/", show))
