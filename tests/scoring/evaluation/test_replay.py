"""A change of the rules over closed deals: what moves, what each rule does, hot leads by week."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from features.columns import Bools
from scoring.evaluation.replay import Replayed, RowEffect
from scoring.model.evidence import Evidence
from scoring.scorecard.load import blank_card
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import COLD, HOT, WARM, Scorecard
from tests.helpers.builders import DAY, ms
from tests.helpers.evidence_builder import START, card, drawn, evidence, flags

POINTS = {"visit": 10, "quote": 10, "mail": 5}
WEEK = 7 * DAY


def some(seed: int = 0, **told: Any) -> Evidence:
    """400 rows; `quote` tells of a win, `mail` of nothing."""
    won, true, _ = drawn(seed)
    rng = np.random.default_rng(seed + 100)
    features = flags(
        visit=rng.integers(0, 2, 400), quote=(true > -1).astype(int), mail=rng.integers(0, 2, 400)
    )
    return evidence(won, features, **told)


def effect(replayed: Replayed, name: str) -> RowEffect:
    return next(row for row in replayed.rows if row.name == name)


def hot(card: Scorecard, on: Evidence) -> Bools:
    return np.asarray(rate(card, on.features).stage == HOT)


# -- the same card twice ---------------------------------------------------------------------------


def test_identical_cards_move_nobody_and_differ_by_nothing() -> None:
    told = Replayed(some(), card(POINTS), card(POINTS))
    assert told.moved == []
    assert told.moved_leads == 0
    for before, row in enumerate(told.moves):
        assert [cell.count > 0 for cell in row] == [before == after for after in range(3)]
    for d in told.differences.values():
        if not np.isnan(d.new.value):
            assert (d.difference.value, d.difference.low, d.difference.high) == (0, 0, 0)
            assert d.better == "open"
    plain = told.plain()
    for name in ("stages", "bands", "weekly_hot", "never_hot"):
        assert plain[name]["present"] == plain[name]["new"]


def test_words_alone_move_nobody() -> None:
    other = card(POINTS).plain()
    other["intent"]["rows"]["visit"]["because"] = {"en": "Came by", "ja": "来店"}
    told = Replayed(some(), card(POINTS), Scorecard.model_validate(other))
    assert told.present.version != told.new.version
    assert told.moved == []


# -- what moves ------------------------------------------------------------------------------------


def test_a_row_more_moves_exactly_the_leads_that_it_lifts() -> None:
    on = some()
    told = Replayed(on, card({"visit": 10, "quote": 10}), card(POINTS, hot=25))
    points = 10 * on.features["visit"] + 10 * on.features["quote"]  # type: ignore[operator]
    after = points + 5 * on.features["mail"]
    was = np.where(points >= 20, HOT, np.where(points >= 10, WARM, COLD))
    now = np.where(after >= 25, HOT, np.where(after >= 10, WARM, COLD))
    for b in range(3):
        for a in range(3):
            where = (was == b) & (now == a)
            cell = told.moves[b][a]
            assert (cell.count, cell.won) == (where.sum(), on.won[where].sum())
    assert told.moved_leads == (was != now).sum()


def test_moves_stages_and_bands_add_up() -> None:
    on = some()
    told = Replayed(on, card(POINTS), card({**POINTS, "mail": 15}))
    assert sum(cell.count for row in told.moves for cell in row) == len(on) == told.all.count
    for code in range(3):
        assert sum(c.count for c in told.moves[code]) == told.stages["present"][code].count
        assert sum(row[code].won for row in told.moves) == told.stages["new"][code].won
    for name in ("present", "new"):
        assert sum(band.count for band in told.bands[name]) == len(on)
        assert sum(b.count for b in told.bands[name][8:]) == told.stages[name][HOT].count


def test_new_card_is_compared_at_the_present_volume() -> None:
    on = some()
    present, new = card(POINTS, hot=25), card({**POINTS, "quote": 15})
    rates = Replayed(on, present, new).differences["win_rate"]
    called = hot(present, on)
    assert rates.old.value == pytest.approx(on.won[called].mean())
    assert hot(new, on).sum() > called.sum()
    rank = rate(new, on.features).rank  # each of those that the volume cuts counts in part
    level = np.sort(rank)[-called.sum()]
    above, at = rank > level, rank == level
    part = (called.sum() - above.sum()) / at.sum()
    by_hand = (on.won[above].sum() + part * on.won[at].sum()) / called.sum()
    assert rates.new.value == pytest.approx(by_hand)


def moving() -> Replayed:
    """Rows of the leads a, b and c, whose stages move in every way."""
    on = evidence(
        [False, False, True, True, False, False],
        flags(visit=[1, 0, 0, 1, 1, 0], quote=[0, 1, 1, 1, 0, 0]),
        lead=["a", "b", "a", "c", "b", "c"],
        amount=np.array([np.nan, np.nan, 7.0, np.nan, 3.0, np.nan]),
    )
    return Replayed(on, card({"visit": 20, "quote": 5}, warm=5), card({"visit": 5, "quote": 20}, warm=5))


def test_who_becomes_hot_comes_first_then_who_no_longer_is_each_lead_once() -> None:
    """a becomes hot at its second moment, b at its first; c is hot all the time or never."""
    told = moving()
    assert [(m.lead, m.before, m.after, m.won) for m in told.moved] == [
        ("b", WARM, HOT, False),
        ("a", WARM, HOT, True),
    ]
    assert [m.moment for m in told.moved] == [START + DAY, START + 2 * DAY]
    assert told.moved[1].amount == 7.0
    back = Replayed(told.evidence, told.new, told.present)
    assert [(m.lead, m.before, m.after) for m in back.moved] == [("a", WARM, HOT), ("b", WARM, HOT)]


def test_small_moves_do_not_crowd_out_those_of_hot_leads() -> None:
    """30 leads turn warm before one ceases to be hot; 25 are shown, and it is the first of them."""
    on = evidence([False] * 31, flags(mail=[1] * 30 + [0], visit=[0] * 30 + [1]))
    told = Replayed(on, card({"visit": 20, "mail": 1}), card({"visit": 10, "mail": 10}, warm=10, hot=20))
    assert len(told.moved) == 25
    assert told.moved_leads == 31
    assert (told.moved[0].before, told.moved[0].after) == (HOT, WARM)


def test_verdict_follows_what_the_rules_tell() -> None:
    on = some()
    good, useless = card({"quote": 20}), card({"mail": 20})
    assert Replayed(on, useless, good).differences["win_rate"].better == "new"
    assert Replayed(on, good, useless).differences["win_rate"].better == "old"


# -- hot leads by week -----------------------------------------------------------------------------


def weekly(
    days: list[float], leads: list[str], visits: list[int], ages: list[float], **told: Any
) -> Replayed:
    """Rows at so many days from Monday, 5 January 2026."""
    on = evidence(
        [False] * len(days),
        flags(visit=visits),
        lead=leads,
        moment=START + np.array([round(day * DAY) for day in days], dtype=np.int64),
        landmark=np.array(ages, dtype=np.float32),
        **told,
    )
    return Replayed(on, card({"visit": 20}), card({"visit": 20}, hot=20, exclusions=["visit"]))


def test_leads_that_turn_hot_are_counted_by_week_and_weeks_without_any_are_zero() -> None:
    """a turns hot on the first Sunday, b on the Monday after, c in week 4; d never does."""
    told = weekly(
        [0, 6.999, 7, 14, 21, 24, 30],
        ["d", "a", "b", "b", "d", "c", "c"],
        [0, 1, 1, 1, 0, 1, 1],
        [0, 0, 0, 7, 7, 3, 9],
    )
    assert told.weekly_hot["present"] == {
        "2026-01-05": 1,
        "2026-01-12": 1,
        "2026-01-19": 0,
        "2026-01-26": 1,
        "2026-02-02": 0,
    }
    assert set(told.weekly_hot["new"]) == set(told.weekly_hot["present"])
    assert set(told.weekly_hot["new"].values()) == {0}


def test_first_week_begins_on_its_monday_though_the_data_do_not() -> None:
    told = weekly([2.5, 9], ["a", "b"], [1, 1], [0, 0])
    assert told.weekly_hot["present"] == {"2026-01-05": 1, "2026-01-12": 1}
    assert ms(2026, 1, 5) == START


def test_leads_that_were_there_before_the_evidence_do_not_count() -> None:
    """Of a, 30 days old at its first row, nobody knows when it turned hot."""
    told = weekly([0, 3, 8], ["a", "b", "c"], [1, 0, 1], [30, 0, 5])
    assert told.weekly_hot["present"] == {"2026-01-05": 0, "2026-01-12": 1}


def test_a_lead_turns_hot_once_at_its_first_hot_row_in_whatever_order() -> None:
    told = weekly([15, 1, 8], ["a", "a", "a"], [1, 0, 1], [14, 0, 7])
    assert told.weekly_hot["present"] == {"2026-01-05": 0, "2026-01-12": 1, "2026-01-19": 0}


def test_undated_evidence_has_no_weeks() -> None:
    told = weekly([0, 1], ["a", "b"], [1, 1], [0, 0], dated=False)
    assert told.weekly_hot == {}
    json.dumps(told.plain(), allow_nan=False)


def test_won_leads_that_were_never_hot() -> None:
    """a is won and hot at its second moment, b won and never hot, c hot and not won."""
    on = evidence(
        [False, True, True, False, True],
        flags(visit=[0, 1, 0, 1, 0]),
        lead=["a", "a", "b", "c", "b"],
    )
    told = Replayed(on, card({"visit": 20}), card({"visit": 20}, exclusions=["visit"]))
    assert told.never_hot == {"present": (1, 2), "new": (2, 2)}


# -- what each rule does ---------------------------------------------------------------------------


def test_a_rule_holds_for_the_leads_that_are_counted() -> None:
    on = some()
    told = Replayed(on, card(POINTS), card(POINTS))
    assert [(row.table, row.name, row.points) for row in told.rows] == [
        ("intent.rows", name, points) for name, points in POINTS.items()
    ]
    for row in told.rows:
        where = on.features[row.name] == 1
        assert (row.holds.count, row.holds.won) == (where.sum(), on.won[where].sum())
        assert row.holds.value == pytest.approx(on.won[where].mean())


def test_a_rule_decides_on_the_leads_that_are_hot_by_it_alone() -> None:
    on = some()
    full = card({**POINTS, "mail": 10})
    told = Replayed(on, full, full)
    for row in told.rows:
        others = {n: p for n, p in {**POINTS, "mail": 10}.items() if n != row.name}
        alone = hot(full, on) & ~hot(card(others), on)
        assert alone.any()
        assert (row.decides.count, row.decides.won) == (alone.sum(), on.won[alone].sum())


def test_triggers_and_exclusions_are_rules_as_well() -> None:
    on = some()
    full = card({"visit": 20}, triggers=["quote"], exclusions=["mail"])
    told = Replayed(on, full, full)
    assert [(row.table, row.points) for row in told.rows] == [
        ("intent.rows", 20),
        ("triggers", 0),
        ("exclusions", 0),
    ]
    trigger, visit = effect(told, "quote"), on.features["visit"] == 1
    by_it = (on.features["quote"] == 1) & ~visit & (on.features["mail"] == 0)
    assert trigger.decides.count == by_it.sum() > 0
    kept_from = (on.features["mail"] == 1) & (visit | (on.features["quote"] == 1))
    assert effect(told, "mail").decides.count == kept_from.sum() > 0
    assert effect(told, "mail").holds.count == (on.features["mail"] == 1).sum()


def test_two_rules_that_say_the_same_decide_nothing_alone() -> None:
    on = some()
    both = card({"visit": 5}, hot=20, triggers=["quote"], bands={"warm": 1, "hot": 5})
    twice = both.plain()
    twice["triggers"]["again"] = twice["triggers"]["quote"]
    told = Replayed(on, both, Scorecard.model_validate(twice))
    assert {effect(told, name).decides.count for name in ("quote", "again")} == {0}
    assert {effect(told, name).adds.value for name in ("quote", "again")} == {0.0}


def test_a_strong_rule_adds_and_a_useless_or_wrong_one_costs() -> None:
    strong, useless, wrong = [], [], []
    for seed in range(8):
        on = some(seed)
        full = card({"quote": 20, "mail": 10}, exclusions=["visit"])
        told = Replayed(on, full, full)
        strong.append(effect(told, "quote").adds.value)
        useless.append(effect(told, "mail").adds.value)
        backwards = card({"mail": 20, "quote": -10})
        wrong.append(effect(Replayed(on, full, backwards), "quote").adds.value)
    assert min(strong) > 0.02
    assert abs(np.mean(useless)) < 0.01
    assert max(wrong) < 0


def test_what_a_rule_adds_is_average_precision_with_it_less_without_it() -> None:
    on = some()
    told = Replayed(on, card(POINTS), card(POINTS))
    full, less = (rate(c, on.features).rank for c in (card(POINTS), card({"visit": 10, "quote": 10})))
    by_hand = average_precision_score(on.won, full) - average_precision_score(on.won, less)
    assert effect(told, "mail").adds.value == pytest.approx(by_hand)


def test_the_only_rule_of_a_group_can_be_taken_away() -> None:
    on = some()
    told = Replayed(on, card({"quote": 20}), card({"quote": 20}))
    row = effect(told, "quote")
    assert row.decides.count == row.holds.count
    base = average_precision_score(on.won, np.zeros(400))
    assert row.adds.value == pytest.approx(average_precision_score(on.won, on.features["quote"]) - base)


def test_a_card_against_none_and_none_against_a_card() -> None:
    """Without a scorecard nobody is hot: the first tenth is compared, and of no card there are no rows."""
    on = some()
    told = Replayed(on, blank_card(), card(POINTS))
    assert told.stages["present"][COLD].count == len(on)
    assert told.differences["win_rate"].old.value == pytest.approx(on.won.mean())
    assert Replayed(on, card(POINTS), blank_card()).rows == []


# -- as JSON ---------------------------------------------------------------------------------------


def test_json_holds_all_of_it_and_no_nan() -> None:
    told = Replayed(some(), card(POINTS), card({**POINTS, "mail": 15})).plain()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert set(told) == {
        "present",
        "new",
        "all",
        "differences",
        "stages",
        "bands",
        "moves",
        "moved",
        "moved_leads",
        "weekly_hot",
        "never_hot",
        "rows",
    }
    assert told["differences"]["won_amount"]["new"]["value"] is None  # no deal has an amount
