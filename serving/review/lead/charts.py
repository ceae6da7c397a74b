"""The pictures of one lead: both scores over time, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scoring.decision.batch_scores import BatchScores
from scoring.decision.reasons import Contribution, rank_contributions
from scoring.decision.score import Score
from scoring.scorecard.scale import HOT_SCORE, TOP_SCORE, WARM_SCORE
from serving.review.charts.charts import Lines, Mark, Series, SeriesColor, Step, Threshold, Waterfall
from serving.review.lead.rescore import feature_value
from serving.review.web.page_request import PageRequest

MAX_STEPS = 9


def score_history_chart(
    rows: Sequence[Mapping[str, Any]], marks: Sequence[Mark], visit: PageRequest
) -> Lines:
    """The scores of both sides as they were told, oldest first, with what happened."""
    live_rows = sorted((row for row in rows if not row["replay"]), key=lambda row: int(row["as_of"]))
    sides: tuple[SeriesColor, ...] = ("model", "rules")
    thresholds = (("warm", WARM_SCORE), ("hot", HOT_SCORE))
    return Lines(
        title=visit.translate("lead_over_time"),
        x=tuple(float(row["as_of"]) for row in live_rows),
        series=tuple(
            Series(visit.translate(f"side_{s}"), tuple(row[f"{s}_score"] for row in live_rows), color=s)
            for s in sides
        ),
        marks=tuple(marks),
        zone=visit.zone,
        thresholds=tuple(Threshold(v, f"{visit.translate(f'stage_{name}')} {v}") for name, v in thresholds),
        y_range=(0, TOP_SCORE),
    )


def model_waterfall(answers: BatchScores, visit: PageRequest) -> Iterator[Waterfall]:
    """From the average lead to this one, in log-odds; the small shares together. None without a model."""
    explanation = answers.explanation
    if explanation is None:
        return

    def step(name: str, share: float) -> Step:
        contribution = Contribution(name, feature_value(answers, name), share)
        return Step(contribution.text(visit.scorer.table, visit.lang), share)

    strongest = rank_contributions(explanation.contributions, MAX_STEPS)[0]
    steps = [step(explanation.features[i], share) for i, share in strongest]
    total = float(explanation.log_odds[0])
    rest = total - explanation.prior - sum(step.value for step in steps)
    others = [Step(visit.translate("lead_others"), rest)] if abs(rest) >= 0.005 else []
    first = Step(visit.translate("lead_prior"), explanation.prior, True)
    last = Step(visit.translate("lead_log_odds"), total, True)
    yield Waterfall(title=visit.translate("lead_model_waterfall"), steps=(first, *steps, *others, last))


def rules_waterfall(score: Score, visit: PageRequest) -> Waterfall:
    """The points of each row that holds, and their sum."""
    steps = [Step(reason.text, reason.weight) for reason in score.rules.reasons]
    total = Step(visit.translate("lead_points"), float(score.rules.points), True)
    return Waterfall(title=visit.translate("lead_rules_waterfall"), steps=(*steps, total), digits=0)
