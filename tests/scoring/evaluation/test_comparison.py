"""Model against rules: true on the demo, whose truth is known, and counted by hand elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from features.columns import Bools, Floats, encode_texts
from features.settings import parse_features
from features.table import FeatureTable
from scoring.decision.decision import DECIDERS, TRIGGER
from scoring.decision.scorer import CalibratedModel
from scoring.evaluation.comparison import SIDES, ModelVsRules
from scoring.model.evidence import MODEL, Evidence
from scoring.model.model import sigmoid
from scoring.scorecard.scale import Scale
from scoring.scorecard.scorecard import COLD, HOT, STAGES, WARM, Scorecard
from scoring.statistics.metrics import Estimate
from scoring.statistics.rates import Rate
from tests.conftest import Demo
from tests.helpers.builders import DAY
from tests.helpers.evidence_builder import START, card, draw_outcomes, evidence, flags
from tests.training.fitting.test_behaviour import judged_with_truth

TABLE = FeatureTable(
    parse_features({name: {"kind": "count", "activity": name} for name in ("visit", "quote")})
)
CARD = card({"visit": 10, "quote": 10})


@pytest.fixture(scope="module")
def demo_card(demo: Demo) -> Scorecard:
    return demo.trained.data.card


@pytest.fixture(scope="module")
def comparison(demo: Demo, demo_card: Scorecard) -> ModelVsRules:
    """The demo's comparison."""
    return compare_demo(demo, demo_card, demo.trained.evidence)


def compare_demo(demo: Demo, card: Scorecard, evidence: Evidence) -> ModelVsRules:
    return ModelVsRules.from_evidence(
        evidence, card, CalibratedModel.from_evidence(demo.model, evidence, card).scale
    )


def is_inside(figure: Estimate, true: float) -> bool:
    return figure.low <= true <= figure.high


# -- the truth that the demo knows ----------------------------------------------------------------


def expected_auc(true: Floats, rank: Floats) -> float:
    """The ROC AUC to expect: a pair counts as much as the one is won and the other is not."""
    level = np.unique(rank, return_inverse=True)[1]
    lost = np.bincount(level, 1 - true)
    below = np.cumsum(lost) - lost / 2
    return float(true @ below[level] / (true.sum() * (1 - true).sum()))


def test_expected_auc_is_that_of_the_outcomes_where_these_are_certain() -> None:
    won, new, _ = draw_outcomes(0)
    rank = np.round(new, 1)
    assert expected_auc(won.astype(float), rank) == pytest.approx(roc_auc_score(won, rank))


def test_intervals_cover_the_win_rates_that_are_to_be_expected(demo: Demo, comparison: ModelVsRules) -> None:
    _, _, true = judged_with_truth(demo)
    count = int(comparison.called.sum())
    assert 100 < count < len(true) / 2
    by_model = np.argsort(-comparison.model.probability, kind="stable")[:count]
    model, rules = float(true[by_model].mean()), float(true[comparison.called].mean())
    rates = comparison.differences["win_rate"]
    assert is_inside(rates.new, model)
    assert is_inside(rates.old, rules)
    assert is_inside(rates.difference, model - rules)


def test_intervals_cover_the_roc_auc_that_is_to_be_expected(demo: Demo, comparison: ModelVsRules) -> None:
    _, _, true = judged_with_truth(demo)
    model, rules = (expected_auc(true, r) for r in (comparison.model.probability, comparison.rating.rank))
    auc = comparison.differences["roc_auc"]
    assert is_inside(auc.new, model)
    assert is_inside(auc.old, rules)
    assert is_inside(auc.difference, model - rules)


def test_intervals_of_stages_cover_the_truth(demo: Demo, comparison: ModelVsRules) -> None:
    """Nine of them at 95 %: one may miss."""
    _, _, true = judged_with_truth(demo)
    stages = dict(
        zip(SIDES, (comparison.model.stage, comparison.rating.stage, comparison.decision.stage), strict=True)
    )
    covered = [
        rate.low <= true[stages[side] == code].mean() <= rate.high
        for side, rates in comparison.stages.items()
        for code, rate in enumerate(rates)
        if rate.count
    ]
    assert len(covered) == 9
    assert sum(covered) >= 8


# -- counts add up --------------------------------------------------------------------------------


def test_agreement_stages_and_bands_add_up_to_all_rows(demo: Demo, comparison: ModelVsRules) -> None:
    count, won = len(comparison.evidence), int(comparison.evidence.won.sum())
    assert (comparison.all.count, comparison.all.won) == (count, won)
    tables: list[list[Rate]] = [[rate for row in comparison.agreement for rate in row]]
    tables += [*comparison.stages.values(), *comparison.bands.values()]
    for rates in tables:
        assert (sum(r.count for r in rates), sum(r.won for r in rates)) == (count, won)
    for code in range(len(STAGES)):
        rules, model = comparison.stages["rules"][code], comparison.stages["model"][code]
        assert sum(r.count for r in comparison.agreement[code]) == rules.count
        assert sum(row[code].won for row in comparison.agreement) == model.won


