"""Results of the functions of `hotlead`: figures as data frames, and pages that a notebook shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import pandas as pd

from features.kinds import Language
from scoring.evaluation.replay import CardReplay
from scoring.pages.page import Block, Chart, Page, apply_theme, to_fragment, to_html
from scoring.scorecard.scorecard import STAGES
from scoring.statistics.rates import Rate
from training.compare import Comparison
from training.pyfunc import ScoringModel
from training.registry.registration import figures_frame
from training.train import TrainingRun

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ResultPage(Generic[_Result]):
    """A result and its page. A notebook shows the page; `result` holds the figures."""

    result: _Result
    lang: Language
    make_page: Callable[[Language], Page]

    def to_html(self) -> str:
        """The page as one HTML file that needs no network."""
        return to_html(self.make_page(self.lang))

    def _ipython_display_(self) -> None:
        # only in a notebook, where IPython is
        from IPython.display import display

        display(*_outputs(self.make_page(self.lang).blocks))


@dataclass(frozen=True)
class TrainedModel(ResultPage[TrainingRun]):
    """A finished training; its page is the report."""

    @property
    def model(self) -> ScoringModel:
        """The model that was registered, fitted on all closed deals."""
        return ScoringModel(self.result.record.trained.model)

    @property
    def version(self) -> str:
        """The number of its version in the registry."""
        return self.result.registration.version

    @property
    def run_id(self) -> str:
        """Its run in MLflow."""
        return self.result.registration.run_id

    @property
    def report(self) -> Path:
        """The report as an HTML file."""
        return self.result.report

    @property
    def metrics(self) -> pd.DataFrame:
        """The figures on the newest deals by `model` and `metric`: `value`, and its 95 % interval."""
        return figures_frame(self.result.record.trained).set_index(["model", "metric"])

    @property
    def learning_curve(self) -> pd.Series:
        """The log loss on the newest deals by number of trees."""
        curve = self.result.record.trained.evaluation.learning_curve
        return pd.Series(curve, name="log_loss").rename_axis("trees")


@dataclass(frozen=True)
class RulesComparison(ResultPage[Comparison]):
    """Model and rules on the newest closed deals."""

    @property
    def agreement(self) -> pd.DataFrame:
        """The win rate by stage of the rules (`rules`) and of the model (`model`), with its counts."""
        cells = self.result.result.agreement
        rates = {(STAGES[r], STAGES[m]): rate for r, row in enumerate(cells) for m, rate in enumerate(row)}
        return _rates_frame(rates, ["rules", "model"])

    @property
    def disagreements(self) -> pd.DataFrame:
        """The deals whose two scores lie furthest apart; the index is the `row` of `reasons`.

        `lead` is a pseudonym, `moment` in UTC.
        """
        deals = [vars(deal) for deal in self.result.result.disputes]
        columns = ["row", "lead", "moment", "model_score", "probability", "rules_score", "won"]
        frame = pd.DataFrame(deals, columns=columns).set_index("row")
        if self.result.result.evidence.dated:
            frame["moment"] = pd.to_datetime(frame["moment"], unit="ms", utc=True)
        return frame

    def reasons(self, row: int, side: Literal["model", "rules"]) -> pd.Series:
        """What moved a score, in words: log-odds of the model or points of the rules."""
        comparison = self.result
        table = comparison.registered_model.model.table
        reasons = (
            comparison.result.model_reasons(row, table, self.lang)
            if side == "model"
            else comparison.result.rules_reasons(row, self.lang)
        )
        return pd.Series({reason.text: reason.weight for reason in reasons}, name=side, dtype=np.float64)

    @property
    def rules(self) -> pd.DataFrame:
        """The effect of each rule, trigger and exclusion: `adds` is the average precision lost without it."""
        result = self.result.result
        effects = CardReplay(result.evidence, result.card, result.card).rows
        rows = [
            (e.table, e.name, e.points, e.holds.count, e.holds.value, e.adds.value, e.adds.low, e.adds.high)
            for e in effects
        ]
        columns = ["table", "rule", "points", "holds", "win_rate", "adds", "low", "high"]
        return pd.DataFrame(rows, columns=columns).sort_values("adds", ignore_index=True)


def _rates_frame(rates: Mapping[Any, Rate], names: list[str]) -> pd.DataFrame:
    rows = [(rate.count, rate.won, rate.value, rate.low, rate.high) for rate in rates.values()]
    index = pd.MultiIndex.from_tuples(list(rates), names=names)
    return pd.DataFrame(rows, index=index, columns=["count", "won", "win_rate", "low", "high"])


def _outputs(blocks: tuple[Block, ...]) -> Iterator[Any]:
    # as above
    from IPython.display import HTML

    for is_chart, group in groupby(blocks, lambda block: isinstance(block, Chart)):
        if is_chart:
            yield from (apply_theme(chart.figure()) for chart in group if isinstance(chart, Chart))
        else:
            yield HTML(to_fragment(list(group)))
