"""The report of a model: one HTML page that opens without a network, in English or Japanese."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go

from features.kinds import Language
from scoring.model.evidence import MODEL, POINTS
from scoring.pages.page import (
    Block,
    Cell,
    CellValue,
    Chart,
    Facts,
    Heading,
    Items,
    Page,
    Table,
    Text,
    to_html,
)
from scoring.statistics.metrics import MEASURES, Estimate
from scoring.texts import translate
from training.fitting.pipeline import TrainingResult
from training.reports.charts import prepare_figures

_BASELINES = ("baseline_rate", "baseline_logistic", "baseline_lightgbm")
_MEASURED_MODELS = (MODEL, POINTS, *_BASELINES)


def report(trained: TrainingResult, lang: Language) -> str:
    """The page as HTML."""
    return to_html(report_page(trained, lang))


def report_page(trained: TrainingResult, lang: Language) -> Page:
    """How good the model is, what the audit found, and how the model was made."""
    measured = trained.evaluation.figures
    blocks = (
        Text(summary(trained, lang)),
        Text(verdict(measured, lang), "verdict"),
        Heading(translate("report_figures", lang)),
        _measures_table(measured, lang),
        *_charts(trained, lang),
        Heading(translate("report_audit", lang)),
        *_audit(trained, lang),
        Heading(translate("report_recipe", lang)),
        Facts(_recipe_facts(trained.model.about["recipe"])),
    )
    title = translate("report_title", lang, name=trained.model.about["crm"])
    return Page(title, blocks, lang, _footer(trained, lang))


def report_figures(trained: TrainingResult, lang: Language) -> dict[str, go.Figure]:
    """The figures of the report."""
    return {name: draw() for name, draw in _prepare_figures(trained, lang).items()}


def summary(trained: TrainingResult, lang: Language) -> str:
    """What the model was trained on and how it was measured, in a sentence or two."""
    about = trained.model.about
    counts = {name: f"{about[name]:,}" for name in ("examples", "leads")} | {
        "won": f"{about['won_leads']:,}",
        "test": f"{about['measured_examples']:,}",
        "test_leads": f"{about['measured_leads']:,}",
        "test_won": f"{about['measured_won_leads']:,}",
    }
    if not about["ordered"]:
        return translate("report_summary_folds", lang, **counts)
    through = (about["trained_through"] or "")[:10] or {
        "en": "the newest lead",
        "ja": "最新のリード",
    }[lang]
    return translate("report_summary", lang, through=through, **counts)


def verdict(measured: Mapping[str, Mapping[str, Estimate]], lang: Language) -> str:
    """Whether the model beats the better of the simple ones, in a sentence."""
    model_loss = measured["model"]["log_loss"]
    best = min(_BASELINES, key=lambda name: measured[name]["log_loss"].value)
    value = measured[best]["log_loss"].value
    key = "report_verdict_better" if model_loss.value < value else "report_verdict_worse"
    return translate(
        key,
        lang,
        model=f"{model_loss.value:.4f}",
        low=f"{model_loss.low:.4f}",
        high=f"{model_loss.high:.4f}",
        best=translate(best, lang),
        value=f"{value:.4f}",
    )


def _measures_table(measured: Mapping[str, Mapping[str, Estimate]], lang: Language) -> Table:
    shown = [
        model_name for model_name in _MEASURED_MODELS if model_name in measured
    ]  # without a scorecard there are no points
    rows: list[tuple[Cell, ...]] = [
        (translate(name, lang), *(_cell(name, measured[model_name][name]) for model_name in shown))
        for name in MEASURES
    ]
    return Table(
        (translate("figure", lang), *(translate(model_name, lang) for model_name in shown)), tuple(rows)
    )


def _cell(name: str, figure: Estimate) -> CellValue:
    """A figure and its interval."""
    if figure.value != figure.value:
        return CellValue("–")
    share = name.startswith(("win_rate", "won_amount"))
    value, low, high = (f"{v:.1%}" if share else f"{v:.4f}" for v in (figure.value, figure.low, figure.high))
    return CellValue(value, f"{low} – {high}")


def _charts(trained: TrainingResult, lang: Language) -> list[Block]:
    """Each figure under its heading."""
    drawn = _prepare_figures(trained, lang).items()
    return [b for name, draw in drawn for b in (Heading(translate(f"report_{name}", lang)), Chart(draw))]


def _prepare_figures(trained: TrainingResult, lang: Language) -> dict[str, Callable[[], go.Figure]]:
    dated = trained.model.about["trained_through"] is not None
    return prepare_figures(trained.evidence, trained.explanation, trained.model.table, dated, lang)


def _audit(trained: TrainingResult, lang: Language) -> list[Block]:
    findings = tuple((f.severity, f.text(lang)) for f in trained.findings)
    blocks: list[Block] = [Items(findings) if findings else Text(translate("report_audit_none", lang))]
    if trained.left_out:
        blocks.append(Text(translate("report_left_out", lang, columns=", ".join(trained.left_out))))
    return blocks


def _recipe_facts(recipe: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    trees = ", ".join(f"{k} {v:g}" for k, v in recipe["boosting"].items())
    weights = ", ".join(f"{k} {v:.2f}" for k, v in recipe["weights"].items())
    line = f"intercept {recipe['calibration']['intercept']:+.3f}, slope {recipe['calibration']['slope']:.3f}"
    return (
        ("weights", weights),
        ("calibration", line),
        ("linear", f"C {recipe['strength']:g}"),
        ("trees", f"{recipe['rounds']} trees; {trees}"),
    )


def _footer(trained: TrainingResult, lang: Language) -> str:
    version, horizon = trained.model.version, trained.model.about["horizon_days"]
    if not horizon:
        return translate("report_footer_simply", lang, version=version)
    return translate("report_footer", lang, version=version, horizon=f"{horizon:g}")