def test_bands_of_forty_and_eighty_are_the_stages(comparison: ModelVsRules) -> None:
    for side in ("model", "rules"):
        bands, stages = comparison.bands[side], comparison.stages[side]
        assert sum(r.count for r in bands[8:]) == stages[HOT].count
        assert sum(r.count for r in bands[4:8]) == stages[WARM].count
        assert sum(r.won for r in bands[:4]) == stages[COLD].won


def test_values_are_counted_on_the_rows(comparison: ModelVsRules) -> None:
    differences, evidence = comparison.differences, comparison.evidence
    assert differences["roc_auc"].new.value == pytest.approx(
        roc_auc_score(evidence.won, evidence.scores[MODEL])
    )
    assert differences["roc_auc"].old.value == pytest.approx(
        roc_auc_score(evidence.won, comparison.rating.rank)
    )
    assert differences["win_rate"].old.value == pytest.approx(comparison.stages["rules"][HOT].value)
    assert comparison.leads == (len(set(evidence.lead)), len(set(evidence.lead[evidence.won])))


def test_demo_segments_and_months_are_parts_of_all(comparison: ModelVsRules) -> None:
    assert {part.name for part in comparison.segments} == {"channel", "trade", "campaign", "keyword"}
    channel = [p for p in comparison.segments if p.name == "channel"]
    assert [p.all.count for p in channel] == sorted((p.all.count for p in channel), reverse=True)
    assert sum(part.all.count for part in comparison.months) <= len(comparison.evidence)
    assert [p.value for p in comparison.months] == sorted(p.value for p in comparison.months)


# -- the evidence alone ----------------------------------------------------------------------------


def test_all_of_it_comes_from_the_saved_evidence(
    demo: Demo, demo_card: Scorecard, comparison: ModelVsRules, tmp_path: Path
) -> None:
    comparison.evidence.save(tmp_path / "evidence.parquet")
    reloaded = compare_demo(demo, demo_card, Evidence.load(tmp_path / "evidence.parquet"))
    for lang in ("en", "ja"):
        assert reloaded.to_dict(demo.model.table, lang) == comparison.to_dict(demo.model.table, lang)  # type: ignore[arg-type]


def test_json_holds_all_of_it_and_no_nan(demo: Demo, comparison: ModelVsRules) -> None:
    plain = comparison.to_dict(demo.model.table, "ja")
    read = json.loads(json.dumps(plain, ensure_ascii=False, allow_nan=False))
    assert read == plain
    assert set(read) == {
        "leads",
        "won_leads",
        "all",
        "better",
        "is_scorecard",
        "volume",
        "differences",
        "stages",
        "agreement",
        "bands",
        "segments",
        "segment_quality",
        "months",
        "disputes",
    }
    assert read["volume"] == int(comparison.called.sum())


# -- disputes --------------------------------------------------------------------------------------


def test_disputes_are_the_widest_each_lead_once(comparison: ModelVsRules) -> None:
    apart = np.abs(comparison.model.score - comparison.rating.score)
    shown = [abs(d.model_score - d.rules_score) for d in comparison.disputes]
    widest = [apart[comparison.evidence.lead == lead].max() for lead in set(comparison.evidence.lead)]
    assert shown == sorted(widest, reverse=True)[:20]
    assert len({d.lead for d in comparison.disputes}) == len(shown) == 20
    for d in comparison.disputes:
        assert apart[comparison.evidence.lead == d.lead].max() == abs(d.model_score - d.rules_score)
        assert comparison.evidence.lead[d.row] == d.lead
        assert comparison.evidence.moment[d.row] == d.moment
        assert comparison.evidence.won[d.row] == d.won
        assert comparison.model.probability[d.row] == d.probability


def test_reasons_of_the_model_say_nothing_that_the_evidence_does_not(
    demo: Demo, comparison: ModelVsRules
) -> None:
    for d in comparison.disputes:
        reasons = comparison.model_reasons(d.row, demo.model.table, "en")
        assert 0 < len(reasons) <= 5
        for reason in reasons:
            weight = float(comparison.evidence.reasons[reason.code][d.row])
            assert reason.weight == pytest.approx(weight, abs=1e-4)
            one = comparison.evidence.take(np.array([d.row]))
            single_row_reasons = replace(comparison, evidence=one).model_reasons(0, demo.model.table, "en")
            assert reason in single_row_reasons


