"""Retraining on the past: only on what was known then, and its figures add up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

import training.backtest as module
from features.columns import Bools
from features.errors import DataError
from features.moments import MIN_WINS
from scoring.model.model import Model
from scoring.scorecard.load import blank_card
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import HOT
from scoring.to_json import to_jsonable
from tests.helpers.builders import DAY, ms
from tests.helpers.evidence_builder import card, rule
from training.backtest import Backtest, backtest
from training.fitting.blending import log_loss
from training.fitting.dataset import Dataset
from training.fitting.recipe import Recipe
from training.fitting.splits import split_between

MONTHS = ("2025-08", "2025-09", "2025-10")
START = {name: ms(*map(int, name.split("-")), 1) for name in (*MONTHS, "2025-11")}


@dataclass
class Watched:
    """What was shown to the recipe and to the fit of each month, the models, and what was said."""

    chosen: list[Dataset] = field(default_factory=list)
    fitted: list[Dataset] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def run(self, data: Dataset, months: int = 3) -> Backtest:
        return backtest(data, months, 0, lambda step: self.messages.append(str(step)))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A backtest that is looked at while it runs. A fixed recipe is fast; fitting is the real one."""
    recorder, fit = Watched(), module.fit

    def choose(train: Dataset, seed: int) -> Recipe:
        recorder.chosen.append(train)
        return Recipe()

    def fitted(train: Dataset, recipe: Recipe, seed: int) -> Model:
        recorder.fitted.append(train)
        recorder.models.append(fit(train, recipe, seed))
        return recorder.models[-1]

    monkeypatch.setattr(module, "choose", choose)
    monkeypatch.setattr(module, "fit", fitted)
    return recorder


@pytest.fixture(scope="module")
def data(small_data: Dataset) -> Dataset:
    """600 leads from January to October 2025, by a card that calls those with three visits hot."""
    busy_card = card(intent={"rows": {"busy": rule("visits", 3, points=20)}})
    return replace(small_data, card=busy_card)


def with_won(data: Dataset, won: Bools) -> Dataset:
    return replace(data, examples=replace(data.examples, won=won))


def judged(data: Dataset, name: str) -> Dataset:
    """The examples that a month is judged on."""
    after = list(START.values())[list(START).index(name) + 1]
    return data.take(split_between(data.examples, START[name], after, 0).test)


def same(a: Dataset, b: Dataset) -> bool:
    """Equal examples with equal outcomes."""
    names = ("lead", "moment", "won")
    return all(np.array_equal(getattr(a.examples, n), getattr(b.examples, n)) for n in names)


# -- nothing sees the future -----------------------------------------------------------------------


def test_each_month_sees_only_outcomes_that_were_known_at_its_start(data: Dataset, watched: Watched) -> None:
    watched.run(data)
    assert len(watched.chosen) == len(watched.fitted) == 3
    for name, chosen, fitted in zip(MONTHS, watched.chosen, watched.fitted, strict=True):
        assert chosen is fitted
        assert (fitted.examples.known_at <= START[name]).all()
        assert (fitted.examples.moment < START[name]).all()
        assert fitted.examples.known_at.max() > START[name] - 5 * DAY  # and all that was
        test = judged(data, name)
        assert not set(fitted.examples.group) & set(test.examples.group)


def test_what_comes_later_changes_nothing_before(data: Dataset, watched: Watched) -> None:
    later = data.examples.moment >= START["2025-09"]
    before = watched.run(data)
    after = watched.run(with_won(data, np.where(later, ~data.won, data.won)))
    assert to_jsonable(after.months[0]) == to_jsonable(before.months[0])
    assert to_jsonable(after.months[1]) != to_jsonable(before.months[1])


def test_outcomes_that_come_in_after_its_start_do_not_reach_a_months_model(
    data: Dataset, watched: Watched
) -> None:
    """The leads of late August are open in September: what became of them is not learnt then."""
    open_then = data.examples.known_at > START["2025-09"]
    assert (open_then & (data.examples.moment < START["2025-09"])).any()
    watched.run(data)
    watched.run(with_won(data, np.where(open_then, ~data.won, data.won)))
    assert same(watched.fitted[1], watched.fitted[4])
    assert watched.models[1].version == watched.models[4].version
    assert not same(watched.fitted[2], watched.fitted[5])  # by October they are known


# -- figures ---------------------------------------------------------------------------------------


def test_months_are_counted(data: Dataset, watched: Watched) -> None:
    months = watched.run(data).months
    assert [month.name for month in months] == list(MONTHS)
    for month, train, model in zip(months, watched.fitted, watched.models, strict=True):
        test = judged(data, month.name)
        assert month.trained_on == len(train)
        assert (month.judged, month.won) == (len(test), int(test.won.sum()))
        leads = model.encode(test.columns)
        assert month.log_loss == pytest.approx(log_loss(test.won, model.log_odds(leads)))
        assert model.points is not None
        rules = log_loss(test.won, model.points.log_odds(leads.rating))
        assert month.rules_log_loss == pytest.approx(rules)
        hot = rate(data.card, test.columns).stage == HOT
        assert month.differences["win_rate"].old.value == pytest.approx(test.won[hot].mean())


