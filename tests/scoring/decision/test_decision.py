"""One answer for each lead: who decides, for every combination of what the sides say."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
import pytest

from features.columns import Column
from scoring.decision.decision import DECIDERS, HAND_OVERS, MQL, NOT_HANDED, SQL, Decision, ModelSide, decide
from scoring.decision.overrides import VERDICTS, Override, Verdict, select_in_force
from scoring.scorecard.load import blank_card
from scoring.scorecard.rating import Rating, rate
from scoring.scorecard.scale import Scale
from scoring.scorecard.scorecard import COLD, HOT, WARM, Bands, Scorecard

HotIs = Literal["mql", "sql"]
BLANK = blank_card().stages
SCALE = Scale(0.3, 0.6, 1.0)
POINTS = {COLD: 0.0, WARM: 1.0, HOT: 2.0}
CHANCE = {COLD: 0.1, WARM: 0.4, HOT: 0.9}
Case = tuple[bool, str | None, bool, int | None, int]
"""Excluded, a person's verdict, triggered, the model's stage (None: no model), the stage by points."""

CASES: list[Case] = list(
    product((False, True), (None, *VERDICTS), (False, True), (None, COLD, WARM, HOT), (COLD, WARM, HOT))
)


def card(hot_is: HotIs) -> Scorecard:
    """10 points at 1, 30 at 2; warm from 10 on, hot from 30 on; a trigger and an exclusion."""

    def rule(feature: str, minimum: float) -> dict[str, object]:
        conditions = [{"feature": feature, "at_least": minimum}]
        return {"when": conditions, "because": {"en": "because", "ja": "理由"}}

    rows = {"one": {**rule("p", 1), "points": 10}, "two": {**rule("p", 2), "points": 20}}
    return Scorecard(
        hot_is=hot_is,
        hand_over=BLANK.hot,
        stages=BLANK,
        bands=Bands(warm=10, hot=30),
        intent={"rows": rows},
        triggers={"t": rule("t", 1)},
        exclusions={"x": rule("x", 1)},
    )


def rate_cases(cases: list[Case], hot_is: HotIs) -> Rating:
    columns: dict[str, Column] = {
        "x": np.array([float(c[0]) for c in cases]),
        "t": np.array([float(c[2]) for c in cases]),
        "p": np.array([POINTS[c[4]] for c in cases]),
    }
    return rate(card(hot_is), columns)


def override(verdict: Verdict, moment_ms: int = 0, expires: int = 10) -> Override:
    return Override("L1", verdict, "reason", "Sato", moment_ms, expires)


def make_overrides(cases: list[Case]) -> list[Override | None]:
    return [None if c[1] is None else override(c[1]) for c in cases]  # type: ignore[arg-type]


def decide_cases(cases: list[Case], hot_is: HotIs) -> Decision:
    """Cases that all have a model, or all have none."""
    chances = [CHANCE[c[3]] for c in cases if c[3] is not None]
    model = ModelSide.from_probability(np.array(chances), SCALE) if chances else None
    return decide(rate_cases(cases, hot_is), model, make_overrides(cases))


def decide_all_cases(hot_is: HotIs) -> list[tuple[Case, int, int, str, int]]:
    """Every case with its score, stage, decider and hand-over."""
    results: list[tuple[Case, int, int, str, int]] = []
    for with_model in (False, True):
        cases = [c for c in CASES if (c[3] is not None) == with_model]
        decision = decide_cases(cases, hot_is)
        deciders = [DECIDERS[code] for code in decision.decided_by]
        results += zip(cases, decision.score, decision.stage, deciders, decision.hand_over, strict=True)
    return results


def expect_decision(case: Case) -> tuple[int, int, str, int]:
    """Score, stage, decider and hand-over where MQLs are hot, told as a person would."""
    excluded, verdict, triggered, model, rules = case
    stage = rules if model is None else model
    score = {None: {COLD: 0, WARM: 40, HOT: 100}[rules], COLD: 13, WARM: 53, HOT: 95}[model]
    decider = "rules" if model is None else "model"
    if triggered:
        stage, score, decider = HOT, max(score, 80), "trigger"
    if verdict in ("hot", "accepted"):
        stage, score, decider = HOT, max(score, 80), "person"
    if verdict in ("not_hot", "sent_back"):
        stage, score, decider = min(stage, WARM), min(score, 79), "person"
    if excluded:
        stage, score, decider = COLD, 0, "exclusion"
    handed = NOT_HANDED if stage != HOT else SQL if verdict == "accepted" else MQL
    return score, stage, decider, handed


def test_the_deciders_stand_in_order_for_every_combination() -> None:
    results = decide_all_cases("mql")
    assert len(results) == len(CASES) == 2 * 5 * 2 * 4 * 3
    for case, score, stage, decider, handed in results:
        assert (score, stage, decider, handed) == expect_decision(case), case


def test_only_a_person_makes_an_sql_hot() -> None:
    for case, score, stage, decider, handed in decide_all_cases("sql"):
        mql_score, mql_stage, mql_by, mql_handed = expect_decision(case)
        assert (score, decider, handed) == (mql_score, mql_by, mql_handed), case
        proposed = mql_stage == HOT and decider != "person"
        assert stage == (WARM if proposed else mql_stage), case
        assert (stage == HOT) == (decider == "person" and case[1] in ("hot", "accepted")), case


@pytest.mark.parametrize("hot_is", ["mql", "sql"])
def test_score_and_stage_agree(hot_is: HotIs) -> None:
    """But a lead that is proposed: its score is hot, and its stage waits for a person."""
    for case, score, stage, decider, handed in decide_all_cases(hot_is):
        shown = HOT if score >= 80 else WARM if score >= 40 else COLD
        waits = hot_is == "sql" and handed == MQL and decider != "person"
        assert stage == (WARM if waits else shown), case
        assert (handed == NOT_HANDED) == (shown != HOT), case


def test_deciders_and_hand_overs_have_names() -> None:
    assert DECIDERS == ("rules", "model", "trigger", "person", "exclusion")
    assert [HAND_OVERS[code] for code in (NOT_HANDED, MQL, SQL)] == [None, "mql", "sql"]


def test_no_overrides_are_like_none_in_force() -> None:
    cases = [c for c in CASES if c[1] is None and c[3] is None]
    one, second = decide(rate_cases(cases, "mql"), None), decide_cases(cases, "mql")
    for name in ("score", "stage", "decided_by", "hand_over"):
        np.testing.assert_array_equal(getattr(one, name), getattr(second, name))


def test_what_the_sides_said_is_left_as_it_was() -> None:
    cases = [c for c in CASES if c[3] == COLD]
    model, rating = ModelSide.from_probability(np.full(len(cases), 0.1), SCALE), rate_cases(cases, "mql")
    score, stage = rating.score.copy(), rating.stage.copy()
    decide(rating, model, make_overrides(cases))
    assert set(model.score.tolist()) == {13}
    assert set(model.stage.tolist()) == {COLD}
    np.testing.assert_array_equal(rating.score, score)
    np.testing.assert_array_equal(rating.stage, stage)


@pytest.mark.parametrize(
    ("as_of", "decider", "stage"),
    [(99, "model", COLD), (100, "person", HOT), (199, "person", HOT), (200, "model", COLD)],
)
def test_a_verdict_decides_from_its_moment_until_it_expires(as_of: int, decider: str, stage: int) -> None:
    overrides_by_lead = select_in_force([override("hot", moment_ms=100, expires=200)], as_of)
    model = ModelSide.from_probability(np.array([0.1, 0.1]), SCALE)
    case: Case = (False, None, False, COLD, COLD)
    decision = decide(
        rate_cases([case, case], "mql"), model, [overrides_by_lead.get("L1"), overrides_by_lead.get("L2")]
    )
    assert (DECIDERS[decision.decided_by[0]], int(decision.stage[0])) == (decider, stage)
    assert (DECIDERS[decision.decided_by[1]], int(decision.stage[1])) == ("model", COLD)
