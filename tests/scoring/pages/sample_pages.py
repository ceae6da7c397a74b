"""Sample pages of every kind."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np
from plotly.offline import get_plotlyjs

from features.columns import Floats, encode_texts
from features.kinds import Language
from features.settings import parse_features
from features.table import FeatureTable, Vocabulary
from scoring.evaluation.comparison import ModelVsRules
from scoring.evaluation.gate import Check, CheckName
from scoring.evaluation.replay import CardReplay
from scoring.model.evidence import MODEL, Evidence
from scoring.pages.comparison import comparison_page
from scoring.pages.gate import gate_page
from scoring.pages.page import Chart, Page, Table, Text, to_html
from scoring.pages.replay import replay_page
from scoring.pages.rules import rules_page
from scoring.scorecard.load import blank_card, parse_card, profiles
from scoring.scorecard.scale import Scale
from scoring.scorecard.scorecard import Scorecard
from scoring.statistics.metrics import Estimate
from scoring.statistics.paired_differences import differences
from scoring.texts import translate
from tests.helpers.builders import DAY
from tests.helpers.evidence_builder import START, card, draw_outcomes, evidence, flags
from tests.scoring.pages.test_page import ParsedPage
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