def test_reasons_and_prior_add_up_to_the_models_score(comparison: ModelVsRules) -> None:
    """Each row's reasons less its score are one and the same number: the average lead."""
    rows = [d.row for d in comparison.disputes]
    weights = np.column_stack([column[rows] for column in comparison.evidence.reasons.values()])
    prior = comparison.evidence.scores[MODEL][rows] - weights.astype(float).sum(axis=1)
    np.testing.assert_allclose(prior, prior[0], atol=1e-4)


def test_reasons_of_the_rules_are_what_fired(comparison: ModelVsRules) -> None:
    for d in comparison.disputes:
        reasons = comparison.rules_reasons(d.row, "ja")
        rows = [r for r in reasons if r.weight]
        assert bool(reasons) or d.rules_score == 0
        points = sum(r.weight for r in rows)
        if not comparison.rating.excluded[d.row] and points < 30:  # below every cap
            assert points == comparison.rating.points[d.row]


def test_reasons_that_were_not_kept_are_not_made_up(demo: Demo, comparison: ModelVsRules) -> None:
    row = comparison.disputes[0].row
    reasons = {name: column.copy() for name, column in comparison.evidence.reasons.items()}
    next(iter(reasons.values()))[row] = np.nan
    bare = replace(comparison, evidence=replace(comparison.evidence, reasons=reasons))
    assert bare.model_reasons(row, demo.model.table, "en") == []
    none = replace(comparison, evidence=replace(comparison.evidence, reasons={}))
    assert none.model_reasons(row, demo.model.table, "en") == []


# -- by hand ---------------------------------------------------------------------------------------


def compare_small(won: Bools | list[bool], score: Floats | list[float], **options: Any) -> ModelVsRules:
    """A comparison under CARD: hot from 20 points on, and from probability 0.5 on."""
    sample = evidence(won, scores={MODEL: np.array(score, dtype=float)}, **options)
    return ModelVsRules.from_evidence(sample, CARD, Scale(0.25, 0.5, 1.0))


def test_stages_and_agreement_by_hand() -> None:
    result = compare_small(
        [True, True, False, False, True, False],
        [3, 3, 3, -3, -3, -0.5],
        features=flags(visit=[1, 1, 0, 1, 1, 0], quote=[1, 0, 0, 1, 0, 0]),
    )
    assert [[(c.won, c.count) for c in row] for row in result.agreement] == [
        [(0, 0), (0, 1), (0, 1)],
        [(1, 1), (0, 0), (1, 1)],
        [(0, 1), (0, 0), (1, 1)],
    ]
    assert [(r.won, r.count) for r in result.stages["model"]] == [(1, 2), (0, 1), (2, 3)]
    assert [(r.won, r.count) for r in result.stages["rules"]] == [(0, 2), (2, 2), (1, 2)]
    assert result.stages["decision"] == result.stages["model"]  # no trigger, no exclusion
    assert result.differences["win_rate"].old.value == pytest.approx(1 / 2)


def test_decision_is_a_side_of_its_own() -> None:
    won, score = [True, False, False], np.array([-3.0, 3.0, -3.0])
    features = flags(visit=[1, 0, 0], rival=[0, 1, 0])
    rules = card({"visit": 20}, triggers=["visit"], exclusions=["rival"])
    result = ModelVsRules.from_evidence(
        evidence(won, features, scores={MODEL: score}), rules, Scale(0.25, 0.5, 1.0)
    )
    assert [(r.won, r.count) for r in result.stages["decision"]] == [(0, 2), (0, 0), (1, 1)]
    assert result.decision.decided_by[0] == DECIDERS.index("trigger") == TRIGGER


def compare_segments(**options: Any) -> tuple[ModelVsRules, Bools, Floats, np.ndarray]:
    """240 rows in values of 120, 70, 49 and 1, and 60 of nobody's."""
    won, score, _ = draw_outcomes(1, 300)
    value = np.array(["ads"] * 120 + ["fair"] * 70 + ["mail"] * 49 + ["web"] + [""] * 60)
    segment = {"channel": encode_texts([v or None for v in value])}
    rng = np.random.default_rng(1)
    features = flags(visit=rng.integers(0, 2, 300), quote=rng.integers(0, 2, 300))
    return compare_small(won, score, features=features, segments=segment, **options), won, score, value


