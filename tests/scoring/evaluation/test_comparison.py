"""Model against rules: true on the demo, whose truth is known, and counted by hand elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from features.columns import Bools, Floats, texts
from features.settings import parse_features
from features.table import FeatureTable
from scoring.decision.decision import DECIDERS, TRIGGER
from scoring.decision.scorer import Judge
from scoring.evaluation.comparison import SIDES, Compared
from scoring.model.evidence import MODEL, Evidence
from scoring.model.model import sigmoid
from scoring.scorecard.scale import Scale
from scoring.scorecard.scorecard import COLD, HOT, STAGES, WARM, Scorecard
from scoring.statistics.metrics import Figure
from scoring.statistics.rates import Rate
from tests.conftest import Demo
from tests.helpers.builders import DAY
from tests.helpers.evidence_builder import START, card, drawn, evidence, flags
from tests.training.fitting.test_behaviour import judged_with_truth

TABLE = FeatureTable(
    parse_features({name: {"kind": "count", "activity": name} for name in ("visit", "quote")})
)
CARD = card({"visit": 10, "quote": 10})


@pytest.fixture(scope="module")
def demo_card(demo: Demo) -> Scorecard:
    return demo.trained.data.card


@pytest.fixture(scope="module")
def told(demo: Demo, demo_card: Scorecard) -> Compared:
    """The demo's comparison."""
    return compared(demo, demo_card, demo.trained.evidence)


def compared(demo: Demo, card: Scorecard, evidence: Evidence) -> Compared:
    return Compared.of(evidence, card, Judge.of(demo.model, evidence, card).scale)


def inside(figure: Figure, true: float) -> bool:
    return figure.low <= true <= figure.high


# -- the truth that the demo knows ----------------------------------------------------------------


def expected_auc(true: Floats, rank: Floats) -> float:
    """The ROC AUC to expect: a pair counts as much as the one is won and the other is not."""
    level = np.unique(rank, return_inverse=True)[1]
    lost = np.bincount(level, 1 - true)
    below = np.cumsum(lost) - lost / 2
    return float(true @ below[level] / (true.sum() * (1 - true).sum()))


def test_expected_auc_is_that_of_the_outcomes_where_these_are_certain() -> None:
    won, new, _ = drawn(0)
    rank = np.round(new, 1)
    assert expected_auc(won.astype(float), rank) == pytest.approx(roc_auc_score(won, rank))


def test_intervals_cover_the_win_rates_that_are_to_be_expected(demo: Demo, told: Compared) -> None:
    _, _, true = judged_with_truth(demo)
    count = int(told.called.sum())
    assert 100 < count < len(true) / 2
    by_model = np.argsort(-told.model.probability, kind="stable")[:count]
    model, rules = float(true[by_model].mean()), float(true[told.called].mean())
    rates = told.differences["win_rate"]
    assert inside(rates.new, model)
    assert inside(rates.old, rules)
    assert inside(rates.difference, model - rules)


def test_intervals_cover_the_roc_auc_that_is_to_be_expected(demo: Demo, told: Compared) -> None:
    _, _, true = judged_with_truth(demo)
    model, rules = (expected_auc(true, r) for r in (told.model.probability, told.rating.rank))
    auc = told.differences["roc_auc"]
    assert inside(auc.new, model)
    assert inside(auc.old, rules)
    assert inside(auc.difference, model - rules)


def test_intervals_of_stages_cover_the_truth(demo: Demo, told: Compared) -> None:
    """Nine of them at 95 %: one may miss."""
    _, _, true = judged_with_truth(demo)
    stages = dict(zip(SIDES, (told.model.stage, told.rating.stage, told.decision.stage), strict=True))
    covered = [
        rate.low <= true[stages[side] == code].mean() <= rate.high
        for side, rates in told.stages.items()
        for code, rate in enumerate(rates)
        if rate.count
    ]
    assert len(covered) == 9
    assert sum(covered) >= 8


# -- counts add up --------------------------------------------------------------------------------


def test_agreement_stages_and_bands_add_up_to_all_rows(demo: Demo, told: Compared) -> None:
    count, won = len(told.evidence), int(told.evidence.won.sum())
    assert (told.all.count, told.all.won) == (count, won)
    tables: list[list[Rate]] = [[rate for row in told.agreement for rate in row]]
    tables += [*told.stages.values(), *told.bands.values()]
    for rates in tables:
        assert (sum(r.count for r in rates), sum(r.won for r in rates)) == (count, won)
    for code in range(len(STAGES)):
        rules, model = told.stages["rules"][code], told.stages["model"][code]
        assert sum(r.count for r in told.agreement[code]) == rules.count
        assert sum(row[code].won for row in told.agreement) == model.won


