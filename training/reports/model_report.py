"""The report of a model: one HTML page that needs no network, in English or Japanese."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

import plotly.graph_objects as go

from features.kinds import Language
from features.moments import MIN_WINS, count_missing
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
from scoring.pages.segments import segment_blocks
from scoring.statistics.metrics import MEASURES, Estimate
from scoring.texts import translate
from training.fitting.baselines import BASELINES
from training.fitting.result import TrainingResult
from training.reports.charts import draw_evidence

_MEASURED_MODELS = (MODEL, POINTS, *BASELINES)
_SHOWN_OFFSETS = 5
_UNMEASURED_CHART = "importance"
"""The chart that shows the model in use, and no measured figure."""


Charts: TypeAlias = Mapping[str, go.Figure]
"""Drawn charts by name, in the order of the report."""


def draw_charts(trained: TrainingResult, lang: Language) -> Charts:
    """The charts of the report, labelled in `lang`; of what cannot be measured yet there is none."""
    dated = trained.model.about["trained_through"] is not None
    charts = draw_evidence(trained.evidence, trained.explanation, trained.model.table, dated, lang)
    if trained.model.about["measurable"]:
        return charts
    return {name: chart for name, chart in charts.items() if name == _UNMEASURED_CHART}


def report(trained: TrainingResult, charts: Charts, lang: Language) -> str:
    return to_html(report_page(trained, charts, lang))


def report_page(trained: TrainingResult, charts: Charts, lang: Language) -> Page:
    """The quality of the model, the findings of the audit, and the recipe of the model."""
    about, measured = trained.model.about, trained.evaluation.figures
    figures: list[Block] = []
    if about["measurable"]:
        figures = [Heading(translate("report_figures", lang)), _measures_table(measured, lang)]
    blocks = (
        Text(summary(about, lang)),
        Text(describe_quality(about, measured, lang), "verdict"),
        *figures,
        *_chart_blocks(charts, lang),
        *segment_blocks(trained.segments, trained.model.table.vocabulary, lang),
        Heading(translate("report_audit", lang)),
        *_audit(trained, lang),
        Heading(translate("report_recipe", lang)),
        Facts(_recipe_facts(about["recipe"])),
    )
    title = translate("report_title", lang, name=about["crm"])
    return Page(title, blocks, lang, _footer(trained, lang))


def summary(about: Mapping[str, Any], lang: Language) -> str:
    """What the model that `about` describes was trained on, and what was measured, in a few sentences."""
    counts = {name: f"{about[name]:,}" for name in ("examples", "leads")} | {
        "won": f"{about['won_leads']:,}",
        "test": f"{about['measured_examples']:,}",
        "test_leads": f"{about['measured_leads']:,}",
        "test_won": f"{about['measured_won_leads']:,}",
    }
    sentences = (_describe_data(about, counts, lang), _describe_measured(about, lang))
    return {"en": " ", "ja": ""}[lang].join(filter(None, sentences))


def _describe_data(about: Mapping[str, Any], counts: Mapping[str, str], lang: Language) -> str:
    if not about.get("measurable", True):
        return translate("report_summary_unmeasured", lang, **counts)
    if not about["ordered"]:
        return translate("report_summary_folds", lang, **counts)
    through = (about["trained_through"] or "")[:10] or {"en": "the newest lead", "ja": "最新のリード"}[lang]
    return translate("report_summary", lang, through=through, **counts)


def _describe_measured(about: Mapping[str, Any], lang: Language) -> str:
    """What was measured and what is in use; empty if nothing could be measured or counted."""
    if not about.get("measurable", False):
        return ""
    key = "report_measured" if about["ordered"] else "report_measured_folds"
    counts = {name: f"{about[f'measured_from_{name}']:,}" for name in ("examples", "leads", "won_leads")}
    return translate(key, lang, **counts)


def describe_quality(
    about: Mapping[str, Any], measured: Mapping[str, Mapping[str, Estimate]], lang: Language
) -> str:
    """The verdict; or, with too few deals on one side of the split, that nothing can be measured yet."""
    if about.get("measurable", True):
        return verdict(measured, lang)
    from_won, from_others = _count_side(about, "measured_from")
    won, others = _count_side(about, "measured")
    return translate(
        "report_not_measurable" if about["ordered"] else "report_not_measurable_folds",
        lang,
        least=MIN_WINS,
        missing=max(count_missing(from_won, from_others), count_missing(won, others)),
        from_won=f"{from_won:,}",
        from_others=f"{from_others:,}",
        won=f"{won:,}",
        others=f"{others:,}",
    )


def _count_side(about: Mapping[str, Any], side: str) -> tuple[int, int]:
    """The won and the other leads of one side of the split."""
    won = about[f"{side}_won_leads"]
    return won, about[f"{side}_leads"] - won


def verdict(measured: Mapping[str, Mapping[str, Estimate]], lang: Language) -> str:
    """Whether the model beats the best baseline, in one sentence."""
    model_loss = measured["model"]["log_loss"]
    best = min(BASELINES, key=lambda name: measured[name]["log_loss"].value)
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


def describe_run(trained: TrainingResult, lang: Language) -> str:
    """The verdict, the data, the horizon and the excluded features, in Markdown."""
    sentences = [
        describe_quality(trained.model.about, trained.evaluation.figures, lang),
        summary(trained.model.about, lang),
        _footer(trained, lang),
    ]
    if trained.left_out:
        names = ", ".join(f"`{name}`" for name in trained.left_out)
        sentences.append(translate("report_left_out", lang, columns=names))
    return "\n\n".join([f"**{sentences[0]}**", *sentences[1:]])


def _measures_table(measured: Mapping[str, Mapping[str, Estimate]], lang: Language) -> Table:
    # without a scorecard there are no points
    shown = [model_name for model_name in _MEASURED_MODELS if model_name in measured]
    rows: list[tuple[Cell, ...]] = [
        (translate(name, lang), *(_cell(name, measured[model_name][name]) for model_name in shown))
        for name in MEASURES
    ]
    return Table(
        (translate("figure", lang), *(translate(model_name, lang) for model_name in shown)), tuple(rows)
    )


def _cell(name: str, figure: Estimate) -> CellValue:
    if figure.value != figure.value:
        return CellValue("–")
    share = name.startswith(("win_rate", "won_amount"))
    value, low, high = (f"{v:.1%}" if share else f"{v:.4f}" for v in (figure.value, figure.low, figure.high))
    return CellValue(value, f"{low} – {high}")


def _chart_blocks(charts: Charts, lang: Language) -> list[Block]:
    blocks: list[Block] = []
    for name, chart in charts.items():
        blocks += [Heading(translate(f"report_{name}", lang)), Chart(partial(go.Figure, chart))]
    return blocks


def _audit(trained: TrainingResult, lang: Language) -> list[Block]:
    findings = tuple((f.severity, f.text(lang)) for f in trained.findings)
    blocks: list[Block] = [Items(findings) if findings else Text(translate("report_audit_none", lang))]
    if trained.left_out:
        blocks.append(Text(translate("report_left_out", lang, columns=", ".join(trained.left_out))))
    return blocks


def _recipe_facts(recipe: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    weights = ", ".join(f"{k} {v:.2f}" for k, v in recipe["weights"].items())
    line = f"intercept {recipe['calibration']['intercept']:+.3f}, slope {recipe['calibration']['slope']:.3f}"
    recent = recipe["recent_strength"]
    linear = f"C {recipe['strength']:g}" + ("" if recent is None else f", newer deals C {recent:g}")
    trees = recipe["trees"] | ({"statistics": recipe["statistics"]} if recipe["statistics"] else {})
    facts = [(name, _trees_fact(part)) for name, part in trees.items()]
    facts += [(name, _segment_fact(offsets)) for name, offsets in recipe["segments"].items()]
    return (("weights", weights), ("calibration", line), ("linear", linear), *facts)


def _trees_fact(part: Mapping[str, Any]) -> str:
    sizes = ", ".join(f"{k} {v:g}" for k, v in part["boosting"].items())
    return f"{part['rounds']} trees of {part['seeds']} seeds; {sizes}"


def _segment_fact(offsets: Mapping[str, float]) -> str:
    strongest = sorted(offsets.items(), key=lambda pair: -abs(pair[1]))[:_SHOWN_OFFSETS]
    return f"{len(offsets)} log-odds of a segment; " + ", ".join(f"{v} {x:+.2f}" for v, x in strongest)


def _footer(trained: TrainingResult, lang: Language) -> str:
    version, horizon = trained.model.version, trained.model.about["horizon_days"]
    if not horizon:
        return translate("report_footer_simply", lang, version=version)
    return translate("report_footer", lang, version=version, horizon=f"{horizon:g}")
