from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import Bools
from features.moments import Examples
from training.fitting.splits import Split, limit_test, random_folds, split_newest, split_rolling


@st.composite
def some_examples(draw: st.DrawFn, ordered: bool = True) -> Examples:
    """Examples in the order of their moments, several a group, with any horizon."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, groups = draw(st.integers(20, 200)), draw(st.integers(2, 80))
    moment = np.sort(rng.integers(0, draw(st.sampled_from([3, 50, 10_000])), rows))
    group = rng.integers(0, groups, rows).astype(np.int32)
    return Examples(
        lead=group,
        moment=moment if ordered else np.zeros(rows, dtype=np.int64),
        known_at=moment + draw(st.sampled_from([0, 10, 2_000])),
        landmark=np.zeros(rows, np.float32),
        group=group,
        won=rng.random(rows) < 0.3,
        amount=np.full(rows, np.nan),
        days_to_win=np.full(rows, np.nan),
        ordered=ordered,
    )


def time_ordered(examples: Examples, seed: int) -> list[Split]:
    return [split_newest(examples, seed), *split_rolling(examples, 4, seed)]


SEEDS = st.integers(0, 100)


@given(some_examples(), SEEDS)
def test_nothing_is_learnt_that_was_not_known_at_the_cutoff(examples: Examples, seed: int) -> None:
    for split in time_ordered(examples, seed):
        assert (examples.known_at[split.train] <= split.cutoff).all()
        assert (examples.moment[split.train] < split.cutoff).all()
        assert (examples.moment[split.test] >= split.cutoff).all()


@given(st.booleans().flatmap(lambda ordered: some_examples(ordered)), SEEDS)
def test_no_group_stands_on_both_sides(examples: Examples, seed: int) -> None:
    for split in [*time_ordered(examples, seed), *random_folds(examples, 5, seed)]:
        assert not set(examples.group[split.train]) & set(examples.group[split.test])


@given(some_examples(), SEEDS)
def test_the_origin_rolls_forward_over_stretches_that_do_not_overlap(examples: Examples, seed: int) -> None:
    splits = split_rolling(examples, 4, seed)
    cutoffs = [split.cutoff for split in splits]
    assert cutoffs == sorted(cutoffs)  # type: ignore[type-var]
    judged = [row for split in splits for row in split.test]
    assert len(judged) == len(set(judged))
    for earlier, later in itertools.pairwise(splits):
        assert examples.moment[earlier.test].max() < later.cutoff  # type: ignore[operator]


def flipped(won: Bools) -> Bools:
    return ~won


@given(some_examples(), SEEDS)
def test_the_lot_does_not_depend_on_outcomes(examples: Examples, seed: int) -> None:
    flipped_examples = replace(examples, won=flipped(examples.won))
    for a, b in zip(time_ordered(examples, seed), time_ordered(flipped_examples, seed), strict=True):
        np.testing.assert_array_equal(a.train, b.train)
        np.testing.assert_array_equal(a.test, b.test)


@given(some_examples(ordered=False), SEEDS)
def test_without_order_every_example_is_judged_once(examples: Examples, seed: int) -> None:
    splits = random_folds(examples, 5, seed)
    judged = np.concatenate([split.test for split in splits])
    np.testing.assert_array_equal(np.sort(judged), np.arange(len(examples)))
    for split in splits:
        assert len(split.train)
        assert len(split.train) + len(split.test) == len(examples)


def even_examples(leads: int, landmarks: int = 1, ordered: bool = True) -> Examples:
    """A lead a day with examples on the days after; every fourth is won."""
    lead = np.repeat(np.arange(leads, dtype=np.int32), landmarks)
    moment = lead + np.tile(np.arange(landmarks), leads)
    order = np.argsort(moment, kind="stable")
    examples = Examples(
        lead,
        moment.astype(np.int64),
        moment.astype(np.int64),
        np.zeros(len(lead), np.float32),
        lead,
        lead % 4 == 0,
        np.full(len(lead), np.nan),
        np.full(len(lead), np.nan),
        ordered,
    )
    return examples.take(order)


def test_newest_fifth_is_judged_by_the_rest() -> None:
    split = split_newest(even_examples(1_000), seed=0)
    np.testing.assert_array_equal(split.train, np.arange(800))
    np.testing.assert_array_equal(split.test, np.arange(800, 1_000))


def test_groups_across_the_cutoff_go_about_half_to_each_side() -> None:
    examples = even_examples(1_000, landmarks=100)
    split = split_newest(examples, seed=0)
    cutoff = split.cutoff or 0
    straddling = set(range(cutoff - 98, cutoff))  # leads with examples before and after it
    new = straddling & set(examples.group[split.test].tolist())
    assert 0.3 < len(new) / len(straddling) < 0.7
    assert new != straddling & set(examples.group[split_newest(examples, seed=1).test].tolist())


def test_a_side_stays_when_other_groups_come_or_go() -> None:
    """Else a small change of the data would reshuffle everything that is measured."""
    examples = even_examples(1_000, landmarks=100)
    fewer = examples.take(examples.group % 10 != 3)
    sides = [set(e.group[split_newest(e, 0).test].tolist()) for e in (examples, fewer)]
    moved = {g for g in sides[0] ^ sides[1] if g % 10 != 3}
    assert len(moved) < 0.05 * len(sides[0])  # only those that the moved cutoff decides


@pytest.mark.parametrize("seed", [0, 1])
def test_random_folds_have_about_equal_win_rates(seed: int) -> None:
    examples = even_examples(200, ordered=False)
    rates = [examples.won[split.test].mean() for split in random_folds(examples, 5, seed)]
    assert max(rates) - min(rates) <= 0.05


def test_seed_draws_other_random_folds() -> None:
    examples = even_examples(200, ordered=False)
    a, repeated, b = (random_folds(examples, 5, seed)[0].test.tolist() for seed in (0, 0, 1))
    assert a == repeated
    assert a != b


def test_a_single_group_cannot_be_folded() -> None:
    examples = even_examples(30, ordered=False)
    assert random_folds(replace(examples, group=np.zeros(30, np.int32)), 5, 0) == []


def test_a_limit_keeps_whole_groups_and_the_training_side() -> None:
    examples = even_examples(leads=4_000, landmarks=3)
    newest = split_newest(examples, 0)
    limited = limit_test(newest, examples, 500)
    assert 400 < len(limited.test) < 600
    rows, groups = set(limited.test), examples.group
    assert rows == {row for row in newest.test if groups[row] in set(groups[limited.test])}
    np.testing.assert_array_equal(limited.train, newest.train)
    assert limit_test(newest, examples, len(newest.test)) is newest
