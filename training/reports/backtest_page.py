"""The page of `hotlead backtest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.kinds import Language
from scoring.pages.cells import difference_cell
from scoring.pages.charts import lines
from scoring.pages.formats import format_share
from scoring.pages.page import Cell, CellValue, Chart, Page, Table, Text
from scoring.pages.tables import verdict
from scoring.texts import translate
from training.backtest import Backtest, Month

if TYPE_CHECKING:
    import plotly.graph_objects as go


def backtest_page(backtest: Backtest, name: str, lang: Language) -> Page:
    """The figures of every month, and the verdict over all months."""
    columns = (
        "backtest_month",
        "backtest_trained",
        "backtest_judged",
        "backtest_loss",
        "backtest_auc",
        "backtest_win_rate",
        "difference",
    )
    table = Table(
        tuple(translate(c, lang) for c in columns), tuple(_month_row(m, lang) for m in backtest.months)
    )
    blocks = (Text(backtest_verdict(backtest, lang), "verdict"), table, Chart(lambda: _chart(backtest, lang)))
    title = translate("backtest_title", lang, name=name)
    return Page(title, blocks, lang, translate("interval_note", lang))


def backtest_verdict(backtest: Backtest, lang: Language) -> str:
    """Whether the model is better than the rules over all months, in one sentence."""
    return verdict("backtest", backtest.differences["win_rate"], lang, months=len(backtest.months))


def _month_row(month: Month, lang: Language) -> tuple[Cell, ...]:
    rates, auc = month.differences["win_rate"], month.differences["roc_auc"]
    return (
        month.name,
        f"{month.trained_on:,}",
        CellValue(f"{month.judged:,}", f"{translate('won', lang)} {month.won:,}"),
        f"{month.log_loss:.4f} / {month.rules_log_loss:.4f}",
        f"{auc.new.value:.3f} / {auc.old.value:.3f}",
        f"{format_share(rates.new.value)} / {format_share(rates.old.value)}",
        difference_cell("win_rate", rates),
    )


def _chart(backtest: Backtest, lang: Language) -> go.Figure:
    names = [month.name for month in backtest.months]
    rates = [month.differences["win_rate"] for month in backtest.months]
    series = {
        translate("side_model", lang): [r.new.value for r in rates],
        translate("side_rules", lang): [r.old.value for r in rates],
    }
    figure = lines(names, series, translate("win_rate", lang))
    return figure.update_yaxes(tickformat=".0%").update_xaxes(type="category")
