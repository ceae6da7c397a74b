"""The page of `hotlead backtest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.kinds import Language
from scoring.pages.cells import difference_cell, percent
from scoring.pages.charts import lines
from scoring.pages.page import Cell, Chart, Page, Table, Text, Value
from scoring.pages.tables import verdict
from scoring.texts import say
from training.backtest import Backtest, Month

if TYPE_CHECKING:
    import plotly.graph_objects as go


def backtest_page(told: Backtest, name: str, lang: Language) -> Page:
    """Every month, and the verdict over all."""
    columns = (
        "backtest_month",
        "backtest_trained",
        "backtest_judged",
        "backtest_loss",
        "backtest_auc",
        "backtest_win_rate",
        "difference",
    )
    table = Table(tuple(say(c, lang) for c in columns), tuple(_row(m, lang) for m in told.months))
    blocks = (
        Text(backtest_verdict(told, lang), "verdict"),
        table,
        Chart(lambda: _chart(told, lang)),
    )
    title = say("backtest_title", lang, name=name)
    return Page(title, blocks, lang, say("interval_note", lang))


def backtest_verdict(told: Backtest, lang: Language) -> str:
    """Model or rules, over all months, in one sentence."""
    return verdict("backtest", told.differences["win_rate"], lang, months=len(told.months))


def _row(month: Month, lang: Language) -> tuple[Cell, ...]:
    rates, auc = month.differences["win_rate"], month.differences["roc_auc"]
    return (
        month.name,
        f"{month.trained_on:,}",
        Value(f"{month.judged:,}", f"{say('won', lang)} {month.won:,}"),
        f"{month.log_loss:.4f} / {month.rules_log_loss:.4f}",
        f"{auc.new.value:.3f} / {auc.old.value:.3f}",
        f"{percent(rates.new.value)} / {percent(rates.old.value)}",
        difference_cell("win_rate", rates),
    )


def _chart(told: Backtest, lang: Language) -> go.Figure:
    names = [month.name for month in told.months]
    rates = [month.differences["win_rate"] for month in told.months]
    series = {
        say("side_model", lang): [r.new.value for r in rates],
        say("side_rules", lang): [r.old.value for r in rates],
    }
    figure = lines(names, series, say("win_rate", lang))
    return figure.update_yaxes(tickformat=".0%").update_xaxes(type="category")
