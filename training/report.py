"""The report of a model: one HTML page that opens without a network, in English or Japanese."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from features.kinds import Language
from scoring.metrics import MEASURES, Figure
from scoring.texts import say
from training.figures import figures
from training.job import Trained

_TEMPLATES = Path(__file__).parent / "templates"
SHOWN = ("model", "baseline_rate", "baseline_logistic", "baseline_lightgbm")
_SIMPLE = SHOWN[1:]


def report(trained: Trained, lang: Language) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    template = environment.get_template("report.html")
    pictures = report_figures(trained, lang)
    return template.render(
        lang=lang,
        say=lambda key, **values: say(key, lang, **values),
        about=trained.model.about,
        version=trained.model.version,
        summary=summary(trained, lang),
        verdict=verdict(trained.measured.figures, lang),
        rows=_rows(trained.measured.figures, lang),
        columns=[say(name, lang) for name in SHOWN],
        findings=[(f.severity, f.text(lang)) for f in trained.findings],
        left_out=", ".join(trained.left_out),
        recipe=_recipe(trained.model.about["recipe"]),
        pictures={name: _html(figure) for name, figure in pictures.items()},
        plotly_js=get_plotlyjs(),
    )


def report_figures(trained: Trained, lang: Language) -> dict[str, go.Figure]:
    """The figures of the report."""
    dated = trained.model.about["trained_through"] is not None
    return figures(trained.evidence, trained.explanation, trained.model.table, dated, lang)


def summary(trained: Trained, lang: Language) -> str:
    """What the model was trained on and how it was measured, in a sentence or two."""
    about = trained.model.about
    counts = {name: f"{about[name]:,}" for name in ("examples", "leads")} | {
        "won": f"{about['won_leads']:,}", "test": f"{about['measured_examples']:,}",
        "test_leads": f"{about['measured_leads']:,}", "test_won": f"{about['measured_won_leads']:,}",
    }  # fmt: skip
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
    return say(key, lang, model=f"{own.value:.4f}", low=f"{own.low:.4f}", high=f"{own.high:.4f}",
               best=say(best, lang), value=f"{value:.4f}")  # fmt: skip


def _rows(
    measured: Mapping[str, Mapping[str, Figure]], lang: Language
) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (say(name, lang), [_cell(name, measured[who][name]) for who in SHOWN]) for name in MEASURES
    ]


def _cell(name: str, figure: Figure) -> tuple[str, str]:
    """A figure and its interval."""
    if figure.value != figure.value:
        return ("–", "")
    share = name.startswith(("win_rate", "won_amount"))
    value, low, high = (
        f"{v:.1%}" if share else f"{v:.4f}" for v in (figure.value, figure.low, figure.high)
    )
    return (value, f"{low} – {high}")


def _recipe(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    trees = ", ".join(f"{k} {v:g}" for k, v in told["boosting"].items())
    weights = ", ".join(f"{k} {v:.2f}" for k, v in told["weights"].items())
    line = f"intercept {told['calibration']['intercept']:+.3f}, slope {told['calibration']['slope']:.3f}"
    return [("weights", weights), ("calibration", line), ("linear", f"C {told['strength']:g}"),
            ("trees", f"{told['rounds']} trees; {trees}")]  # fmt: skip


def _html(figure: go.Figure) -> str:
    return str(
        figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False})
    )
