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
from features.columns import Column, Texts, texts
from features.crm.load import Loaded
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from features.table import FeatureTable
from scoring.decision.overrides import VERDICTS, Override
from scoring.decision.score import BANT, Explain, Score
from scoring.decision.scorer import Answers, Scorer
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
    columns = {name: plain(column) for name, column in demo_scorer.table.many(view).items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def plain(column: Column) -> list[Any]:
    return column.plain() if isinstance(column, Texts) else column.tolist()


def many(
    scorer: Scorer,
    leads: Sequence[Lead],
    known: dict[str, bool] | None = None,
    said: Override | None = None,
) -> Answers:
    """The leads scored together; what is known and said holds for each of them."""
    columns = {
        name: texts([lead[name] for lead in leads])  # type: ignore[misc]
        if name in scorer.table.texts
        else np.array([lead[name] for lead in leads], dtype=np.float64)
        for name in scorer.table.names
    }
    ids = [f"L{i}" for i in range(len(leads))]
    flags = {role: np.full(len(leads), told) for role, told in (known or {}).items()}
    return scorer.answers(ids, columns, AS_OF, flags, said and dict.fromkeys(ids, said))


def alone(
    scorer: Scorer,
    lead: Lead,
    number: int = 0,
    known: dict[str, bool] | None = None,
    said: Override | None = None,
) -> Answers:
    values = [lead[name] for name in scorer.table.names]
    return scorer.one(f"L{number}", values, AS_OF, known or {}, said)


def assert_same(one: Score, among: Score) -> None:
    """Equal, but for the last digits of the probability."""
    if one.model is None or among.model is None:
        assert one == among
        return
    assert one.model.probability == pytest.approx(among.model.probability, abs=1e-12)
    same = replace(one.model, probability=among.model.probability)
    assert replace(one, model=same) == among


def test_every_lead_of_a_crm_scores_alone_as_among_all(demo_scorer: Scorer, crm_leads: list[Lead]) -> None:
    together = many(demo_scorer, crm_leads).scores("en", NOW, "all")
    assert {score.stage for score in together} == {"cold", "warm", "hot"}
    for number, (lead, among) in enumerate(zip(crm_leads, together, strict=True)):
        told = alone(demo_scorer, lead, number)
        assert_same(told.scores("en", NOW, "all")[0], among)


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
        st.lists(st.tuples(numbers, words), min_size=1, max_size=9),
        st.integers(0, 2**32),
        flags,
        overrides,
    )
    def check(
        told: list[tuple[float, str | None]],
        seed: int,
        known: dict[str, bool],
        said: Override | None,
    ) -> None:
        rng = np.random.default_rng(seed)
        leads: list[Lead] = [
            {name: told[rng.integers(len(told))][name in table.texts] for name in table.names}
            for _ in range(3)
        ]
        together = many(demo_scorer, leads, known, said).scores("ja", NOW, "top")
        for number, among in enumerate(together):
            one = alone(demo_scorer, leads[number], number, known, said)
            assert_same(one.scores("ja", NOW, "top")[0], among)

    check()


