"""Every page of the reviewers, in both languages, as HTML and in a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from features.columns import Floats, encode_texts
from features.kinds import Language
from features.settings import parse_features
from features.table import FeatureTable, Vocabulary
from scoring.evaluation.comparison import ModelVsRules
from scoring.evaluation.gate import Check, CheckName
from scoring.evaluation.replay import CardReplay
from scoring.model.evidence import MODEL, Evidence
from scoring.pages import cells
from scoring.pages.comparison import comparison_page, comparison_verdict
from scoring.pages.gate import explain_failures, gate_page
from scoring.pages.page import Chart, Page, Table, Text, to_html
from scoring.pages.replay import replay_page
from scoring.pages.rules import rules_page
from scoring.scorecard.load import blank_card, parse_card, profiles
from scoring.scorecard.scale import Scale
from scoring.scorecard.scorecard import Scorecard
from scoring.statistics.metrics import Estimate
from scoring.statistics.paired_differences import Difference, differences
from scoring.texts import all_texts, translate
from tests.helpers.builders import DAY
from tests.helpers.evidence_builder import START, card, draw_outcomes, evidence, flags
from tests.scoring.pages.test_page import ParsedPage, open_browser, print_page
from training.backtest import Backtest, Month
from training.reports.backtest_page import backtest_page

LANGS: tuple[Language, ...] = get_args(Language)
SCRIPT = "<script>alert(1)</script>"
FORBIDDEN = (
    "フィット",
    "インテント",
    "スコアカード",
    "リプレイ",
    "チャンピオン",
    "キャリブレーション",
    "ドリフト",
)
JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
LATIN = {"ROC", "AUC", "MQL", "SQL", "ID", "UTC", "JP", "Asia", "Tokyo", "CRM", "hotlead", "rules", "suggest"}
WORDS: dict[str, dict[Language, str]] = {
    "visit": {"en": "Visit", "ja": "来店"},
    "quote": {"en": "Quote", "ja": "見積"},
    "channel": {"en": "Channel", "ja": "流入チャネル"},
    "channel=ads": {"en": "ads", "ja": "広告"},
}
TABLE = FeatureTable(
    parse_features(
        {
            "visit": {"kind": "count", "activity": "visit"},
            "quote": {"kind": "count", "activity": "quote"},
            "channel": {"kind": "attribute", "column": "channel", "known": "at_creation"},
        }
    ),
    Vocabulary(WORDS),
)
CARD, NEW = card({"visit": 10, "quote": 10}), card({"visit": 10, "quote": 20})


def deals(segment: str = "ads", dated: bool = True) -> tuple[Evidence, Floats]:
    """400 rows of 200 leads, with reasons, amounts and a segment."""
    won, true, guess = draw_outcomes(0)
    channel = encode_texts([segment] * 200 + ["ads", None] * 100)
    visits = np.random.default_rng(9).integers(0, 2, 400)
    columns = flags(visit=visits, quote=(guess > 0).astype(int))
    sample = evidence(
        won,
        {**columns, "channel": channel},
        lead=[f"{i:016x}" for i in range(200)] * 2,
        moment=START + DAY // 4 * np.arange(400),
        scores={MODEL: true},
        amount=np.where(won, 1e6, np.nan),
        segments={"channel": channel},
        reasons={
            name: (true * share).astype(np.float32)
            for name, share in (("visit", 0.3), ("quote", -0.2), ("channel", 0.5))
        },
        dated=dated,
    )
    return sample, true


def compare(on: Evidence | None = None, card: Scorecard = CARD) -> ModelVsRules:
    return ModelVsRules.from_evidence(on or deals()[0], card, Scale(0.2, 0.4, 1.0))


def comparison(lang: Language, on: Evidence | None = None, card: Scorecard = CARD) -> Page:
    return comparison_page(compare(on, card), TABLE, "株式会社例", "204033c86397", lang)


def make_replay_page(lang: Language) -> Page:
    return replay_page(CardReplay(deals()[0], CARD, NEW), lang)


def profile(name: str) -> Scorecard:
    return parse_card({"profile": name}, name)


def checks(good: bool) -> list[Check]:
    """Every check, passed or failed."""
    figures = {
        "won": 1_200,
        "others": 3_400,
        "missing": 0 if good else 15,
        "least": 20,
        "columns": "status",
        "present": "04357ed2713d",
        "trained": "edb801376a8a",
        "margin": 0.03,
        "volume": 1_622,
        "bar": 0.05,
        "rows": 4_085,
        "why": "not whole",
    }
    gain = Estimate(0.0123, 0.0101, 0.0155) if good else Estimate(-0.0123, -0.0155, -0.00001)
    return [Check(name, good, gain, figures) for name in get_args(CheckName)]


def make_gate_page(lang: Language, good: bool) -> Page:
    summary = translate(
        "gate_summary", lang, challenger=2, model="a", champion=translate("gate_no_champion", lang)
    )
    return gate_page(checks(good), summary, translate("gate_promoted", lang, challenger=2), lang)


def month(name: str, seed: int) -> Month:
    won, true, guess = draw_outcomes(seed, 200)
    month_differences = differences(evidence(won).judged, true, guess, guess > 0, 20)
    return Month(name, 1_234, 200, int(won.sum()), 0.51234, 0.61234, month_differences)


def make_backtest_page(lang: Language) -> Page:
    months = [month("2026-01", 1), month("2026-02", 2)]
    backtest = Backtest(months, months[0].differences, Estimate(0.1, 0.05, 0.15))
    return backtest_page(backtest, "株式会社例", lang)


PAGES = {
    "comparison": comparison,
    "comparison without dates": lambda lang: comparison(lang, deals(dated=False)[0]),
    "replay": make_replay_page,
    "replay without dates": lambda lang: replay_page(CardReplay(deals(dated=False)[0], CARD, NEW), lang),
    "replay of a card and none": lambda lang: replay_page(CardReplay(deals()[0], CARD, blank_card()), lang),
    "gate passed": lambda lang: make_gate_page(lang, True),
    "gate failed": lambda lang: make_gate_page(lang, False),
    "backtest": make_backtest_page,
    "no rules": lambda lang: rules_page(blank_card(), lang),
    **{name: lambda lang, name=name: rules_page(profile(name), lang) for name in profiles()},
}
FITS = """() => [...document.querySelectorAll(".js-plotly-plot .main-svg")].every(
    (drawn) => drawn.getBoundingClientRect().right <= innerWidth)"""
CHARTS = {
    "comparison": 1,
    "comparison without dates": 1,
    "replay": 2,
    "replay without dates": 1,
    "replay of a card and none": 2,
    "backtest": 1,
}


def tables(page: Page) -> list[Table]:
    return [block for block in page.blocks if isinstance(block, Table)]


def read_texts(page: Page, kind: str) -> list[str]:
    return [b.text for b in page.blocks if isinstance(b, Text) and b.kind == kind]


@cache
def page_of(name: str, lang: Language) -> Page:
    return PAGES[name](lang)


@cache
def parse_page(name: str, lang: Language) -> tuple[ParsedPage, int]:
    """A page as a browser reads it, and how many pictures it draws."""
    html = to_html(page_of(name, lang))
    return ParsedPage(html), html.replace(get_plotlyjs(), "").count("Plotly.newPlot(")


def read_page_text(page: Page) -> str:
    """What the page says, without its pictures."""
    blocks = tuple(block for block in page.blocks if not isinstance(block, Chart))
    return ParsedPage(to_html(replace(page, blocks=blocks))).text


# -- every page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_in_html_and_terminal(name: str, lang: Language) -> None:
    page, (parsed, charts) = page_of(name, lang), parse_page(name, lang)
    assert parsed.language == lang
    assert charts == CHARTS.get(name, 0)
    assert [tag for tag, _ in parsed.tags].count("figure") == len(tables(page)) + charts
    assert print_page(page, 120).startswith(page.title)
    for table in tables(page):
        for words in table.columns if table.rows else [table.empty]:
            assert words
            assert re.sub(r"\s+", " ", words) in parsed.text
    assert not re.search(r"\{\w+\}|\bnan\b|\bNone\b(?!\.)", " ".join(parsed.words))


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", PAGES)
def test_page_loads_nothing_from_outside(name: str, lang: Language) -> None:
    parsed, _ = parse_page(name, lang)
    assert parsed.loads == []
    assert not any("url(" in style or "@import" in style for style in parsed.styles)


@pytest.mark.parametrize("name", PAGES)
def test_japanese_page_speaks_japanese(name: str) -> None:
    """No stage, owner or heading in English; the words that Japanese teams do not use are not used."""
    text = " ".join(parse_page(name, "ja")[0].words)
    assert not re.search(r"\b(cold|warm|hot|inside_sales|marketing)\b", text, re.IGNORECASE)
    assert not [word for word in FORBIDDEN if word in text]
    latin = set(re.findall(r"[A-Za-z]{2,}", re.sub(r"\b[0-9a-f]{12,16}\b", "", text)))
    assert latin <= LATIN, latin - LATIN


@pytest.mark.parametrize("name", PAGES)
def test_english_page_speaks_english(name: str) -> None:
    text = " ".join(parse_page(name, "en")[0].words).replace("株式会社例", "")
    assert not JAPANESE.search(text)


def test_stages_and_sides_have_the_words_of_the_teams() -> None:
    text = read_page_text(page_of("comparison", "ja"))
    for word in (
        "ホット",
        "ウォーム",
        "コールド",
        "リード段階",
        "成約率",
        "モデル",
        "ルール",
        "モデルとルールの判定の不一致",
        "リフト",
    ):
        assert word in text, word
    rules = read_page_text(page_of("b2b_saas", "ja"))
    for word in (
        "ホットリードの定義（スコアリング基準）",
        "属性スコア",
        "行動スコア（購買意欲）",
        "インサイドセールス",
        "初回コンタクト期限",
        "配点",
    ):
        assert word in rules, word
    assert "過去の案件で試算" in make_replay_page("ja").title
    assert "本番" in make_gate_page("ja", True).title


# -- what comes from data --------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGS)
def test_values_from_the_crm_are_escaped(lang: Language) -> None:
    on, _ = deals(SCRIPT)
    page = comparison(lang, replace(on, lead=np.array([f"{SCRIPT}{i}" for i in range(400)], object)))
    html = to_html(page)
    assert SCRIPT not in html
    assert ParsedPage(html).text.count(SCRIPT) > 12  # the segment, the leads, and the reasons
    assert SCRIPT in print_page(page, 200)


def test_reasons_and_names_of_a_scorecard_are_escaped() -> None:
    plain = CARD.to_dict()
    plain["intent"]["rows"]["visit"]["because"] = {"en": SCRIPT, "ja": SCRIPT}
    plain["stages"]["hot"]["owner"] = SCRIPT
    bad = Scorecard.model_validate(plain)
    for page in (rules_page(bad, "en"), replay_page(CardReplay(deals()[0], bad, bad), "ja")):
        html = to_html(page)
        assert SCRIPT not in html
        assert SCRIPT in ParsedPage(html).text


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
    assert cells.percent(value) == shares
    assert cells.percentage_points(value) == points
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
    assert not any("leads that change stage" in t.caption for t in tables(replay_page(few, "en")))


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
def test_too_few_common_deals_are_one_reason_with_the_number_that_is_missing(
    lang: Language,
) -> None:
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


# -- the texts, and a browser ----------------------------------------------------------------------


def test_japanese_texts_use_no_word_that_the_teams_do_not() -> None:
    japanese_texts = {key: text["ja"] for key, text in all_texts().items()}
    assert {
        key: text for key, text in japanese_texts.items() if any(word in text for word in FORBIDDEN)
    } == {}


def test_browser_draws_every_page_on_a_desk_and_on_a_phone(tmp_path: Path) -> None:
    problems: list[str] = []
    requested_urls: list[str] = []
    with open_browser() as browser:
        tab = browser.new_page()
        tab.on("console", lambda message: problems.append(message.text))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda request: requested_urls.append(request.url))
        for place, name in enumerate(("comparison", "replay", "b2b_saas", "backtest")):
            path = tmp_path / f"{place}.html"
            path.write_text(to_html(page_of(name, "ja")), encoding="utf-8")
            tab.goto(path.as_uri())
            assert tab.locator(".js-plotly-plot").count() == CHARTS.get(name, 0)
            for width in (1100, 400):
                tab.set_viewport_size({"width": width, "height": 900})
                tab.wait_for_function(FITS)
                assert tab.evaluate("document.documentElement.scrollWidth") == width, name
            assert requested_urls == [path.as_uri()]
            requested_urls.clear()
    assert problems == []
