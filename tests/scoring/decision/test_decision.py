"""One answer for each lead: who decides, for every combination of what the sides say."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
import pytest

from features.columns import Column
from scoring.decision.decision import (
    DECIDERS,
    HAND_OVERS,
    MQL,
    NOT_HANDED,
    SQL,
    Decision,
    ModelSide,
    decide,
)
from scoring.decision.overrides import VERDICTS, Override, Verdict, in_force
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
    product(
        (False, True),
        (None, *VERDICTS),
        (False, True),
        (None, COLD, WARM, HOT),
        (COLD, WARM, HOT),
    )
)


def card(hot_is: HotIs) -> Scorecard:
    """10 points at 1, 30 at 2; warm from 10 on, hot from 30 on; a trigger and an exclusion."""

    def rule(feature: str, least: float) -> dict[str, object]:
        when = [{"feature": feature, "at_least": least}]
        return {"when": when, "because": {"en": "because", "ja": "理由"}}

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


def rated(cases: list[Case], hot_is: HotIs) -> Rating:
    columns: dict[str, Column] = {
        "x": np.array([float(c[0]) for c in cases]),
        "t": np.array([float(c[2]) for c in cases]),
        "p": np.array([POINTS[c[4]] for c in cases]),
    }
    return rate(card(hot_is), columns)


def override(verdict: Verdict, at: int = 0, expires: int = 10) -> Override:
    return Override("L1", verdict, "reason", "Sato", at, expires)


def said(cases: list[Case]) -> list[Override | None]:
    return [None if c[1] is None else override(c[1]) for c in cases]  # type: ignore[arg-type]


def decided(cases: list[Case], hot_is: HotIs) -> Decision:
    """Cases that all have a model, or all have none."""
    chances = [CHANCE[c[3]] for c in cases if c[3] is not None]
    model = ModelSide.of(np.array(chances), SCALE) if chances else None
    return decide(rated(cases, hot_is), model, said(cases))


def both(hot_is: HotIs) -> list[tuple[Case, int, int, str, int]]:
    """Every case with its score, stage, decider and hand-over."""
    found: list[tuple[Case, int, int, str, int]] = []
    for with_model in (False, True):
        cases = [c for c in CASES if (c[3] is not None) == with_model]
        at = decided(cases, hot_is)
        by = [DECIDERS[code] for code in at.decided_by]
        found += zip(cases, at.score, at.stage, by, at.hand_over, strict=True)
    return found


def expected(case: Case) -> tuple[int, int, str, int]:
    """Score, stage, decider and hand-over where MQLs are hot, told as a person would."""
    excluded, verdict, triggered, model, rules = case
    stage = rules if model is None else model
    score = {None: {COLD: 0, WARM: 40, HOT: 100}[rules], COLD: 13, WARM: 53, HOT: 95}[model]
    by = "rules" if model is None else "model"
    if triggered:
        stage, score, by = HOT, max(score, 80), "trigger"
    if verdict in ("hot", "accepted"):
        stage, score, by = HOT, max(score, 80), "person"
    if verdict in ("not_hot", "sent_back"):
        stage, score, by = min(stage, WARM), min(score, 79), "person"
    if excluded:
        stage, score, by = COLD, 0, "exclusion"
    handed = NOT_HANDED if stage != HOT else SQL if verdict == "accepted" else MQL
    return score, stage, by, handed


def test_the_deciders_stand_in_order_for_every_combination() -> None:
    told = both("mql")
    assert len(told) == len(CASES) == 2 * 5 * 2 * 4 * 3
    for case, score, stage, by, handed in told:
        assert (score, stage, by, handed) == expected(case), case


def test_only_a_person_makes_an_sql_hot() -> None:
    for case, score, stage, by, handed in both("sql"):
        mql_score, mql_stage, mql_by, mql_handed = expected(case)
        assert (score, by, handed) == (mql_score, mql_by, mql_handed), case
        proposed = mql_stage == HOT and by != "person"
        assert stage == (WARM if proposed else mql_stage), case
        assert (stage == HOT) == (by == "person" and case[1] in ("hot", "accepted")), case


@pytest.mark.parametrize("hot_is", ["mql", "sql"])
def test_score_and_stage_agree(hot_is: HotIs) -> None:
    """But a lead that is proposed: its score is hot, and its stage waits for a person."""
    for case, score, stage, by, handed in both(hot_is):
        shown = HOT if score >= 80 else WARM if score >= 40 else COLD
        waits = hot_is == "sql" and handed == MQL and by != "person"
        assert stage == (WARM if waits else shown), case
        assert (handed == NOT_HANDED) == (shown != HOT), case


def test_deciders_and_hand_overs_have_names() -> None:
    assert DECIDERS == ("rules", "model", "trigger", "person", "exclusion")
    assert [HAND_OVERS[code] for code in (NOT_HANDED, MQL, SQL)] == [None, "mql", "sql"]


def test_no_overrides_are_like_none_in_force() -> None:
    cases = [c for c in CASES if c[1] is None and c[3] is None]
    one, other = decide(rated(cases, "mql"), None), decided(cases, "mql")
    for name in ("score", "stage", "decided_by", "hand_over"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_what_the_sides_said_is_left_as_it_was() -> None:
    cases = [c for c in CASES if c[3] == COLD]
    model, rating = ModelSide.of(np.full(len(cases), 0.1), SCALE), rated(cases, "mql")
    score, stage = rating.score.copy(), rating.stage.copy()
    decide(rating, model, said(cases))
    assert set(model.score.tolist()) == {13}
    assert set(model.stage.tolist()) == {COLD}
    np.testing.assert_array_equal(rating.score, score)
    np.testing.assert_array_equal(rating.stage, stage)


@pytest.mark.parametrize(
    ("as_of", "by", "stage"),
    [
        (99, "model", COLD),
        (100, "person", HOT),
        (199, "person", HOT),
        (200, "model", COLD),
    ],
)
def test_a_verdict_decides_from_its_moment_until_it_expires(as_of: int, by: str, stage: int) -> None:
    told = in_force([override("hot", at=100, expires=200)], as_of)
    model = ModelSide.of(np.array([0.1, 0.1]), SCALE)
    case: Case = (False, None, False, COLD, COLD)
    at = decide(rated([case, case], "mql"), model, [told.get("L1"), told.get("L2")])
    assert (DECIDERS[at.decided_by[0]], int(at.stage[0])) == (by, stage)
    assert (DECIDERS[at.decided_by[1]], int(at.stage[1])) == ("model", COLD)