def test_bands_of_forty_and_eighty_are_the_stages(told: Compared) -> None:
    for side in ("model", "rules"):
        bands, stages = told.bands[side], told.stages[side]
        assert sum(r.count for r in bands[8:]) == stages[HOT].count
        assert sum(r.count for r in bands[4:8]) == stages[WARM].count
        assert sum(r.won for r in bands[:4]) == stages[COLD].won


def test_values_are_counted_on_the_rows(told: Compared) -> None:
    at, evidence = told.differences, told.evidence
    assert at["roc_auc"].new.value == pytest.approx(roc_auc_score(evidence.won, evidence.scores[MODEL]))
    assert at["roc_auc"].old.value == pytest.approx(roc_auc_score(evidence.won, told.rating.rank))
    assert at["win_rate"].old.value == pytest.approx(told.stages["rules"][HOT].value)
    assert told.leads == (len(set(evidence.lead)), len(set(evidence.lead[evidence.won])))


def test_demo_segments_and_months_are_parts_of_all(told: Compared) -> None:
    assert {part.name for part in told.segments} == {"channel", "trade", "campaign", "keyword"}
    channel = [p for p in told.segments if p.name == "channel"]
    assert [p.all.count for p in channel] == sorted((p.all.count for p in channel), reverse=True)
    assert sum(part.all.count for part in told.months) <= len(told.evidence)
    assert [p.value for p in told.months] == sorted(p.value for p in told.months)


# -- the evidence alone ----------------------------------------------------------------------------


def test_all_of_it_comes_from_the_saved_evidence(
    demo: Demo, demo_card: Scorecard, told: Compared, tmp_path: Path
) -> None:
    told.evidence.save(tmp_path / "evidence.parquet")
    again = compared(demo, demo_card, Evidence.load(tmp_path / "evidence.parquet"))
    for lang in ("en", "ja"):
        assert again.plain(demo.model.table, lang) == told.plain(demo.model.table, lang)  # type: ignore[arg-type]


def test_json_holds_all_of_it_and_no_nan(demo: Demo, told: Compared) -> None:
    plain = told.plain(demo.model.table, "ja")
    read = json.loads(json.dumps(plain, ensure_ascii=False, allow_nan=False))
    assert read == plain
    assert set(read) == {
        "leads",
        "won_leads",
        "all",
        "better",
        "volume",
        "differences",
        "stages",
        "agreement",
        "bands",
        "segments",
        "months",
        "disputes",
    }
    assert read["volume"] == int(told.called.sum())


# -- disputes --------------------------------------------------------------------------------------


def test_disputes_are_the_widest_each_lead_once(told: Compared) -> None:
    apart = np.abs(told.model.score - told.rating.score)
    shown = [abs(d.model_score - d.rules_score) for d in told.disputes]
    widest = [apart[told.evidence.lead == lead].max() for lead in set(told.evidence.lead)]
    assert shown == sorted(widest, reverse=True)[:20]
    assert len({d.lead for d in told.disputes}) == len(shown) == 20
    for d in told.disputes:
        assert apart[told.evidence.lead == d.lead].max() == abs(d.model_score - d.rules_score)
        assert told.evidence.lead[d.row] == d.lead
        assert told.evidence.moment[d.row] == d.moment
        assert told.evidence.won[d.row] == d.won
        assert told.model.probability[d.row] == d.probability


def test_reasons_of_the_model_say_nothing_that_the_evidence_does_not(demo: Demo, told: Compared) -> None:
    for d in told.disputes:
        reasons = told.model_reasons(d.row, demo.model.table, "en")
        assert 0 < len(reasons) <= 5
        for reason in reasons:
            kept = float(told.evidence.reasons[reason.code][d.row])
            assert reason.weight == pytest.approx(kept, abs=1e-4)
            one = told.evidence.take(np.array([d.row]))
            alone = replace(told, evidence=one).model_reasons(0, demo.model.table, "en")
            assert reason in alone


