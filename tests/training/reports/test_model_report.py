from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from features.kinds import Language
from scoring.pages.time_to_win import describe_time_evaluation
from scoring.statistics.metrics import MEASURES, Estimate
from scoring.texts import translate
from tests.conftest import Demo
from tests.scoring.pages.test_page import ParsedPage, open_browser
from training.reports.model_report import draw_charts, report, verdict

FIGURES = ("calibration", "gains", "scores", "importance", "win_rate")


@pytest.fixture(scope="module", params=["en", "ja"])
def lang(request: pytest.FixtureRequest) -> Language:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def html(demo: Demo, lang: Language) -> str:
    return report(demo.trained, draw_charts(demo.trained, lang), lang)


def test_loads_nothing_from_anywhere(html: str) -> None:
    page = ParsedPage(html)
    assert page.loads == []
    assert not any("url(" in style or "@import" in style for style in page.styles)


def test_says_everything_in_its_language(demo: Demo, html: str, lang: Language) -> None:
    page = ParsedPage(html)
    assert page.language == lang
    for key in ("report_figures", "report_audit", "report_recipe", *MEASURES):
        assert translate(key, lang) in page.text, key
    for name in FIGURES:
        assert translate(f"report_{name}", lang) in page.text, name
    assert verdict(demo.trained.evaluation.figures, lang) in page.text
    assert demo.model.version in page.text
    for finding in demo.trained.findings:
        assert re.sub(r"\s+", " ", finding.text(lang)) in page.text


def test_shows_the_figures_that_were_measured(demo: Demo, html: str) -> None:
    roc_auc = demo.trained.evaluation.model["roc_auc"]
    text = ParsedPage(html).text
    assert f"{roc_auc.value:.4f}" in text
    assert f"{roc_auc.low:.4f} – {roc_auc.high:.4f}" in text


def test_says_how_well_the_days_to_the_win_were_predicted(demo: Demo, html: str, lang: Language) -> None:
    evaluation = demo.model.about["time_to_win"]
    text, within = ParsedPage(html).text, evaluation["figures"]["within_median"]
    assert translate("report_time_to_win", lang) in text
    assert describe_time_evaluation(evaluation, lang) in text
    assert f"{within['value']:.1%} [{within['low']:.1%} – {within['high']:.1%}]" in text


def test_japanese_page_holds_no_english_sentence(demo: Demo) -> None:
    text = ParsedPage(report(demo.trained, draw_charts(demo.trained, "ja"), "ja")).text
    for key in ("report_summary", "report_verdict_better", "report_footer"):
        first_words = translate(
            key,
            "en",
            **dict.fromkeys(
                (
                    "examples",
                    "leads",
                    "won",
                    "through",
                    "test",
                    "test_won",
                    "test_leads",
                    "model",
                    "low",
                    "high",
                    "best",
                    "value",
                    "version",
                    "horizon",
                ),
                "",
            ),
        )[:8]
        assert first_words not in text


def figures(model_loss: float, best: float) -> dict[str, dict[str, Estimate]]:
    simple = {"log_loss": Estimate(best, best, best)}
    others = {"baseline_rate": {"log_loss": Estimate(0.9, 0.9, 0.9)}, "baseline_lightgbm": simple}
    model = {"log_loss": Estimate(model_loss, model_loss - 0.01, model_loss + 0.01)}
    return {"model": model, "baseline_logistic": others["baseline_rate"], **others}


def test_verdict_names_the_better_of_the_simple_models() -> None:
    better, worse = verdict(figures(0.3, 0.4), "en"), verdict(figures(0.5, 0.4), "en")
    assert "better than the best simple model (LightGBM with defaults, 0.4000)" in better
    assert "not better" not in better
    assert "not better than" in worse


@pytest.fixture
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


def test_browser_draws_every_figure_and_asks_for_nothing(
    demo: Demo, html: str, lang: Language, browser: Any, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    page = browser.new_page()
    requested_urls: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: requested_urls.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector(".js-plotly-plot .main-svg")
    assert page.locator(".js-plotly-plot").count() == len(FIGURES)
    for plot in page.locator(".js-plotly-plot").all():
        assert plot.locator("svg.main-svg").count() > 0
        assert plot.locator("svg .trace path, svg .bars path, svg .scatterlayer path").count() > 0
    assert page.locator("h1").inner_text() == translate("report_title", lang, name="demo")
    assert problems == []
    assert [url for url in requested_urls if not url.startswith(("file://", "data:", "blob:"))] == []
