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
    Chart,
    Facts,
    Heading,
    Items,
    Page,
    Table,
    Text,
    Value,
    to_html,
)
from scoring.statistics.metrics import MEASURES, Figure
from scoring.texts import say
from training.fitting.pipeline import Trained
from training.reports.charts import figures

_SIMPLE = ("baseline_rate", "baseline_logistic", "baseline_lightgbm")
_SHOWN = (MODEL, POINTS, *_SIMPLE)


def report(trained: Trained, lang: Language) -> str:
    """The page as HTML."""
    return to_html(report_page(trained, lang))


def report_page(trained: Trained, lang: Language) -> Page:
    """How good the model is, what the audit found, and how the model was made."""
    measured = trained.measured.figures
    blocks = (
        Text(summary(trained, lang)),
        Text(verdict(measured, lang), "verdict"),
        Heading(say("report_figures", lang)),
        _measures(measured, lang),
        *_charts(trained, lang),
        Heading(say("report_audit", lang)),
        *_audit(trained, lang),
        Heading(say("report_recipe", lang)),
        Facts(_recipe(trained.model.about["recipe"])),
    )
    title = say("report_title", lang, name=trained.model.about["crm"])
    return Page(title, blocks, lang, _footer(trained, lang))


def report_figures(trained: Trained, lang: Language) -> dict[str, go.Figure]:
    """The figures of the report."""
    return {name: draw() for name, draw in _figures(trained, lang).items()}


def summary(trained: Trained, lang: Language) -> str:
    """What the model was trained on and how it was measured, in a sentence or two."""
    about = trained.model.about
    counts = {name: f"{about[name]:,}" for name in ("examples", "leads")} | {
        "won": f"{about['won_leads']:,}",
        "test": f"{about['measured_examples']:,}",
        "test_leads": f"{about['measured_leads']:,}",
        "test_won": f"{about['measured_won_leads']:,}",
    }
    if not about["ordered"]:
        return say("report_summary_folds", lang, **counts)
    through = (about["trained_through"] or "")[:10] or {
        "en": "the newest lead",
        "ja": "最新のリード",
    }[lang]
    return say("report_summary", lang, through=through, **counts)


def verdict(measured: Mapping[str, Mapping[str, Figure]], lang: Language) -> str:
    """Whether the model beats the better of the simple ones, in a sentence."""
    own = measured["model"]["log_loss"]
    best = min(_SIMPLE, key=lambda name: measured[name]["log_loss"].value)
    value = measured[best]["log_loss"].value
    key = "report_verdict_better" if own.value < value else "report_verdict_worse"
    return say(
        key,
        lang,
        model=f"{own.value:.4f}",
        low=f"{own.low:.4f}",
        high=f"{own.high:.4f}",
        best=say(best, lang),
        value=f"{value:.4f}",
    )


def _measures(measured: Mapping[str, Mapping[str, Figure]], lang: Language) -> Table:
    shown = [who for who in _SHOWN if who in measured]  # without a scorecard there are no points
    rows: list[tuple[Cell, ...]] = [
        (say(name, lang), *(_cell(name, measured[who][name]) for who in shown)) for name in MEASURES
    ]
    return Table((say("figure", lang), *(say(who, lang) for who in shown)), tuple(rows))


def _cell(name: str, figure: Figure) -> Value:
    """A figure and its interval."""
    if figure.value != figure.value:
        return Value("–")
    share = name.startswith(("win_rate", "won_amount"))
    value, low, high = (f"{v:.1%}" if share else f"{v:.4f}" for v in (figure.value, figure.low, figure.high))
    return Value(value, f"{low} – {high}")


def _charts(trained: Trained, lang: Language) -> list[Block]:
    """Each figure under its heading."""
    drawn = _figures(trained, lang).items()
    return [b for name, draw in drawn for b in (Heading(say(f"report_{name}", lang)), Chart(draw))]


def _figures(trained: Trained, lang: Language) -> dict[str, Callable[[], go.Figure]]:
    dated = trained.model.about["trained_through"] is not None
    return figures(trained.evidence, trained.explanation, trained.model.table, dated, lang)


def _audit(trained: Trained, lang: Language) -> list[Block]:
    found = tuple((f.severity, f.text(lang)) for f in trained.findings)
    blocks: list[Block] = [Items(found) if found else Text(say("report_audit_none", lang))]
    if trained.left_out:
        blocks.append(Text(say("report_left_out", lang, columns=", ".join(trained.left_out))))
    return blocks


def _recipe(told: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    trees = ", ".join(f"{k} {v:g}" for k, v in told["boosting"].items())
    weights = ", ".join(f"{k} {v:.2f}" for k, v in told["weights"].items())
    line = f"intercept {told['calibration']['intercept']:+.3f}, slope {told['calibration']['slope']:.3f}"
    return (
        ("weights", weights),
        ("calibration", line),
        ("linear", f"C {told['strength']:g}"),
        ("trees", f"{told['rounds']} trees; {trees}"),
    )


def _footer(trained: Trained, lang: Language) -> str:
    version, horizon = trained.model.version, trained.model.about["horizon_days"]
    if not horizon:
        return say("report_footer_simply", lang, version=version)
    return say("report_footer", lang, version=version, horizon=f"{horizon:g}")
