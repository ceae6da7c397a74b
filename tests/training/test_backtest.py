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
from scoring.to_json import plain
from tests.helpers.builders import DAY, ms
from tests.helpers.evidence_builder import card, rule
from training.backtest import Backtest, backtest
from training.fitting.blending import log_loss
from training.fitting.recipe import Data, Recipe
from training.fitting.splits import between

MONTHS = ("2025-08", "2025-09", "2025-10")
START = {name: ms(*map(int, name.split("-")), 1) for name in (*MONTHS, "2025-11")}


@dataclass
class Watched:
    """What was shown to the recipe and to the fit of each month, the models, and what was said."""

    chosen: list[Data] = field(default_factory=list)
    fitted: list[Data] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def run(self, data: Data, months: int = 3) -> Backtest:
        return backtest(data, months, 0, self.said.append)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A backtest that is looked at while it runs. A fixed recipe is quick; fitting is the real one."""
    told, fit = Watched(), module.fit

    def choose(train: Data, seed: int) -> Recipe:
        told.chosen.append(train)
        return Recipe(rounds=10)

    def fitted(train: Data, recipe: Recipe, seed: int) -> Model:
        told.fitted.append(train)
        told.models.append(fit(train, recipe, seed))
        return told.models[-1]

    monkeypatch.setattr(module, "choose", choose)
    monkeypatch.setattr(module, "fit", fitted)
    return told


@pytest.fixture(scope="module")
def data(small_data: Data) -> Data:
    """600 leads from January to October 2025, by a card that calls those with three visits hot."""
    told = card(intent={"rows": {"busy": rule("visits", 3, points=20)}})
    return replace(small_data, card=told)


def with_won(data: Data, won: Bools) -> Data:
    return replace(data, examples=replace(data.examples, won=won))


def judged(data: Data, name: str) -> Data:
    """The examples that a month is judged on."""
    after = list(START.values())[list(START).index(name) + 1]
    return data.take(between(data.examples, START[name], after, 0).test)


def same(a: Data, b: Data) -> bool:
    """Equal examples with equal outcomes."""
    names = ("lead", "moment", "won")
    return all(np.array_equal(getattr(a.examples, n), getattr(b.examples, n)) for n in names)


# -- nothing sees the future -----------------------------------------------------------------------


def test_each_month_sees_only_outcomes_that_were_known_at_its_start(data: Data, watched: Watched) -> None:
    watched.run(data)
    assert len(watched.chosen) == len(watched.fitted) == 3
    for name, chosen, fitted in zip(MONTHS, watched.chosen, watched.fitted, strict=True):
        assert chosen is fitted
        assert (fitted.examples.known_at <= START[name]).all()
        assert (fitted.examples.moment < START[name]).all()
        assert fitted.examples.known_at.max() > START[name] - 5 * DAY  # and all that was
        test = judged(data, name)
        assert not set(fitted.examples.group) & set(test.examples.group)


def test_what_comes_later_changes_nothing_before(data: Data, watched: Watched) -> None:
    later = data.examples.moment >= START["2025-09"]
    before = watched.run(data)
    after = watched.run(with_won(data, np.where(later, ~data.won, data.won)))
    assert plain(after.months[0]) == plain(before.months[0])
    assert plain(after.months[1]) != plain(before.months[1])


def test_outcomes_that_come_in_after_its_start_do_not_reach_a_months_model(
    data: Data, watched: Watched
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


def test_months_are_counted(data: Data, watched: Watched) -> None:
    told = watched.run(data).months
    assert [month.name for month in told] == list(MONTHS)
    for month, train, model in zip(told, watched.fitted, watched.models, strict=True):
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


def test_all_months_together_add_up(data: Data, watched: Watched) -> None:
    told = watched.run(data)
    count = np.array([month.judged for month in told.months])
    gains = [month.rules_log_loss - month.log_loss for month in told.months]
    assert told.gain.value == pytest.approx(float(count @ gains / count.sum()))
    parts = [judged(data, name) for name in MONTHS]
    hot = [rate(data.card, part.columns).stage == HOT for part in parts]
    won = sum(int(part.won[h].sum()) for part, h in zip(parts, hot, strict=True))
    old = told.differences["win_rate"].old.value
    assert old == pytest.approx(won / sum(int(h.sum()) for h in hot))
    assert told.gain.low < told.gain.value < told.gain.high


def test_fewer_months_are_the_last_ones(data: Data, watched: Watched) -> None:
    assert [month.name for month in watched.run(data, 1).months] == ["2025-10"]


def test_each_step_is_said(data: Data, watched: Watched) -> None:
    told = watched.run(data, 1).months[0]
    assert watched.said == [f"2025-10: training on {told.trained_on:,} examples, judging {told.judged:,}"]


# -- what is left out ------------------------------------------------------------------------------


def test_a_month_without_a_win_is_left_out_with_a_word(data: Data, watched: Watched) -> None:
    september = (data.examples.moment >= START["2025-09"]) & (data.examples.moment < START["2025-10"])
    told = watched.run(with_won(data, data.won & ~september))
    assert [month.name for month in told.months] == ["2025-08", "2025-10"]
    assert "2025-09: too few closed deals, left out" in watched.said
    assert len(watched.fitted) == 2


def test_months_before_enough_leads_were_won_are_left_out(data: Data, watched: Watched) -> None:
    """More months than there are: those of the first winter have no past to learn from."""
    told = watched.run(data, 60)
    left_out = [line[:7] for line in watched.said if "left out" in line]
    assert left_out[:2] == ["2025-01", "2025-02"]
    assert [*left_out, *(month.name for month in told.months)] == [
        f"2025-{month:02d}" for month in range(1, 11)
    ]
    assert min(train.examples.won_leads for train in watched.fitted) >= MIN_WINS


def test_a_past_of_nothing_but_wins_is_left_out(data: Data, watched: Watched) -> None:
    """Of won leads alone nothing can be learnt."""
    early = data.examples.known_at <= START["2025-09"]
    told = watched.run(with_won(data, data.won | early))
    assert [month.name for month in told.months] == ["2025-10"]


def test_where_no_month_is_left_it_says_what_is_missing(data: Data, watched: Watched) -> None:
    few = data.won & (np.cumsum(data.won) <= MIN_WINS // 2)
    with pytest.raises(DataError, match=r"20 won leads.*more closed deals.*horizon_days"):
        watched.run(with_won(data, few))


# -- without dates ---------------------------------------------------------------------------------


def ranked(data: Data) -> Data:
    """The same examples in their order, without dates."""
    rank = np.arange(len(data), dtype=np.int64)
    examples = replace(data.examples, moment=rank, known_at=rank)
    return replace(data, examples=examples, dated=False)


def test_undated_deals_fall_into_stretches_oldest_first(data: Data, watched: Watched) -> None:
    told = watched.run(ranked(data), 4)
    assert [month.name for month in told.months] == ["1/4", "2/4", "3/4", "4/4"]
    sizes = [month.judged for month in told.months]
    assert max(sizes) < 1.3 * min(sizes)
    first = int(0.4 * len(data))
    assert watched.fitted[0].examples.moment.max() < first
    for earlier, later in zip(watched.fitted, watched.fitted[1:], strict=False):
        assert earlier.examples.moment.max() < later.examples.moment.max()


def test_last_stretch_reaches_the_last_deal(data: Data, watched: Watched) -> None:
    """Every lead has a group of its own here, so nothing is lost to the lot."""
    alone = ranked(data)
    examples = replace(alone.examples, group=np.arange(len(data), dtype=np.int32))
    told = watched.run(replace(alone, examples=examples), 3)
    assert sum(month.judged for month in told.months) == len(data) - int(0.4 * len(data))


# -- what cannot be done ---------------------------------------------------------------------------


def test_without_an_order_there_is_no_past(data: Data, watched: Watched) -> None:
    examples = replace(data.examples, ordered=False)
    with pytest.raises(DataError, match="no order in time"):
        watched.run(replace(data, examples=examples))


def test_without_a_scorecard_there_is_nothing_to_compare_with(data: Data, watched: Watched) -> None:
    with pytest.raises(DataError, match=r"no scorecard.*scorecard\.toml"):
        watched.run(replace(data, card=blank_card()))
    assert watched.fitted == []


def test_json_holds_all_of_it(data: Data, watched: Watched) -> None:
    told: dict[str, Any] = plain(watched.run(data, 1))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert set(told) == {"months", "differences", "gain"}