def test_reasons_and_prior_add_up_to_the_models_score(told: Compared) -> None:
    """Each row's reasons less its score are one and the same number: the average lead."""
    rows = [d.row for d in told.disputes]
    kept = np.column_stack([column[rows] for column in told.evidence.reasons.values()])
    prior = told.evidence.scores[MODEL][rows] - kept.astype(float).sum(axis=1)
    np.testing.assert_allclose(prior, prior[0], atol=1e-4)


def test_reasons_of_the_rules_are_what_fired(told: Compared) -> None:
    for d in told.disputes:
        reasons = told.rules_reasons(d.row, "ja")
        rows = [r for r in reasons if r.weight]
        assert bool(reasons) or d.rules_score == 0
        points = sum(r.weight for r in rows)
        if not told.rating.excluded[d.row] and points < 30:  # below every cap
            assert points == told.rating.points[d.row]


def test_reasons_that_were_not_kept_are_not_made_up(demo: Demo, told: Compared) -> None:
    row = told.disputes[0].row
    reasons = {name: column.copy() for name, column in told.evidence.reasons.items()}
    next(iter(reasons.values()))[row] = np.nan
    bare = replace(told, evidence=replace(told.evidence, reasons=reasons))
    assert bare.model_reasons(row, demo.model.table, "en") == []
    none = replace(told, evidence=replace(told.evidence, reasons={}))
    assert none.model_reasons(row, demo.model.table, "en") == []


# -- by hand ---------------------------------------------------------------------------------------


def small(won: Bools | list[bool], score: Floats | list[float], **told: Any) -> Compared:
    """A comparison under CARD: hot from 20 points on, and from probability 0.5 on."""
    made = evidence(won, scores={MODEL: np.array(score, dtype=float)}, **told)
    return Compared.of(made, CARD, Scale(0.25, 0.5, 1.0))


def test_stages_and_agreement_by_hand() -> None:
    told = small(
        [True, True, False, False, True, False],
        [3, 3, 3, -3, -3, -0.5],
        features=flags(visit=[1, 1, 0, 1, 1, 0], quote=[1, 0, 0, 1, 0, 0]),
    )
    assert [[(c.won, c.count) for c in row] for row in told.agreement] == [
        [(0, 0), (0, 1), (0, 1)],
        [(1, 1), (0, 0), (1, 1)],
        [(0, 1), (0, 0), (1, 1)],
    ]
    assert [(r.won, r.count) for r in told.stages["model"]] == [(1, 2), (0, 1), (2, 3)]
    assert [(r.won, r.count) for r in told.stages["rules"]] == [(0, 2), (2, 2), (1, 2)]
    assert told.stages["decision"] == told.stages["model"]  # no trigger, no exclusion
    assert told.differences["win_rate"].old.value == pytest.approx(1 / 2)


def test_decision_is_a_side_of_its_own() -> None:
    won, score = [True, False, False], np.array([-3.0, 3.0, -3.0])
    features = flags(visit=[1, 0, 0], rival=[0, 1, 0])
    rules = card({"visit": 20}, triggers=["visit"], exclusions=["rival"])
    told = Compared.of(evidence(won, features, scores={MODEL: score}), rules, Scale(0.25, 0.5, 1.0))
    assert [(r.won, r.count) for r in told.stages["decision"]] == [(0, 2), (0, 0), (1, 1)]
    assert told.decision.decided_by[0] == DECIDERS.index("trigger") == TRIGGER


def segmented(**told: Any) -> tuple[Compared, Bools, Floats, np.ndarray]:
    """240 rows in values of 120, 70, 49 and 1, and 60 of nobody's."""
    won, score, _ = drawn(1, 300)
    value = np.array(["ads"] * 120 + ["fair"] * 70 + ["mail"] * 49 + ["web"] + [""] * 60)
    segment = {"channel": texts([v or None for v in value])}
    rng = np.random.default_rng(1)
    features = flags(visit=rng.integers(0, 2, 300), quote=rng.integers(0, 2, 300))
    return small(won, score, features=features, segments=segment, **told), won, score, value


def test_segments_by_hand() -> None:
    """Values of fewer than 50 rows are left out, and so are rows without a value."""
    told, won, score, value = segmented()
    assert [(p.name, p.value, p.all.count) for p in told.segments] == [
        ("channel", "ads", 120),
        ("channel", "fair", 70),
    ]
    for part in told.segments:
        where, at = value == part.value, part.differences
        assert part.all.won == won[where].sum()
        assert at["roc_auc"].new.value == pytest.approx(roc_auc_score(won[where], score[where]))
        called = np.flatnonzero(where & told.called)
        top = np.flatnonzero(where)[np.argsort(-score[where])][: len(called)]
        assert at["win_rate"].new.value == pytest.approx(won[top].mean())
        assert at["win_rate"].old.value == pytest.approx(won[called].mean())


