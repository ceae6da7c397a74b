"""One lead by the way of a request: the same answer as among many, whatever is known of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.clock import MS_PER_DAY
from features.columns import Column, Texts, encode_texts
from features.crm.load import Loaded
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from features.table import FeatureTable
from scoring.decision.overrides import VERDICTS, Override
from scoring.decision.score import BANT, Explain, Score
from scoring.decision.scorer import BatchScores, Scorer
from scoring.scorecard.scorecard import Scorecard
from tests.conftest import Demo

AS_OF = 1_790_000_000_000
NOW = AS_OF + 60_000
Value = float | str | None
Lead = dict[str, Value]


@pytest.fixture(scope="module")
def crm_leads(demo_scorer: Scorer, demo_loaded: Loaded) -> list[Lead]:
    """The feature values of some open leads of the demo."""
    crm = demo_loaded.crm
    rows = open_leads(crm, crm.snapshot)[::10]
    view = ManyLeads(Histories(crm), rows, np.full(len(rows), crm.snapshot))
    columns = {name: plain(column) for name, column in demo_scorer.table.compute_many(view).items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def plain(column: Column) -> list[Any]:
    return column.to_list() if isinstance(column, Texts) else column.tolist()


def score_many(
    scorer: Scorer,
    leads: Sequence[Lead],
    known_roles: dict[str, bool] | None = None,
    override: Override | None = None,
) -> BatchScores:
    """The leads scored together; what is known and said holds for each of them."""
    columns = {
        name: encode_texts([lead[name] for lead in leads])  # type: ignore[misc]
        if name in scorer.table.texts
        else np.array([lead[name] for lead in leads], dtype=np.float64)
        for name in scorer.table.names
    }
    ids = [f"L{i}" for i in range(len(leads))]
    flags = {role: np.full(len(leads), is_known) for role, is_known in (known_roles or {}).items()}
    return scorer.score_batch(ids, columns, AS_OF, flags, override and dict.fromkeys(ids, override))


def score_one(
    scorer: Scorer,
    lead: Lead,
    number: int = 0,
    known_roles: dict[str, bool] | None = None,
    override: Override | None = None,
) -> BatchScores:
    values = [lead[name] for name in scorer.table.names]
    return scorer.score_one(f"L{number}", values, AS_OF, known_roles or {}, override)


def assert_same(one: Score, expected: Score) -> None:
    """Equal, but for the last digits of the probability."""
    if one.model is None or expected.model is None:
        assert one == expected
        return
    assert one.model.probability == pytest.approx(expected.model.probability, abs=1e-12)
    same = replace(one.model, probability=expected.model.probability)
    assert replace(one, model=same) == expected


def test_every_lead_of_a_crm_scores_alone_as_among_all(demo_scorer: Scorer, crm_leads: list[Lead]) -> None:
    together = score_many(demo_scorer, crm_leads).scores("en", NOW, "all")
    assert {score.stage for score in together} == {"cold", "warm", "hot"}
    for number, (lead, expected) in enumerate(zip(crm_leads, together, strict=True)):
        answers = score_one(demo_scorer, lead, number)
        assert_same(answers.scores("en", NOW, "all")[0], expected)


# -- whatever is known -----------------------------------------------------------------------------

numbers = st.just(math.nan) | st.integers(0, 40).map(float) | st.floats(-1e5, 1e5)
words = st.none() | st.sampled_from(["yes", "no", "approved", "decider", "fair", "never seen"])
overrides = st.none() | st.builds(
    Override,
    st.just("L0"),
    st.sampled_from(VERDICTS),
    st.just("met them"),
    st.just("sato"),  # type: ignore[arg-type]
    st.just(AS_OF - MS_PER_DAY),
)
flags = st.dictionaries(st.sampled_from(BANT), st.booleans())


def test_any_lead_scores_alone_as_among_others(demo_scorer: Scorer) -> None:
    """Leads whose features have some of a few values."""
    table = demo_scorer.table

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.tuples(numbers, words), min_size=1, max_size=9), st.integers(0, 2**32), flags, overrides
    )
    def check(
        rows: list[tuple[float, str | None]],
        seed: int,
        known_roles: dict[str, bool],
        override: Override | None,
    ) -> None:
        rng = np.random.default_rng(seed)
        leads: list[Lead] = [
            {name: rows[rng.integers(len(rows))][name in table.texts] for name in table.names}
            for _ in range(3)
        ]
        together = score_many(demo_scorer, leads, known_roles, override).scores("ja", NOW, "top")
        for number, expected in enumerate(together):
            one = score_one(demo_scorer, leads[number], number, known_roles, override)
            assert_same(one.scores("ja", NOW, "top")[0], expected)

    check()


def test_the_table_may_hold_more_than_the_model_and_in_another_order(
    demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    rows = dict(reversed(demo_scorer.table.rows.items()))
    more = {"more": rows["age"], **rows}
    reordered = replace(demo_scorer, table=FeatureTable(more, demo_scorer.table.vocabulary))
    for number, lead in enumerate(crm_leads[:20]):
        answers = score_one(reordered, {"more": 5.0, **lead}, number)
        assert_same(
            answers.scores("en", NOW, "top")[0],
            score_one(demo_scorer, lead, number).scores("en", NOW, "top")[0],
        )


def test_a_card_that_changed_since_the_training_rates_by_itself(
    demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    """The model goes on looking at the points of its own card."""
    card = demo_scorer.card.to_dict()
    next(iter(card["intent"]["rows"].values()))["points"] += 7
    changed = replace(demo_scorer, card=Scorecard.model_validate(card))
    differ = 0
    together = score_many(changed, crm_leads).scores("en", NOW, "top")
    for number, (lead, expected) in enumerate(zip(crm_leads, together, strict=True)):
        one = score_one(changed, lead, number).scores("en", NOW, "top")[0]
        assert_same(one, expected)
        before = score_one(demo_scorer, lead, number).scores("en", NOW, "top")[0]
        assert one.model == before.model
        differ += one.rules.points != before.rules.points
    assert differ


def test_without_a_model_the_rules_answer(demo_scorer: Scorer, crm_leads: list[Lead]) -> None:
    bare = replace(demo_scorer, calibrated_model=None, fallback="no_model")
    score = score_one(bare, crm_leads[0]).scores("en", NOW, "all")[0]
    assert (score.fallback, score.model, score.score) == ("no_model", None, score.rules.score)
    assert score == score_many(bare, crm_leads[:1]).scores("en", NOW, "all")[0]


def test_a_model_that_breaks_leaves_it_to_the_rules(
    demo: Demo, demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    part = replace(demo.model.linear, weights=demo.model.linear.weights[:3])  # does not fit
    judge = replace(demo_scorer.calibrated_model, model=replace(demo.model, linear=part))  # type: ignore[type-var]
    score = score_one(replace(demo_scorer, calibrated_model=judge), crm_leads[0]).scores("en", NOW, "top")[0]
    assert (score.fallback, score.model) == ("model_error", None)
    assert score.score == score.rules.score or score.decided_by in ("trigger", "exclusion")


def test_a_feature_that_the_table_lost_leaves_it_to_the_rules(
    demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    lost = next(n for n in demo_scorer.table.names if n not in demo_scorer.card.features)
    less = replace(demo_scorer, table=demo_scorer.table.without({lost}))
    assert score_one(less, crm_leads[0]).fallback == "model_error"


# -- what a score holds -----------------------------------------------------------------------------


@pytest.mark.parametrize("explain", ["none", "top", "all"])
def test_scores_of_all_are_the_scores_of_each(
    demo_scorer: Scorer, crm_leads: list[Lead], explain: Explain
) -> None:
    answers = score_many(demo_scorer, crm_leads[:60], {"need": False})
    together = answers.scores("ja", NOW, explain, "r-1")
    assert [score.lead_id for score in together] == list(answers.lead_ids)
    for row, expected in enumerate(together):
        assert_same(answers.score(row, "ja", NOW, explain, "r-1"), expected)
        assert (expected.request_id, expected.unknown) == ("r-1", ("need",))


def test_all_reasons_are_every_contribution_and_the_top_ones_lead(
    demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    answers = score_many(demo_scorer, crm_leads[:60])
    assert answers.explanation is not None
    none, top, every = (answers.scores("en", NOW, explain) for explain in ("none", "top", "all"))  # type: ignore[arg-type]
    sums = answers.explanation.contributions.sum(axis=1)
    for row in range(len(answers)):
        reasons, first = every[row].model.reasons, top[row].model.reasons  # type: ignore[union-attr]
        assert none[row].model.reasons is None  # type: ignore[union-attr]
        assert reasons is not None
        assert first == reasons[: len(first or ())]
        assert 0 < len(first or ()) <= 5 < len(reasons)
        assert all(reason.weight for reason in reasons)
        assert sum(reason.weight for reason in reasons) == pytest.approx(sums[row], abs=5e-3)


def test_the_detail_holds_both_sides_in_no_language(demo_scorer: Scorer, crm_leads: list[Lead]) -> None:
    answers = score_many(demo_scorer, crm_leads, {"budget": False})
    english, japanese = (answers.scores(lang, NOW, "top") for lang in ("en", "ja"))  # type: ignore[arg-type]
    assert [s.detail() for s in english] == [s.detail() for s in japanese]
    triggered = [score for score in english if score.rules.triggers and score.action.prompt]
    assert triggered
    detail = json.loads(json.dumps(triggered[0].detail(), allow_nan=False))
    score, model = triggered[0], triggered[0].model
    assert model is not None
    assert model.reasons is not None
    assert detail == {
        "model_reasons": [{"code": r.code, "weight": r.weight, "value": r.value} for r in model.reasons],
        "amount": None,
        "expected_value": None,
        "alike": model.alike,
        "alike_won": model.alike_won,
        "rules_reasons": [{"code": r.code, "weight": r.weight} for r in score.rules.reasons],
        "triggers": [r.code for r in score.rules.triggers],
        "exclusions": [],
        "cautions": list(score.cautions),
        "prompt": score.action.prompt,
        "hand_over": score.hand_over,
        "unknown": ["budget"],
    }


def test_the_detail_tells_what_was_not_explained_from_what_had_no_reason(
    demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    answers = score_one(demo_scorer, crm_leads[0])
    assert answers.scores("en", NOW)[0].detail()["model_reasons"] is None
    explained = answers.scores("en", NOW, "top")[0]
    assert explained.model is not None
    idle = replace(explained, model=replace(explained.model, reasons=()))
    assert idle.detail()["model_reasons"] == []
    bare = replace(explained, model=None).detail()
    assert (bare["model_reasons"], bare["alike"], bare["alike_won"]) == (None, None, None)


def test_a_score_goes_into_json_as_it_is(demo_scorer: Scorer, crm_leads: list[Lead]) -> None:
    score = score_one(demo_scorer, crm_leads[0]).scores("ja", NOW, "all")[0]
    assert json.loads(orjson.dumps(score)) == json.loads(json.dumps(asdict(score)))
