"""The charts of a model's evidence, as Plotly figures, in both languages."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from rich.cells import cell_len, set_cell_size

from features.clock import iso
from features.columns import Floats
from features.kinds import Language
from features.table import FeatureTable
from scoring.model.evidence import Evidence
from scoring.model.model import Explanation, sigmoid
from scoring.pages.theme import GREY, MODEL, RULES
from scoring.statistics.metrics import calibration_bands
from scoring.texts import translate

_BLUE, _ORANGE, _GREY = MODEL, RULES, GREY
_MAX_FEATURES, _PERIODS, _MAX_LABEL_WIDTH = 15, 12, 48


def draw_evidence(
    evidence: Evidence, explanation: Explanation, table: FeatureTable, dated: bool, lang: Language
) -> dict[str, go.Figure]:
    """The charts of the report by name; the win rate over time only if the examples have an order."""
    charts = {
        "calibration": _calibration(evidence, lang),
        "gains": _gains(evidence, lang),
        "scores": _scores(evidence, lang),
        "importance": _importance(explanation, table, lang),
    }
    if evidence.moment.min() < evidence.moment.max():
        charts["win_rate"] = _win_rate(evidence, dated, lang)
    return charts


def _calibration(evidence: Evidence, lang: Language) -> go.Figure:
    probability = _probability(evidence)
    bands = calibration_bands(evidence.won, probability)
    predicted, observed = [band.predicted for band in bands], [band.observed for band in bands]
    top = max(*predicted, *observed) * 1.1
    figure = _new_figure("axis_probability", "axis_win_rate", lang)
    _add_diagonal(figure, top, translate("series_perfect", lang))
    error = {"array": [band.error for band in bands]}
    label = translate("model", lang)
    _add_line(figure, predicted, observed, label, _BLUE, mode="markers+lines", error_y=error)
    return _format_axes_percent(figure)


def _gains(evidence: Evidence, lang: Language) -> go.Figure:
    figure = _new_figure("axis_share", "axis_wins", lang)
    share = np.linspace(0, 1, 101)
    for name, colour in (("model", _BLUE), ("baseline_logistic", _ORANGE)):
        order = np.argsort(-evidence.scores[name], kind="stable")
        wins = np.concatenate([[0], np.cumsum(evidence.won[order])]) / max(evidence.won.sum(), 1)
        positions = (share * len(order)).astype(int)
        _add_line(figure, share, wins[positions], translate(name, lang), colour)
    _add_diagonal(figure, 1, translate("series_random", lang))
    return _format_axes_percent(figure)


def _scores(evidence: Evidence, lang: Language) -> go.Figure:
    probability = _probability(evidence)
    figure = _new_figure("axis_probability", "axis_leads", lang)
    edges = np.linspace(0, 1, 41)
    for name, rows, colour in (("series_won", evidence.won, _ORANGE), ("series_other", ~evidence.won, _BLUE)):
        share = np.histogram(probability[rows], edges)[0] / max(rows.sum(), 1)
        middle, label = (edges[:-1] + edges[1:]) / 2, translate(name, lang)
        figure.add_bar(x=middle, y=share, name=label, marker_color=colour, opacity=0.65)
    figure.update_layout(barmode="overlay", bargap=0)
    return _format_axes_percent(figure)


def _importance(explanation: Explanation, table: FeatureTable, lang: Language) -> go.Figure:
    """One bar per feature, below its label: labels to the left would leave no room on a phone."""
    size = measure_importance(explanation)
    order = np.argsort(size)[-_MAX_FEATURES:]
    labels = [_shorten(table.label(explanation.features[i], lang)) for i in order]
    figure = go.Figure()
    figure.add_bar(
        x=size[order],
        orientation="h",
        width=0.4,
        marker_color=_BLUE,
        customdata=labels,
        hovertemplate="%{customdata}: %{x:.3f}<extra></extra>",
    )
    for position, label in enumerate(labels):
        figure.add_annotation(x=0, y=position, text=label, showarrow=False, xanchor="left", yshift=15)
    figure.update_layout(
        template="plotly_white", height=70 + 36 * len(order), margin={"l": 10, "r": 20, "t": 20, "b": 40}
    )
    figure.update_yaxes(visible=False, range=[-0.5, len(order)])
    return figure


def _shorten(label: str) -> str:
    fits = cell_len(label) <= _MAX_LABEL_WIDTH
    return label if fits else f"{set_cell_size(label, _MAX_LABEL_WIDTH - 1).rstrip()}…"


def measure_importance(explanation: Explanation) -> Floats:
    """The mean absolute contribution of each feature, in log-odds."""
    return np.asarray(np.abs(explanation.contributions).mean(axis=0), dtype=np.float64)


def _win_rate(evidence: Evidence, dated: bool, lang: Language) -> go.Figure:
    parts = [p for p in np.array_split(np.argsort(evidence.moment, kind="stable"), _PERIODS) if len(p)]
    median_moments = [int(np.median(evidence.moment[part])) for part in parts]
    x = [iso(moment)[:10] for moment in median_moments] if dated else list(range(1, len(parts) + 1))
    figure = _new_figure("axis_time", "axis_win_rate", lang)
    series = (("series_told", _probability(evidence), _BLUE), ("series_found", evidence.won, _ORANGE))
    for name, values, colour in series:
        means = [values[part].mean() for part in parts]
        _add_line(figure, x, means, translate(name, lang), colour, mode="lines+markers")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def _probability(evidence: Evidence) -> Floats:
    return sigmoid(evidence.scores["model"])


def _new_figure(x: str, y: str, lang: Language) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        height=380,
        margin={"l": 60, "r": 20, "t": 40, "b": 50},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis_title=translate(x, lang),
        yaxis_title=translate(y, lang),
    )
    figure.update_xaxes(ticklabelstandoff=6)
    return figure


def _add_line(
    figure: go.Figure, x: Any, y: Any, name: str, colour: str, mode: str = "lines", **options: Any
) -> None:
    figure.add_scatter(x=x, y=y, mode=mode, name=name, line={"color": colour}, **options)


def _add_diagonal(figure: go.Figure, top: float, name: str) -> None:
    """A dotted line from 0 to `top` for comparison."""
    figure.add_scatter(x=[0, top], y=[0, top], mode="lines", name=name, line={"color": _GREY, "dash": "dot"})


def _format_axes_percent(figure: go.Figure) -> go.Figure:
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".0%")
    return figure
