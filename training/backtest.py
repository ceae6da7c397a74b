"""Backtest: retraining month by month on past deals, model against rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from features.clock import iso
from features.columns import Floats, Ints
from features.errors import DataError
from features.messages import Message
from features.moments import MIN_WINS
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import HOT
from scoring.statistics.metrics import Estimate
from scoring.statistics.paired_differences import Difference, differences, log_loss_gain
from training.fitting.blending import log_loss
from training.fitting.choosing import choose
from training.fitting.dataset import Dataset
from training.fitting.fit import fit
from training.fitting.splits import Split, moment_at_quantile, split_between
from training.progress import StepReporter


@dataclass(frozen=True)
class Month:
    """One month: trained on the outcomes known at its start, evaluated on its examples.

    `differences` are model minus rules at the volume of the rules; `rules_log_loss` is that of the
    scorecard calibrated on the same past.
    """

    name: str
    trained_on: int
    judged: int
    won: int
    log_loss: float
    rules_log_loss: float
    differences: Mapping[str, Difference]


@dataclass(frozen=True)
class Backtest:
    """All months, and model minus rules over all of them.

    `gain` is the log loss of the calibrated scorecard minus that of the model.
    """

    months: list[Month]
    differences: Mapping[str, Difference]
    gain: Estimate


@dataclass(frozen=True)
class _JudgedMonth:
    rows: NDArray[np.intp]
    model: Floats
    points: Floats
    month: Month


def backtest(data: Dataset, months: int, seed: int, report_step: StepReporter) -> Backtest:
    """Retrain for each of the last `months` and evaluate on that month.

    Without dates the examples are split into as many equal parts, oldest first. Raises DataError if
    there is no order, no scorecard, or too little history.
    """
    if not data.examples.ordered:
        raise DataError("The data have no order in time, so there is no past to test on.")
    if not data.card.rows:
        raise DataError("There is no scorecard to compare with: write a scorecard.toml first.")
    judged_months = list(_judge_months(data, months, seed, report_step))
    if not judged_months:
        raise DataError(
            "There is no month before which {min_wins} won leads were known and in which some lead "
            "was won: more closed deals are needed, or a shorter [target] horizon_days.",
            min_wins=MIN_WINS,
        )
    return _combine_months(data, judged_months)


def _judge_months(data: Dataset, months: int, seed: int, report_step: StepReporter) -> Iterator[_JudgedMonth]:
    for name, start, end in _test_periods(data, months):
        split = split_between(data.examples, start, end, seed)
        train = data.take(split.train)
        enough = train.examples.won_leads >= MIN_WINS and not train.won.all()
        if not enough or not data.won[split.test].any():
            report_step(Message("{name}: too few closed deals, left out", name=name))
            continue
        report_step(
            Message(
                "{name}: training on {count:,} examples, judging {judged:,}",
                name=name,
                count=len(split.train),
                judged=len(split.test),
            )
        )
        yield _judge_month(data, train, split, name, seed)


def _judge_month(data: Dataset, train: Dataset, split: Split, name: str, seed: int) -> _JudgedMonth:
    test = data.take(split.test)
    model = fit(train, choose(train, seed), seed)
    leads = model.encode(test.all_columns)
    assert model.points is not None  # the card has rows
    model_log_odds, points = model.log_odds(leads), model.points.log_odds(leads.rating)
    month = Month(
        name,
        len(train),
        len(test),
        int(test.won.sum()),
        log_loss(test.won, model_log_odds),
        log_loss(test.won, points),
        _differences(test, model_log_odds),
    )
    return _JudgedMonth(split.test, model_log_odds, points, month)


def _combine_months(data: Dataset, judged_months: list[_JudgedMonth]) -> Backtest:
    """All months together: each example with the score of the model of its month."""
    test = data.take(np.concatenate([t.rows for t in judged_months]))
    model, points = (
        np.concatenate(scores) for scores in zip(*((t.model, t.points) for t in judged_months), strict=True)
    )
    gain = log_loss_gain(test.labeled, model, points)
    return Backtest([t.month for t in judged_months], _differences(test, model), gain)


def _differences(test: Dataset, model: Floats) -> Mapping[str, Difference]:
    rating = rate(test.card, test.columns)
    return differences(test.labeled, model, rating.rank, rating.stage == HOT)


def _test_periods(data: Dataset, months: int) -> list[tuple[str, int, int]]:
    """Name, start and end (ms) of each period, oldest first: calendar months (UTC) or equal parts."""
    moment = data.examples.moment
    if data.dated:
        starts = _month_starts(moment)[-months - 1 :]
        return [(iso(a)[:7], a, b) for a, b in pairwise(starts)]
    ends = [moment_at_quantile(data.examples, share) for share in np.linspace(0.4, 1, months + 1)]
    ends[-1] += 1
    return [(f"{i}/{months}", a, b) for i, (a, b) in enumerate(pairwise(ends), 1)]


def _month_starts(moment: Ints) -> list[int]:
    """The start of every month that has examples, and of the month after (ms UTC)."""
    first, last = moment.astype("datetime64[ms]").astype("datetime64[M]")[[moment.argmin(), moment.argmax()]]
    months = np.arange(first, last + 2)
    return [int(start) for start in months.astype("datetime64[ms]").astype(np.int64)]
