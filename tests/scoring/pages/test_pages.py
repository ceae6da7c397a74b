"""Every page of the reviewers, in both languages, as HTML and in a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.kinds import Language
from scoring.evaluation.replay import CardReplay
from scoring.pages.page import to_html
from scoring.pages.replay import replay_page
from scoring.pages.rules import rules_page
from scoring.scorecard.scorecard import Scorecard
from scoring.texts import all_texts
from tests.scoring.pages.sample_pages import (
    CARD,
    CHARTS,
    FITS,
    FORBIDDEN,
    JAPANESE,
    LANGS,
    LATIN,
    PAGES,
    SCRIPT,
    comparison,
    deals,
    make_gate_page,
    make_replay_page,
    page_of,
    parse_page,
    read_page_text,
    tables,
)
from tests.scoring.pages.test_page import ParsedPage, open_browser, print_page

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


# -- the texts, and a browser ----------------------------------------------------------------------


def test_japanese_texts_use_no_word_that_the_teams_do_not() -> None:
    japanese_texts = {key: text["ja"] for key, text in all_texts().items()}
    assert {
        key: text for key, text in japanese_texts.items() if any(word in text for word in FORBIDDEN)
    } == {}


@pytest.mark.browser
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
