"""The pictures of one lead: both scores over time, and what they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scoring.decision.batch_scores import BatchScores
from scoring.decision.reasons import Contribution, rank_contributions
from scoring.decision.score import Score
from scoring.scorecard.scale import HOT_SCORE, TOP_SCORE, WARM_SCORE
from serving.review.charts.charts import Lines, Mark, Series, Step, Threshold, Waterfall
from serving.review.lead.rescore import feature_value
from serving.review.web.page_request import PageRequest

MAX_STEPS = 9


def score_history_chart(
    rows: Sequence[Mapping[str, Any]], marks: Sequence[Mark], visit: PageRequest
) -> Lines:
    """The scores of both sides as they were told, oldest first, with what happened."""
    live_rows = sorted((row for row in rows if not row["replay"]), key=lambda row: int(row["as_of"]))
    return Lines(
        title=visit.translate("lead_over_time"),
        x=tuple(float(row["as_of"]) for row in live_rows),
        series=(
            Series(
                visit.translate("side_model"), tuple(row["model_score"] for row in live_rows), color="model"
            ),
            Series(
                visit.translate("side_rules"), tuple(row["rules_score"] for row in live_rows), color="rules"
            ),
        ),
        marks=tuple(marks),
        zone=visit.zone,
        thresholds=(
            Threshold(WARM_SCORE, f"{visit.translate('stage_warm')} {WARM_SCORE}"),
            Threshold(HOT_SCORE, f"{visit.translate('stage_hot')} {HOT_SCORE}"),
        ),
        y_range=(0, TOP_SCORE),
    )


def model_waterfall(answers: BatchScores, visit: PageRequest) -> Waterfall | None:
    """From the average lead to this one, in log-odds; the small shares together."""
    explanation = answers.explanation
    if explanation is None:
        return None
    table = visit.scorer.table
    strongest = rank_contributions(explanation.contributions, MAX_STEPS)[0]
    steps = [
        Step(
            Contribution(
                explanation.features[i], feature_value(answers, explanation.features[i]), share
            ).text(table, visit.lang),
            share,
        )
        for i, share in strongest
    ]
    total = float(explanation.log_odds[0])
    rest = total - explanation.prior - sum(step.value for step in steps)
    others = [Step(visit.translate("lead_others"), rest)] if abs(rest) >= 0.005 else []
    return Waterfall(
        title=visit.translate("lead_model_waterfall"),
        steps=(
            Step(visit.translate("lead_prior"), explanation.prior, True),
            *steps,
            *others,
            Step(visit.translate("lead_log_odds"), total, True),
        ),
    )


def rules_waterfall(score: Score, visit: PageRequest) -> Waterfall:
    """The points of each row that holds, and their sum."""
    steps = [Step(reason.text, reason.weight) for reason in score.rules.reasons]
    total = Step(visit.translate("lead_points"), float(score.rules.points), True)
    return Waterfall(title=visit.translate("lead_rules_waterfall"), steps=(*steps, total), digits=0)
