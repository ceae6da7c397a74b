"""The contents of each page: comparison, replay, rules, gate and backtest."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from features.kinds import Language
from scoring.evaluation.gate import Check, CheckName
from scoring.evaluation.replay import CardReplay
from scoring.model.evidence import MODEL
from scoring.pages import cells
from scoring.pages.comparison import comparison_verdict
from scoring.pages.formats import format_percentage_points, format_share
from scoring.pages.gate import explain_failures, gate_page
from scoring.pages.replay import replay_page
from scoring.pages.rules import rules_page
from scoring.scorecard.load import blank_card, profiles
from scoring.scorecard.scorecard import Scorecard
from scoring.statistics.metrics import Estimate
from scoring.statistics.paired_differences import Difference
from scoring.texts import translate
from tests.helpers.evidence_builder import card
from tests.scoring.pages.sample_pages import (
    CARD,
    LANGS,
    NEW,
    checks,
    compare,
    comparison,
    deals,
    make_backtest_page,
    make_gate_page,
    month,
    page_of,
    profile,
    read_page_text,
    read_texts,
    tables,
)

# -- comparison ------------------------------------------------------------------------------------


def test_verdict_names_the_better_side_or_leaves_it_open() -> None:
    on, true = deals()
    verdicts = {
        better: comparison_verdict(compare(replace(on, scores={MODEL: score})), "en")
        for better, score in (("new", on.won + 0.1 * true), ("old", -true), ("open", np.zeros(400)))
    }
    assert verdicts["new"].startswith("Call by the model")
    assert verdicts["old"].startswith("Call by the rules")
    assert verdicts["open"].startswith("Not decided")
    hot = int(compare(on).called.sum())
    assert all(f"({hot} lead snapshots)" in text for text in verdicts.values())


def test_figures_of_the_comparison_are_on_the_page() -> None:
    result = compare()
    rates = result.differences["win_rate"]
    text = read_page_text(page_of("comparison", "en"))
    assert f"{rates.new.value:.1%}" in text
    assert f"[{rates.new.low:.1%} – {rates.new.high:.1%}]" in text
    assert f"{rates.difference.value * 100:+.1f}" in text
    assert f"{result.agreement[2][2].won} won of {result.agreement[2][2].count}" in text


def test_where_the_rules_call_nobody_the_page_says_what_is_compared() -> None:
    never = card({"visit": 1, "quote": 100}, hot=50, exclusions=["visit"])
    assert read_texts(comparison("en"), "warning") == []
    on = deals()[0]
    cold = replace(on, features={**on.features, "quote": np.zeros(400)})
    page = comparison("ja", cold, never)
    assert read_texts(page, "warning") == [translate("nobody_hot", "ja")]
    assert "（延べ40件）" in read_texts(page, "verdict")[0]


def test_too_few_deals_for_segments_say_so() -> None:
    page = comparison("ja", deals()[0].take(np.arange(45)))
    assert read_page_text(page).count(translate("compare_too_few", "ja")) >= 1


def test_disputes_show_lead_date_outcome_and_reasons_of_both_sides() -> None:
    table = tables(comparison("en"))[-1]
    assert len(table.rows) == 12
    lead, outcome, model, rules = (v.text for v in table.values[0])
    assert re.fullmatch(r"[0-9a-f]{16}", lead)
    assert re.fullmatch(r"2026-\d\d-\d\d", table.values[0][0].small)
    assert outcome in ("won", "not won")
    head, *why = model.splitlines()
    assert re.fullmatch(r"\d+ (cold|warm|hot) \(\d+\.\d%\)", head)
    assert 0 < len(why) <= 3
    assert all(re.search(r": .+ \([+-]\d\.\d\d\)$", reason) for reason in why)
    assert re.match(r"\d+ (cold|warm|hot)\n", rules)
    undated = tables(comparison("en", deals(dated=False)[0]))[-1]
    assert {row[0].small for row in undated.values} == {""}


def test_points_are_whole_numbers_however_many() -> None:
    many = card({"visit": 150, "quote": 1_000}, hot=1_000)
    text = read_page_text(comparison("en", card=many))
    assert "(+1000)" in text
    assert "e+0" not in text


def test_reasons_that_were_not_kept_are_said_to_be_missing() -> None:
    page = comparison("ja", replace(deals()[0], reasons={}))
    assert translate("compare_dispute_none", "ja") in read_page_text(page)


@pytest.mark.parametrize(
    ("value", "shares", "points", "number"),
    [
        (0.1234, "12.3%", "+12.3", "+0.123"),
        (-0.05, "-5.0%", "-5.0", "-0.050"),
        (-0.00001, "-0.0%", "+0.0", "+0.000"),
        (float("nan"), "–", "–", "–"),
    ],
)
def test_figures_in_cells(value: float, shares: str, points: str, number: str) -> None:
    """A difference of nothing is no minus nought, and what is not known is a dash."""
    figure = Estimate(value, value, value)
    difference = Difference(figure, figure, figure)
    assert format_share(value) == shares
    assert format_percentage_points(value) == points
    assert cells.difference_cell("win_rate", difference).text == points
    assert cells.difference_cell("roc_auc", difference).text == number
    assert cells.figure_cell("win_rate", figure).text == shares
    low_and_high = f"[{number}, {number}]" if value == value else ""
    assert cells.difference_cell("lift", difference).small == low_and_high


def test_gains_of_the_gate_are_no_minus_nought_either() -> None:
    assert not re.search(r"-0\.0+(?!\d)", read_page_text(page_of("gate failed", "en")))


# -- replay ----------------------------------------------------------------------------------------


def test_replay_of_the_same_card_says_that_nobody_moves() -> None:
    page = replay_page(CardReplay(deals()[0], CARD, CARD), "ja")
    assert translate("replay_moved_none", "ja") in read_page_text(page)
    assert "+0.0 [+0.0, +0.0]" in read_texts(page, "verdict")[0]


def test_replay_says_how_many_more_leads_move_than_it_shows() -> None:
    replay = CardReplay(deals()[0], CARD, NEW)
    assert replay.moved_leads > len(replay.moved) == 25
    captions = {table.caption for table in tables(replay_page(replay, "en"))}
    assert any(f"25 of the {replay.moved_leads} leads" in caption for caption in captions)
    few = CardReplay(deals()[0].take(np.arange(12)), CARD, NEW)
    assert not any("leads that move" in t.caption for t in tables(replay_page(few, "en")))


def test_replay_without_a_present_card_says_what_is_compared() -> None:
    page = replay_page(CardReplay(deals()[0], blank_card(), CARD), "en")
    assert read_texts(page, "warning") == [translate("replay_no_present", "en")]


def test_every_rule_is_told_with_its_points_or_its_kind() -> None:
    full = card({"visit": 20}, triggers=["quote"], exclusions=["rival"])
    on = deals()[0]
    replay = CardReplay(replace(on, features={**on.features, "rival": np.zeros(400)}), full, full)
    table = next(t for t in tables(replay_page(replay, "ja")) if translate("replay_adds", "ja") in t.columns)
    assert [(row[0].text, row[1].text) for row in table.values] == [
        ("来店が該当", "+20"),
        ("見積が該当", "即時ホット条件"),
        ("競合が該当", "除外条件"),
    ]
    assert [value.text for value in table.values[2]][2:5] == ["0", "–", "–"]


# -- rules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", profiles())
def test_every_rule_of_a_profile_is_on_its_page(name: str, lang: Language) -> None:
    scorecard = profile(name)
    text = read_page_text(rules_page(scorecard, lang))
    for _, _, rule in scorecard.rules():
        assert re.sub(r"\s+", " ", rule.because.text(lang)) in text
    for row in scorecard.rows.values():
        assert f"{row.points:+d}" in text
    for stage in (scorecard.stages.cold, scorecard.stages.warm, scorecard.stages.hot):
        assert stage.text.text(lang) in text
    assert scorecard.version in text


def test_owners_have_words_and_a_companys_own_stays_as_it_is() -> None:
    plain = profile("b2b_saas").to_dict()
    plain["stages"]["warm"]["owner"] = "第二営業部"
    texts_by_lang = {
        lang: read_page_text(rules_page(Scorecard.model_validate(plain), lang)) for lang in LANGS
    }
    assert "inside sales" in texts_by_lang["en"]
    assert "インサイドセールス" in texts_by_lang["ja"]
    assert "第二営業部" in texts_by_lang["en"]
    assert "inside_sales" not in texts_by_lang["en"] + texts_by_lang["ja"]


def test_a_lead_that_waits_for_acceptance_is_told_where_only_sales_calls_it_hot() -> None:
    waiting, plain = translate("rules_hand_over", "ja"), profile("b2b_saas").to_dict()
    assert waiting not in read_page_text(page_of("b2b_saas", "ja"))
    sql = rules_page(Scorecard.model_validate({**plain, "hot_is": "sql"}), "ja")
    assert waiting in read_page_text(sql)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"policy": "same_volume_as_rules"}, ""),
        ({"policy": "calls_per_week", "hot": 12, "warm": 30}, "12"),
        ({"policy": "min_win_rate", "hot": 0.3, "warm": 0.1}, "30.0%"),
        ({"policy": "top_share", "hot": 0.05, "warm": 0.2}, "5.0%"),
    ],
)
def test_every_policy_has_its_words(policy: dict[str, float | str], words: str, lang: Language) -> None:
    scorecard = Scorecard.model_validate({**CARD.to_dict(), "thresholds": policy})
    assert words in read_texts(rules_page(scorecard, lang), "note")[-1]


# -- gate ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGS)
def test_gate_shows_every_check_and_names_the_reasons_of_those_that_failed(lang: Language) -> None:
    failed = checks(good=False)
    (table,) = tables(make_gate_page(lang, False))
    assert len(table.rows) == len(failed) == len(get_args(CheckName))
    assert {row[1].text for row in table.values} == {translate("gate_failed", lang)}
    assert {row[1].text for row in tables(make_gate_page(lang, True))[0].values} == {
        translate("gate_passed", lang)
    }
    failure_reasons = explain_failures(failed, lang)
    assert len(set(failure_reasons)) == len(failed)
    assert "15" in failure_reasons[0]
    assert "status" in failure_reasons[1]
    assert explain_failures(checks(good=True), lang) == []


@pytest.mark.parametrize("lang", LANGS)
def test_too_few_common_deals_are_one_reason_with_the_number_that_is_missing(lang: Language) -> None:
    figures = {"won": 3, "others": 40, "missing": 17, "least": 20, "too_few": True}
    names: tuple[CheckName, ...] = ("champion_log_loss", "champion_win_rate")
    few = [Check(name, False, None, figures) for name in names]
    (reason,) = explain_failures(few, lang)
    assert "17" in reason
    assert len(tables(gate_page(few, "", "", lang))[0].rows) == 2


@pytest.mark.parametrize("lang", LANGS)
def test_without_a_scorecard_the_gate_says_how_to_get_one(lang: Language) -> None:
    none = [Check("scorecard", False, None, {"no_card": True})]
    assert "rules suggest" in explain_failures(none, lang)[0]


@pytest.mark.parametrize("lang", LANGS)
def test_the_gate_says_that_the_model_is_the_scorecard(lang: Language) -> None:
    same = [Check("rules_log_loss", True, None, {"is_scorecard": True})]
    page = gate_page(same, "", "", lang)
    assert translate("model_is_scorecard", lang) in read_texts(page, "plain")
    assert tables(page)[0].values[0][0].text == translate("gate_is_scorecard", lang)
    of_another = gate_page([Check("rules_log_loss", True, None, {"margin": 0.005})], "", "", lang)
    assert translate("model_is_scorecard", lang) not in read_texts(of_another, "plain")


def test_calibration_error_has_no_sign_and_gains_have_one() -> None:
    texts_by_check = {
        c.name: row[2].text
        for c, row in zip(checks(True), tables(make_gate_page("en", True))[0].values, strict=True)
    }
    assert texts_by_check["calibration"] == "0.0123"
    assert texts_by_check["base_rate"] == "+0.0123"


# -- backtest --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGS)
def test_backtest_shows_every_month(lang: Language) -> None:
    page = make_backtest_page(lang)
    (table,) = tables(page)
    rates = month("2026-01", 1).differences["win_rate"]
    assert [row[0].text for row in table.values] == ["2026-01", "2026-02"]
    first = [value.text for value in table.values[0]]
    assert first[1:4] == ["1,234", "200", "0.5123 / 0.6123"]
    assert first[5] == f"{rates.new.value:.1%} / {rates.old.value:.1%}"
    assert read_texts(page, "verdict")[0].startswith("Over 2 periods" if lang == "en" else "2期間")