def test_segments_by_hand() -> None:
    """Values of fewer than 50 rows are left out, and so are rows without a value."""
    result, won, score, value = compare_segments()
    assert [(p.name, p.value, p.all.count) for p in result.segments] == [
        ("channel", "ads", 120),
        ("channel", "fair", 70),
    ]
    for part in result.segments:
        in_segment, differences = value == part.value, part.differences
        assert part.all.won == won[in_segment].sum()
        assert differences["roc_auc"].new.value == pytest.approx(
            roc_auc_score(won[in_segment], score[in_segment])
        )
        called = np.flatnonzero(in_segment & result.called)
        top = np.flatnonzero(in_segment)[np.argsort(-score[in_segment])][: len(called)]
        assert differences["win_rate"].new.value == pytest.approx(won[top].mean())
        assert differences["win_rate"].old.value == pytest.approx(won[called].mean())


def test_segment_without_a_win_is_left_out() -> None:
    result, won, _, value = compare_segments()
    none = replace(result, evidence=replace(result.evidence, won=won & (value != "fair")))
    assert [p.value for p in none.segments] == ["ads"]


def test_months_by_hand() -> None:
    """300 days from Monday, 5 January 2026; the row of a month's last day belongs to it."""
    result, won, _, _ = compare_segments()
    assert result.months == []  # no month has 50 rows
    close = START + DAY // 4 * np.arange(300)
    result, won, _, _ = compare_segments(moment=close)
    assert [(p.value, p.all.count) for p in result.months] == [
        ("2026-01", 108),
        ("2026-02", 112),
        ("2026-03", 80),
    ]
    assert result.months[1].all.won == won[108:220].sum()
    assert {p.name for p in result.months} == {"month"}


def test_undated_moments_have_no_months() -> None:
    result, _, _, _ = compare_segments(moment=np.arange(300), dated=False)
    assert result.months == []
    assert len(result.segments) == 2
    json.dumps(result.to_dict(TABLE, "en"), allow_nan=False)


def test_where_the_rules_call_nobody_a_tenth_is_compared() -> None:
    won, score, _ = draw_outcomes(2)
    result = compare_small(won, score, features=flags(visit=[0] * 400, quote=[0] * 400))
    plain = result.to_dict(TABLE, "en")
    assert plain["volume"] == 40
    top = np.argsort(-score)[:40]
    assert result.differences["win_rate"].new.value == pytest.approx(won[top].mean())
    assert result.differences["win_rate"].old.value == pytest.approx(won.mean())
    assert plain["stages"]["rules"][HOT] == {
        "count": 0,
        "won": 0,
        **dict.fromkeys(("value", "low", "high", "lift", "lift_low", "lift_high")),
    }
    json.dumps(plain, allow_nan=False)


def test_better_is_told_only_beyond_doubt() -> None:
    won, score, guess = draw_outcomes(3, 1_000, signal=2)
    features = flags(visit=(guess > 0).astype(int), quote=(guess > 0).astype(int))
    assert compare_small(won, score, features=features).to_dict(TABLE, "en")["better"] == "new"
    assert compare_small(won, -score, features=features).to_dict(TABLE, "en")["better"] == "old"
    same = compare_small(won, (guess > 0) + 0.0, features=features)
    assert same.to_dict(TABLE, "en")["better"] == "open"


def test_dispute_by_hand_with_the_reasons_of_both_sides() -> None:
    """The lead is shown at its second moment, where the sides lie furthest apart."""
    result = compare_small(
        [True, True, False],
        [0.5, 4, 0.1],
        lead=["a", "a", "b"],
        features=flags(visit=[1, 0, 1], quote=[1, 0, 0]),
        reasons={"visit": np.array([0.1, 0.7, 0]), "quote": np.array([0.2, -0.9, 0.001])},
    )
    first, second = result.disputes
    assert (first.lead, first.row, first.model_stage, first.rules_stage) == ("a", 1, HOT, COLD)
    assert first.probability == pytest.approx(float(sigmoid(np.array(4.0))))
    assert (second.lead, second.row) == ("b", 2)
    model = result.model_reasons(1, TABLE, "en")
    assert [(r.code, r.weight) for r in model] == [("quote", -0.9), ("visit", 0.7)]
    assert model[0].text == f"{TABLE.label('quote', 'en')}: 0"
    assert result.model_reasons(2, TABLE, "en") == []  # next to nothing is no reason
    assert result.rules_reasons(1, "en") == []
    assert [(r.code, r.text, r.weight) for r in result.rules_reasons(0, "ja")] == [
        ("visit", "来店が該当", 10),
        ("quote", "見積が該当", 10),
    ]


def test_reasons_of_the_rules_tell_exclusions_and_triggers_first() -> None:
    rules = card({"visit": 20}, triggers=["quote"], exclusions=["rival"])
    sample = evidence([False], flags(visit=[1], quote=[1], rival=[1]))
    result = ModelVsRules.from_evidence(sample, rules, Scale(0.25, 0.5, 1.0))
    assert [r.code for r in result.rules_reasons(0, "en")] == ["rival", "quote", "visit"]