def test_the_table_may_hold_more_than_the_model_and_in_another_order(
    demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    rows = dict(reversed(demo_scorer.table.rows.items()))
    more = {"more": rows["age"], **rows}
    other = replace(demo_scorer, table=FeatureTable(more, demo_scorer.table.vocabulary))
    for number, lead in enumerate(crm_leads[:20]):
        told = alone(other, {"more": 5.0, **lead}, number)
        assert_same(
            told.scores("en", NOW, "top")[0],
            alone(demo_scorer, lead, number).scores("en", NOW, "top")[0],
        )


def test_a_card_that_changed_since_the_training_rates_by_itself(
    demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    """The model goes on looking at the points of its own card."""
    told = demo_scorer.card.plain()
    next(iter(told["intent"]["rows"].values()))["points"] += 7
    changed = replace(demo_scorer, card=Scorecard.model_validate(told))
    differ = 0
    together = many(changed, crm_leads).scores("en", NOW, "top")
    for number, (lead, among) in enumerate(zip(crm_leads, together, strict=True)):
        one = alone(changed, lead, number).scores("en", NOW, "top")[0]
        assert_same(one, among)
        before = alone(demo_scorer, lead, number).scores("en", NOW, "top")[0]
        assert one.model == before.model
        differ += one.rules.points != before.rules.points
    assert differ


def test_without_a_model_the_rules_answer(demo_scorer: Scorer, crm_leads: list[Lead]) -> None:
    bare = replace(demo_scorer, judge=None, fallback="no_model")
    score = alone(bare, crm_leads[0]).scores("en", NOW, "all")[0]
    assert (score.fallback, score.model, score.score) == ("no_model", None, score.rules.score)
    assert score == many(bare, crm_leads[:1]).scores("en", NOW, "all")[0]


def test_a_model_that_breaks_leaves_it_to_the_rules(
    demo: Demo, demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    part = replace(demo.model.linear, weights=demo.model.linear.weights[:3])  # does not fit
    judge = replace(demo_scorer.judge, model=replace(demo.model, linear=part))  # type: ignore[type-var]
    score = alone(replace(demo_scorer, judge=judge), crm_leads[0]).scores("en", NOW, "top")[0]
    assert (score.fallback, score.model) == ("model_error", None)
    assert score.score == score.rules.score or score.decided_by in ("trigger", "exclusion")


def test_a_feature_that_the_table_lost_leaves_it_to_the_rules(
    demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    lost = next(n for n in demo_scorer.table.names if n not in demo_scorer.card.features)
    less = replace(demo_scorer, table=demo_scorer.table.without({lost}))
    assert alone(less, crm_leads[0]).fallback == "model_error"


# -- what a score holds -----------------------------------------------------------------------------


@pytest.mark.parametrize("explain", ["none", "top", "all"])
def test_scores_of_all_are_the_scores_of_each(
    demo_scorer: Scorer, crm_leads: list[Lead], explain: Explain
) -> None:
    told = many(demo_scorer, crm_leads[:60], {"need": False})
    together = told.scores("ja", NOW, explain, "r-1")
    assert [score.lead_id for score in together] == list(told.lead_ids)
    for row, among in enumerate(together):
        assert_same(told.score(row, "ja", NOW, explain, "r-1"), among)
        assert (among.request_id, among.unknown) == ("r-1", ("need",))


def test_all_reasons_are_every_contribution_and_the_top_ones_lead(
    demo_scorer: Scorer, crm_leads: list[Lead]
) -> None:
    told = many(demo_scorer, crm_leads[:60])
    assert told.explanation is not None
    none, top, every = (told.scores("en", NOW, explain) for explain in ("none", "top", "all"))  # type: ignore[arg-type]
    sums = told.explanation.contributions.sum(axis=1)
    for row in range(len(told)):
        reasons, first = every[row].model.reasons, top[row].model.reasons  # type: ignore[union-attr]
        assert none[row].model.reasons is None  # type: ignore[union-attr]
        assert reasons is not None
        assert first == reasons[: len(first or ())]
        assert 0 < len(first or ()) <= 5 < len(reasons)
        assert all(reason.weight for reason in reasons)
        assert sum(reason.weight for reason in reasons) == pytest.approx(sums[row], abs=5e-3)


def test_the_detail_holds_both_sides_in_no_language(demo_scorer: Scorer, crm_leads: list[Lead]) -> None:
    told = many(demo_scorer, crm_leads, {"budget": False})
    english, japanese = (told.scores(lang, NOW, "top") for lang in ("en", "ja"))  # type: ignore[arg-type]
    assert [s.detail() for s in english] == [s.detail() for s in japanese]
    held = [score for score in english if score.rules.triggers and score.action.prompt]
    assert held
    detail = json.loads(json.dumps(held[0].detail(), allow_nan=False))
    score, model = held[0], held[0].model
    assert model is not None
    assert model.reasons is not None
    assert detail == {
        "model_reasons": [{"code": r.code, "weight": r.weight, "value": r.value} for r in model.reasons],
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
    told = alone(demo_scorer, crm_leads[0])
    assert told.scores("en", NOW)[0].detail()["model_reasons"] is None
    explained = told.scores("en", NOW, "top")[0]
    assert explained.model is not None
    idle = replace(explained, model=replace(explained.model, reasons=()))
    assert idle.detail()["model_reasons"] == []
    bare = replace(explained, model=None).detail()
    assert (bare["model_reasons"], bare["alike"], bare["alike_won"]) == (None, None, None)


def test_a_score_goes_into_json_as_it_is(demo_scorer: Scorer, crm_leads: list[Lead]) -> None:
    score = alone(demo_scorer, crm_leads[0]).scores("ja", NOW, "all")[0]
    assert json.loads(orjson.dumps(score)) == json.loads(json.dumps(asdict(score)))