def test_segment_without_a_win_is_left_out() -> None:
    told, won, _, value = segmented()
    none = replace(told, evidence=replace(told.evidence, won=won & (value != "fair")))
    assert [p.value for p in none.segments] == ["ads"]


def test_months_by_hand() -> None:
    """300 days from Monday, 5 January 2026; the row of a month's last day belongs to it."""
    told, won, _, _ = segmented()
    assert told.months == []  # no month has 50 rows
    close = START + DAY // 4 * np.arange(300)
    told, won, _, _ = segmented(moment=close)
    assert [(p.value, p.all.count) for p in told.months] == [
        ("2026-01", 108),
        ("2026-02", 112),
        ("2026-03", 80),
    ]
    assert told.months[1].all.won == won[108:220].sum()
    assert {p.name for p in told.months} == {"month"}


def test_undated_moments_have_no_months() -> None:
    told, _, _, _ = segmented(moment=np.arange(300), dated=False)
    assert told.months == []
    assert len(told.segments) == 2
    json.dumps(told.plain(TABLE, "en"), allow_nan=False)


def test_where_the_rules_call_nobody_a_tenth_is_compared() -> None:
    won, score, _ = drawn(2)
    told = small(won, score, features=flags(visit=[0] * 400, quote=[0] * 400))
    plain = told.plain(TABLE, "en")
    assert plain["volume"] == 40
    top = np.argsort(-score)[:40]
    assert told.differences["win_rate"].new.value == pytest.approx(won[top].mean())
    assert told.differences["win_rate"].old.value == pytest.approx(won.mean())
    assert plain["stages"]["rules"][HOT] == {
        "count": 0,
        "won": 0,
        **dict.fromkeys(("value", "low", "high", "lift", "lift_low", "lift_high")),
    }
    json.dumps(plain, allow_nan=False)


def test_better_is_told_only_beyond_doubt() -> None:
    won, score, guess = drawn(3, 1_000, signal=2)
    features = flags(visit=(guess > 0).astype(int), quote=(guess > 0).astype(int))
    assert small(won, score, features=features).plain(TABLE, "en")["better"] == "new"
    assert small(won, -score, features=features).plain(TABLE, "en")["better"] == "old"
    same = small(won, (guess > 0) + 0.0, features=features)
    assert same.plain(TABLE, "en")["better"] == "open"


def test_dispute_by_hand_with_the_reasons_of_both_sides() -> None:
    """The lead is shown at its second moment, where the sides lie furthest apart."""
    told = small(
        [True, True, False],
        [0.5, 4, 0.1],
        lead=["a", "a", "b"],
        features=flags(visit=[1, 0, 1], quote=[1, 0, 0]),
        reasons={"visit": np.array([0.1, 0.7, 0]), "quote": np.array([0.2, -0.9, 0.001])},
    )
    first, second = told.disputes
    assert (first.lead, first.row, first.model_stage, first.rules_stage) == ("a", 1, HOT, COLD)
    assert first.probability == pytest.approx(float(sigmoid(np.array(4.0))))
    assert (second.lead, second.row) == ("b", 2)
    model = told.model_reasons(1, TABLE, "en")
    assert [(r.code, r.weight) for r in model] == [("quote", -0.9), ("visit", 0.7)]
    assert model[0].text == f"{TABLE.label('quote', 'en')}: 0"
    assert told.model_reasons(2, TABLE, "en") == []  # next to nothing is no reason
    assert told.rules_reasons(1, "en") == []
    assert [(r.code, r.text, r.weight) for r in told.rules_reasons(0, "ja")] == [
        ("visit", "来店が該当", 10),
        ("quote", "見積が該当", 10),
    ]


def test_reasons_of_the_rules_tell_exclusions_and_triggers_first() -> None:
    rules = card({"visit": 20}, triggers=["quote"], exclusions=["rival"])
    made = evidence([False], flags(visit=[1], quote=[1], rival=[1]))
    told = Compared.of(made, rules, Scale(0.25, 0.5, 1.0))
    assert [r.code for r in told.rules_reasons(0, "en")] == ["rival", "quote", "visit"]
