"""A scorecard learnt from closed deals: few rows, whole points, and the evidence for each row.

It is learnt on the older deals and evaluated on the newer ones against the present card. The suggested
card is the evaluated one; it is not refitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.errors import DataError
from features.moments import MIN_WINS
from scoring.scorecard.rating import Rating, rate
from scoring.scorecard.scorecard import HOT, Scorecard
from scoring.statistics.paired_differences import Difference, differences
from scoring.statistics.rates import Rate, Rates
from training.fitting.dataset import Dataset
from training.fitting.splits import split_newest
from training.scorecard.forward_selection import select_rows
from training.scorecard.points import draft_scorecard
from training.scorecard.row_count import choose_row_count

MAX_EXAMPLES = 100_000
"""Maximum number of examples for choosing rows and points; more are sampled."""


@dataclass(frozen=True)
class RuleEvidence:
    """Win rates of the leads for which a rule holds, in the older and in the newer deals."""

    learnt: Rate
    newer: Rate


@dataclass(frozen=True)
class Suggestion:
    """A suggested card, the evidence for its rules, and its gain over the present card.

    `evidence` is by table and name of the rule, such as "intent.rows.price_page"; `all` is that of all
    leads. `gain` is measured on the newer deals, by the names in
    `scoring.statistics.paired_differences.MEASURED`; at equal volume both cards call `called` leads.
    `cutoff` (ms UTC) separates the deals in time, None without dates. Unless `ordered`, the evaluated deals
    are a random sample instead of the newer ones.
    """

    card: Scorecard
    present: Scorecard
    evidence: Mapping[str, RuleEvidence]
    all: RuleEvidence
    gain: Mapping[str, Difference]
    called: int
    learnt_examples: int
    judged_examples: int
    cutoff: int | None
    ordered: bool


def suggest(data: Dataset, oldest: float = 0.8, max_rows: int = 16, seed: int = 0) -> Suggestion:
    """Learn a card of at most `max_rows` rows on the `oldest` share of the examples, evaluate on the rest.

    Raises DataError if too few leads were won, or no row gets points.
    """
    split = split_newest(data.examples, seed, 1 - oldest)
    older, newer = data.take(split.train), data.take(split.test)
    _check_enough(data, older, newer)
    learnt_from = older if data.examples.ordered else data
    card = _learn_card(older.sampled(MAX_EXAMPLES, seed), max_rows, seed).model_copy(
        update={"learnt_through": int(learnt_from.examples.moment.max())}
    )
    learnt, judged = (rate(card, part.columns) for part in (older, newer))
    rules, everyone = _collect_evidence(card, (older, learnt), (newer, judged), seed)
    present = rate(data.card, newer.columns)
    return Suggestion(
        card=card,
        present=data.card,
        evidence=rules,
        all=everyone,
        gain=differences(newer.labeled, judged.rank, present.rank, present.stage == HOT, seed=seed),
        called=int((present.stage == HOT).sum()),
        learnt_examples=len(older),
        judged_examples=len(newer),
        cutoff=split.cutoff if data.dated else None,
        ordered=data.examples.ordered,
    )


def _learn_card(data: Dataset, max_rows: int, seed: int) -> Scorecard:
    steps = select_rows(data, choose_row_count(data, max_rows, seed))
    return draft_scorecard(data, steps.rows, steps.weights[-1])


def _check_enough(data: Dataset, older: Dataset, newer: Dataset) -> None:
    all_wins = data.examples.won_leads
    if all_wins < MIN_WINS:
        raise DataError(
            "Points are learnt from {min_wins} or more won leads; there are {all_wins}: "
            "{more} more are missing. Until then begin with a profile: a scorecard.toml "
            'with the line profile = "b2b_saas".',
            min_wins=MIN_WINS,
            all_wins=all_wins,
            more=MIN_WINS - all_wins,
        )
    wins = older.examples.won_leads
    if wins < MIN_WINS:
        raise DataError(
            "Points are learnt from {min_wins} or more won leads; among the older deals there are {wins}: "
            "{more} more are missing. Learn from a larger share of the deals (--oldest), or "
            "come back later.",
            min_wins=MIN_WINS,
            wins=wins,
            more=MIN_WINS - wins,
        )
    if older.won.all():
        raise DataError(
            "The older deals hold won leads only: there is nothing to tell apart. Look at `won`, `lost` "
            "and `ignore` in [deals], and whether the export holds lost deals."
        )
    if not newer.won.any():
        raise DataError(
            "No lead of the newer deals was won, so a suggestion could not be judged. Learn from a smaller "
            "share of the deals (--oldest), or come back later."
        )


def _collect_evidence(
    card: Scorecard, older: tuple[Dataset, Rating], newer: tuple[Dataset, Rating], seed: int
) -> tuple[dict[str, RuleEvidence], RuleEvidence]:
    """The evidence for each rule, and that of all leads."""
    side_rates = [_measure_rates(data, rating, seed) for data, rating in (older, newer)]
    rule_evidence = [RuleEvidence(*pair) for pair in zip(*side_rates, strict=True)]
    names = [f"{table}.{name}" for table, name, _ in card.rules()]
    return dict(zip(names, rule_evidence[1:], strict=True)), rule_evidence[0]


def _measure_rates(data: Dataset, rating: Rating, seed: int) -> list[Rate]:
    """The win rate of all leads, then that of each rule of the card."""
    rates = Rates(data.won, data.examples.group, seed=seed)
    everyone = np.ones((len(data), 1), dtype=np.bool_)
    holds = np.hstack([everyone, rating.fired, rating.triggers, rating.exclusions])
    return [rates.rate(mask) for mask in holds.T]
