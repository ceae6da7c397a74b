"""The pictures of one lead: both scores over time, and what they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scoring.decision.batch_scores import Answers
from scoring.decision.reasons import Reason, in_order
from scoring.decision.score import Score
from serving.review.charts.charts import Lines, Mark, Series, Step, Waterfall
from serving.review.lead.rescore import plain
from serving.review.web.page_request import Visit

MOST_STEPS = 9


def over_time(rows: Sequence[Mapping[str, Any]], marks: Sequence[Mark], visit: Visit) -> Lines:
    """The scores of both sides as they were told, oldest first, with what happened."""
    told = sorted((row for row in rows if not row["replay"]), key=lambda row: int(row["as_of"]))
    return Lines(
        visit.say("lead_over_time"),
        [float(row["as_of"]) for row in told],
        [
            Series(visit.say("side_model"), [row["model_score"] for row in told], role="model"),
            Series(visit.say("side_rules"), [row["rules_score"] for row in told], role="rules"),
        ],
        marks,
        visit.house.crm.zone,
    )


def model_waterfall(answers: Answers, visit: Visit) -> Waterfall | None:
    """From the average lead to this one, in log-odds; the small shares together."""
    told = answers.explanation
    if told is None:
        return None
    table = visit.house.watch.in_use.scorer.table
    strongest = in_order(told.contributions, MOST_STEPS)[0]
    steps = [
        Step(Reason(told.features[i], plain(answers, told.features[i]), share).text(table, visit.lang), share)
        for i, share in strongest
    ]
    total = float(told.log_odds[0])
    rest = total - told.prior - sum(step.value for step in steps)
    others = [Step(visit.say("lead_others"), rest)] if abs(rest) >= 0.005 else []
    return Waterfall(
        visit.say("lead_model_waterfall"),
        [
            Step(visit.say("lead_prior"), told.prior, True),
            *steps,
            *others,
            Step(visit.say("lead_log_odds"), total, True),
        ],
    )


def rules_waterfall(score: Score, visit: Visit) -> Waterfall:
    """The points of each row that holds, and their sum."""
    steps = [Step(reason.text, reason.weight) for reason in score.rules.reasons]
    total = Step(visit.say("lead_points"), float(score.rules.points), True)
    return Waterfall(visit.say("lead_rules_waterfall"), [*steps, total], digits=0)
