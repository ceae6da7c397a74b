from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.columns import Texts
from tests.helpers.suggestion_deals import INDUSTRIES, TABLE, conditions, data_of
from training.fitting.dataset import Dataset
from training.scorecard.candidates import find_candidates, round_number
from training.scorecard.forward_selection import fit_signed_weights
from training.scorecard.suggest import Suggestion, suggest


def test_signs_that_common_sense_fixes_stay_fixed(suggestion: Suggestion, from_nothing: Suggestion) -> None:
    """Complaints lose deals here, but more of a behaviour only lowers points where the card says so."""
    for card in (suggestion.card, from_nothing.card):
        assert all(points > 0 for _, points in conditions(card, "visits"))
        assert all(
            condition.at_most and points > 0
            for condition, points in conditions(card, "silent_days")
            if condition.at_least is None
        )
        assert not conditions(card, "complaints")
    assert conditions(suggestion.card, "unsubscribed")
    for name in ("unsubscribed", "since_unsubscribed"):
        assert all(points < 0 for _, points in conditions(suggestion.card, name))
    assert not conditions(from_nothing.card, "unsubscribed")


def test_what_is_bad_stays_bad_in_every_feature_that_counts_it(data: Dataset) -> None:
    """The card takes points away for unsubscribing, so a recent one takes some away as well."""
    signs = {row.feature: row.sign for row in find_candidates(data).rows}
    assert signs["unsubscribed"] == signs["since_unsubscribed"] == -1
    assert signs["visits"] == signs["silent_days"] == 1


def test_a_number_that_is_good_at_both_ends_goes_one_way() -> None:
    data, rng = data_of(), np.random.default_rng(4)
    employees = np.array(data.columns["employees"])
    won = rng.random(len(data)) < 0.1 + 0.4 * (np.abs(employees - 250) > 180)
    card = suggest(replace(data, examples=replace(data.examples, won=won))).card
    row_points = conditions(card, "employees")
    assert row_points
    assert len({condition.at_least is None for condition, _ in row_points}) == 1


def test_a_feature_goes_one_way_and_few_steps(suggestion: Suggestion, from_nothing: Suggestion) -> None:
    for card in (suggestion.card, from_nothing.card):
        assert conditions(card, "employees")
        for name in TABLE.names:
            row_points = conditions(card, name)
            assert len(row_points) <= 3
            ways = {np.sign(p) * (1 if condition.at_least is not None else -1) for condition, p in row_points}
            assert len(ways) <= 1 or name in TABLE.texts


def test_values_of_a_text_stand_in_one_row_and_some_in_none(from_nothing: Suggestion) -> None:
    values = [v for condition, _ in conditions(from_nothing.card, "industry") for v in condition.one_of or ()]
    assert len(values) == len(set(values))
    assert 0 < len(values) < len(INDUSTRIES)


def test_no_row_for_age_for_our_own_calls_or_for_being_known(suggestion: Suggestion) -> None:
    assert not suggestion.card.features & {"age", "calls", "form"}


def test_a_row_never_contradicts_its_evidence(suggestion: Suggestion) -> None:
    for table in ("fit", "intent"):
        for name, row in getattr(suggestion.card, table).rows.items():
            rate_of_row = suggestion.evidence[f"{table}.rows.{name}"].learnt.value
            assert (rate_of_row > suggestion.all.learnt.value) == (row.points > 0)


def test_naming_a_time_that_went_well_gives_no_points() -> None:
    """Trades came one after the other while deals went better and better: the trade tells nothing."""
    data, rng = data_of(), np.random.default_rng(3)
    elapsed = np.linspace(0, 1, len(data))
    employees = np.array(data.columns["employees"])
    won = rng.random(len(data)) < 0.05 + 0.5 * elapsed + 0.2 * (employees > 250)
    trade = Texts((elapsed * 3.99).astype(np.int32), INDUSTRIES)
    drifting = replace(
        data, examples=replace(data.examples, won=won), columns={**data.columns, "industry": trade}
    )
    card = suggest(drifting).card
    assert conditions(card, "employees")
    assert not conditions(card, "industry")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0.0), (73.0, 75.0), (170.0, 150.0), (-42.0, -40.0), (0.0312, 0.03), (9.7e6, 1e7)],
)
def test_round_number(value: float, expected: float) -> None:
    assert round_number(value) == expected


def test_weights_keep_their_sign_and_are_the_best_there() -> None:
    rng = np.random.default_rng(0)
    columns = np.column_stack([np.ones(500), rng.random((500, 2)) < 0.5]).astype(float)
    won = (rng.random(500) < 1 / (1 + np.exp(-(columns @ [-1.0, 1.0, -1.0])))).astype(float)
    ridge = np.full(3, 1e-6)
    free = fit_signed_weights(columns, won, np.zeros(3, int), ridge, np.zeros(3))
    slope = columns.T @ (1 / (1 + np.exp(-columns @ free)) - won)
    assert np.abs(slope).max() < 1e-3
    for start in (0.0, 2.0):
        bound = fit_signed_weights(columns, won, np.array([0, 1, 1]), ridge, np.array([0.0, start, start]))
        assert bound[1] > 0
        assert bound[2] == 0