def test_all_months_together_add_up(data: Dataset, watched: Watched) -> None:
    result = watched.run(data)
    count = np.array([month.judged for month in result.months])
    gains = [month.rules_log_loss - month.log_loss for month in result.months]
    assert result.gain.value == pytest.approx(float(count @ gains / count.sum()))
    parts = [judged(data, name) for name in MONTHS]
    hot = [rate(data.card, part.columns).stage == HOT for part in parts]
    won = sum(int(part.won[h].sum()) for part, h in zip(parts, hot, strict=True))
    old = result.differences["win_rate"].old.value
    assert old == pytest.approx(won / sum(int(h.sum()) for h in hot))
    assert result.gain.low < result.gain.value < result.gain.high


def test_fewer_months_are_the_last_ones(data: Dataset, watched: Watched) -> None:
    assert [month.name for month in watched.run(data, 1).months] == ["2025-10"]


def test_each_step_is_said(data: Dataset, watched: Watched) -> None:
    month = watched.run(data, 1).months[0]
    assert watched.messages == [
        f"2025-10: training on {month.trained_on:,} examples, judging {month.judged:,}"
    ]


# -- what is left out ------------------------------------------------------------------------------


def test_a_month_without_a_win_is_left_out_with_a_word(data: Dataset, watched: Watched) -> None:
    september = (data.examples.moment >= START["2025-09"]) & (data.examples.moment < START["2025-10"])
    result = watched.run(with_won(data, data.won & ~september))
    assert [month.name for month in result.months] == ["2025-08", "2025-10"]
    assert "2025-09: too few closed deals, left out" in watched.messages
    assert len(watched.fitted) == 2


def test_months_before_enough_leads_were_won_are_left_out(data: Dataset, watched: Watched) -> None:
    """More months than there are: those of the first winter have no past to learn from."""
    result = watched.run(data, 60)
    left_out = [line[:7] for line in watched.messages if "left out" in line]
    assert left_out[:2] == ["2025-01", "2025-02"]
    assert [*left_out, *(month.name for month in result.months)] == [
        f"2025-{month:02d}" for month in range(1, 11)
    ]
    assert min(train.examples.won_leads for train in watched.fitted) >= MIN_WINS


def test_a_past_of_nothing_but_wins_is_left_out(data: Dataset, watched: Watched) -> None:
    """Of won leads alone nothing can be learnt."""
    early = data.examples.known_at <= START["2025-09"]
    result = watched.run(with_won(data, data.won | early))
    assert [month.name for month in result.months] == ["2025-10"]


def test_where_no_month_is_left_it_says_what_is_missing(data: Dataset, watched: Watched) -> None:
    few = data.won & (np.cumsum(data.won) <= MIN_WINS // 2)
    with pytest.raises(DataError, match=r"20 won leads.*more closed deals.*horizon_days"):
        watched.run(with_won(data, few))


# -- without dates ---------------------------------------------------------------------------------


def ranked(data: Dataset) -> Dataset:
    """The same examples in their order, without dates."""
    rank = np.arange(len(data), dtype=np.int64)
    examples = replace(data.examples, moment=rank, known_at=rank)
    return replace(data, examples=examples, dated=False)


def test_undated_deals_fall_into_stretches_oldest_first(data: Dataset, watched: Watched) -> None:
    result = watched.run(ranked(data), 4)
    assert [month.name for month in result.months] == ["1/4", "2/4", "3/4", "4/4"]
    sizes = [month.judged for month in result.months]
    assert max(sizes) < 1.3 * min(sizes)
    first = int(0.4 * len(data))
    assert watched.fitted[0].examples.moment.max() < first
    for earlier, later in zip(watched.fitted, watched.fitted[1:], strict=False):
        assert earlier.examples.moment.max() < later.examples.moment.max()


def test_last_stretch_reaches_the_last_deal(data: Dataset, watched: Watched) -> None:
    """Every lead has a group of its own here, so nothing is lost to the lot."""
    undated = ranked(data)
    examples = replace(undated.examples, group=np.arange(len(data), dtype=np.int32))
    result = watched.run(replace(undated, examples=examples), 3)
    assert sum(month.judged for month in result.months) == len(data) - int(0.4 * len(data))


# -- what cannot be done ---------------------------------------------------------------------------


def test_without_an_order_there_is_no_past(data: Dataset, watched: Watched) -> None:
    examples = replace(data.examples, ordered=False)
    with pytest.raises(DataError, match="no order in time"):
        watched.run(replace(data, examples=examples))


def test_without_a_scorecard_there_is_nothing_to_compare_with(data: Dataset, watched: Watched) -> None:
    with pytest.raises(DataError, match=r"no scorecard.*scorecard\.toml"):
        watched.run(replace(data, card=blank_card()))
    assert watched.fitted == []


def test_json_holds_all_of_it(data: Dataset, watched: Watched) -> None:
    values: dict[str, Any] = to_jsonable(watched.run(data, 1))
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert set(values) == {"months", "differences", "gain"}
