"""The one way of scoring: one lead and many alike, and all that a Score holds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from features.clock import MS_PER_DAY, iso
from features.columns import Texts
from features.crm.load import Loaded
from features.errors import SettingsError
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from scoring.decision.overrides import Override
from scoring.decision.sales_status import SalesStatus
from scoring.decision.scorer import BatchScores, CalibratedModel, Scorer
from scoring.model.calibrated_model import count_leads_by_band
from scoring.model.evidence import Evidence
from scoring.model.model import Model, sigmoid
from scoring.model.thresholds import find_thresholds
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Policy
from tests.conftest import Demo

NOW = 1_790_000_000_000


@pytest.fixture(scope="module")
def leads(demo_loaded: Loaded) -> np.ndarray:
    return open_leads(demo_loaded.crm, demo_loaded.crm.snapshot)[:1_500]


def answers(
    scorer: Scorer, loaded: Loaded, leads: np.ndarray, overrides: dict[str, Override] | None = None
) -> BatchScores:
    crm = loaded.crm
    view = ManyLeads(Histories(crm), leads, np.full(len(leads), crm.snapshot))
    known_masks = {"budget": ~np.equal(view.text("budget").codes, -1)}
    ids = crm.lead_ids[leads].tolist()
    return scorer.score_batch(ids, scorer.table.compute_many(view), crm.snapshot, known_masks, overrides)


def test_a_lead_alone_scores_as_among_many(
    demo_scorer: Scorer, demo_loaded: Loaded, leads: np.ndarray
) -> None:
    many = answers(demo_scorer, demo_loaded, leads)
    for row in (0, 3, 700, 1_499):
        one = answers(demo_scorer, demo_loaded, leads[row : row + 1]).score(0, "ja", NOW).to_dict()
        batch_score = many.score(row, "ja", NOW).to_dict()
        for name in ("probability", "days_to_win"):
            assert one["model"].pop(name) == pytest.approx(batch_score["model"].pop(name), abs=1e-9)
        assert one == batch_score


def test_a_score_holds_both_sides_and_the_decision(
    demo_scorer: Scorer, demo_loaded: Loaded, leads: np.ndarray
) -> None:
    results = answers(demo_scorer, demo_loaded, leads)
    hot = int(np.flatnonzero(results.decision.stage == 2)[0])
    score = results.score(hot, "en", NOW, request_id="r-1")
    assert score.lead_id == demo_loaded.crm.lead_ids[leads[hot]]
    assert score.stage == "hot"
    assert score.score >= 80
    assert score.hand_over == "mql"
    assert score.fallback is None
    assert score.model is not None
    assert score.model.version == demo_scorer.calibrated_model.model.version  # type: ignore[union-attr]
    assert 0 <= score.model.alike_won <= score.model.alike
    assert score.rules.points == score.rules.fit + score.rules.intent
    assert score.rules.version == demo_scorer.card.version
    assert score.action.kind == "call"
    assert score.action.deadline is not None
    assert (score.as_of, score.scored_at) == (iso(demo_loaded.crm.snapshot), iso(NOW))
    assert score.request_id == "r-1"
    json.dumps(score.to_dict(), allow_nan=False)


def test_an_open_lead_has_the_days_of_the_model(
    demo: Demo, demo_scorer: Scorer, demo_loaded: Loaded, leads: np.ndarray
) -> None:
    results = answers(demo_scorer, demo_loaded, leads)
    assert results.encoded is not None
    assert demo.model.time_to_win is not None
    expected = demo.model.time_to_win.quantiles(results.encoded.matrix)
    excluded = results.rating.excluded
    assert 0 < excluded.sum() < len(excluded)
    for row, score in enumerate(results.scores("en", NOW)):
        assert score.model is not None
        days = score.model.days_to_win
        assert (days is None) == excluded[row]
        if days is not None:
            assert (days.median, days.p80) == tuple(expected[row])
            assert score.detail()["days_to_win"] == {"median": days.median, "p80": days.p80}


def test_a_closed_lead_has_no_days_to_its_win(
    demo_scorer: Scorer, demo_loaded: Loaded, leads: np.ndarray
) -> None:
    plain = answers(demo_scorer, demo_loaded, leads)
    rows = np.flatnonzero(~plain.rating.excluded)[:3]
    statuses = [SalesStatus("lost", NOW), SalesStatus(contacted_at=NOW), None]
    subset = plain.take_row(int(rows[0]))
    days = [replace(subset, sales_statuses=[status]).scores("en", NOW)[0].model for status in statuses]
    assert [model is not None and model.days_to_win is None for model in days] == [True, False, False]


def test_a_model_without_times_gives_none(
    demo: Demo, demo_scorer: Scorer, demo_loaded: Loaded, leads: np.ndarray
) -> None:
    judge = replace(demo_scorer.calibrated_model, model=replace(demo.model, time_to_win=None))  # type: ignore[type-var]
    score = answers(replace(demo_scorer, calibrated_model=judge), demo_loaded, leads[:9]).score(0, "en", NOW)
    assert score.model is not None
    assert score.model.days_to_win is None
    assert score.detail()["days_to_win"] is None


def test_points_of_the_reasons_add_up_to_the_points(
    demo_scorer: Scorer, demo_loaded: Loaded, leads: np.ndarray
) -> None:
    results = answers(demo_scorer, demo_loaded, leads)
    intent_group = demo_scorer.card.intent
    assert intent_group is not None
    for row in range(200):
        rules = results.rules_answer(row, "en")
        if rules.fit < 30 and rules.intent < 80:  # no cap
            assert sum(reason.weight for reason in rules.reasons) == rules.points


def test_unknown_names_what_nobody_answered(
    demo_scorer: Scorer, demo_loaded: Loaded, leads: np.ndarray
) -> None:
    results = answers(demo_scorer, demo_loaded, leads)
    unanswered = int(np.flatnonzero(~results.answered_roles["budget"])[0])
    assert results.score(unanswered, "en", NOW).unknown == ("budget",)
    answered = int(np.flatnonzero(results.answered_roles["budget"])[0])
    assert results.score(answered, "en", NOW).unknown == ()


def test_a_person_decides_over_model_and_triggers(
    demo_scorer: Scorer, demo_loaded: Loaded, leads: np.ndarray
) -> None:
    plain = answers(demo_scorer, demo_loaded, leads)
    hot = int(np.flatnonzero(plain.rating.triggered & (plain.decision.stage == 2))[0])
    lead = plain.lead_ids[hot]
    override = Override(lead, "sent_back", "no budget this year", "sato", NOW - MS_PER_DAY)
    score = answers(demo_scorer, demo_loaded, leads, {lead: override}).score(hot, "en", NOW)
    assert (score.stage, score.decided_by, score.hand_over) == ("warm", "person", None)
    assert score.person is not None
    assert (score.person.verdict, score.person.reason) == ("sent_back", "no budget this year")


def test_a_model_that_breaks_leaves_it_to_the_rules(
    demo: Demo, demo_scorer: Scorer, demo_loaded: Loaded, leads: np.ndarray
) -> None:
    part = replace(demo.model.linear, weights=demo.model.linear.weights[:3])  # does not fit
    judge = replace(demo_scorer.calibrated_model, model=replace(demo.model, linear=part))  # type: ignore[type-var]
    results = answers(replace(demo_scorer, calibrated_model=judge), demo_loaded, leads)
    score = results.score(0, "en", NOW)
    assert score.fallback == "model_error"
    assert score.model is None
    assert score.decided_by != "model"
    np.testing.assert_array_equal(results.decision.score, results.rating.score)


def test_thresholds_follow_the_card(demo: Demo) -> None:
    """As many hot leads as the rules have; a card with a lower threshold makes more of both."""
    evidence, card = demo.trained.evidence, demo.model.card
    lower = card.model_copy(update={"bands": card.bands.model_copy(update={"hot": 30})})
    shares = []
    for one in (card, lower):
        judge = CalibratedModel.from_evidence(demo.model, evidence, one)
        hot = (sigmoid(evidence.served) >= judge.scale.hot).mean()
        assert hot == pytest.approx((rate(one, evidence.features).stage == 2).mean(), abs=1e-3)
        shares.append(hot)
    assert shares[1] > shares[0]


def test_calls_per_week_need_dates(demo: Demo) -> None:
    evidence = demo.trained.evidence
    policy = Policy(policy="calls_per_week", warm=40, hot=10)
    rating = rate(demo.model.card, evidence.features)
    scale = find_thresholds(policy, evidence, rating, demo.model.about)
    assert 0 < scale.warm < scale.hot < 1
    with pytest.raises(SettingsError, match="dates"):
        find_thresholds(policy, evidence, rating, {})


def test_a_lead_counts_once_in_a_stretch() -> None:
    lead = np.array(["a", "a", "a", "b", "b"], dtype=object)
    won = np.array([False, True, False, False, False])
    empty = np.zeros(5)
    evidence = Evidence(
        lead=lead,
        group=np.arange(5, dtype=np.int32),
        moment=np.arange(5),
        landmark=empty.astype(np.float32),
        won=won,
        amount=empty,
        scores={},
        features={},
        segments={},
    )
    leads, wins = count_leads_by_band(evidence, np.array([0, 0, 13, 13, 13]))
    assert leads.tolist() == [1, *[0] * 12, 2]
    assert wins.tolist() == [1, *[0] * 13]


def test_leads_scored_alike_win_more_often_the_likelier(demo_scorer: Scorer) -> None:
    judge = demo_scorer.calibrated_model
    assert judge is not None
    leads, won = judge.similar_leads(np.array([0.0, float(judge.scale.warm), 0.999]))
    assert (leads > 0).all()
    assert won[0] / leads[0] < won[1] / leads[1] < won[2] / leads[2]


def test_columns_may_hold_more_than_the_model_needs(demo: Demo, demo_loaded: Loaded) -> None:
    assert set(demo.model.table.names) <= set(demo_loaded.settings.table.names)
    assert isinstance(demo.model, Model)
    column = demo.trained.data.columns["channel"]
    assert isinstance(column, Texts)
