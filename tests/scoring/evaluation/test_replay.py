"""A change of the rules over closed deals: what moves, what each rule does, hot leads by week."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from features.columns import Bools
from scoring.evaluation.replay import CardReplay, RowEffect
from scoring.model.evidence import Evidence
from scoring.scorecard.load import blank_card
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import COLD, HOT, WARM, Scorecard
from tests.helpers.builders import DAY, ms
from tests.helpers.evidence_builder import START, card, draw_outcomes, evidence, flags

POINTS = {"visit": 10, "quote": 10, "mail": 5}
WEEK = 7 * DAY


def make_evidence(seed: int = 0, **options: Any) -> Evidence:
    """400 rows; `quote` tells of a win, `mail` of nothing."""
    won, true, _ = draw_outcomes(seed)
    rng = np.random.default_rng(seed + 100)
    features = flags(
        visit=rng.integers(0, 2, 400), quote=(true > -1).astype(int), mail=rng.integers(0, 2, 400)
    )
    return evidence(won, features, **options)


def find_effect(replayed: CardReplay, name: str) -> RowEffect:
    return next(row for row in replayed.rows if row.name == name)


def find_hot(card: Scorecard, on: Evidence) -> Bools:
    return np.asarray(rate(card, on.features).stage == HOT)


# -- the same card twice ---------------------------------------------------------------------------


def test_identical_cards_move_nobody_and_differ_by_nothing() -> None:
    replay = CardReplay(make_evidence(), card(POINTS), card(POINTS))
    assert replay.moved == []
    assert replay.moved_leads == 0
    for before, row in enumerate(replay.moves):
        assert [cell.count > 0 for cell in row] == [before == after for after in range(3)]
    for d in replay.differences.values():
        if not np.isnan(d.new.value):
            assert (d.difference.value, d.difference.low, d.difference.high) == (0, 0, 0)
            assert d.better == "open"
    plain = replay.to_dict()
    for name in ("stages", "bands", "weekly_hot", "never_hot"):
        assert plain[name]["present"] == plain[name]["new"]


def test_words_alone_move_nobody() -> None:
    reworded = card(POINTS).to_dict()
    reworded["intent"]["rows"]["visit"]["because"] = {"en": "Came by", "ja": "来店"}
    replay = CardReplay(make_evidence(), card(POINTS), Scorecard.model_validate(reworded))
    assert replay.present.version != replay.new.version
    assert replay.moved == []


# -- what moves ------------------------------------------------------------------------------------


def test_a_row_more_moves_exactly_the_leads_that_it_lifts() -> None:
    on = make_evidence()
    replay = CardReplay(on, card({"visit": 10, "quote": 10}), card(POINTS, hot=25))
    points = 10 * on.features["visit"] + 10 * on.features["quote"]  # type: ignore[operator]
    after = points + 5 * on.features["mail"]
    stage_before = np.where(points >= 20, HOT, np.where(points >= 10, WARM, COLD))
    now = np.where(after >= 25, HOT, np.where(after >= 10, WARM, COLD))
    for b in range(3):
        for a in range(3):
            in_cell = (stage_before == b) & (now == a)
            cell = replay.moves[b][a]
            assert (cell.count, cell.won) == (in_cell.sum(), on.won[in_cell].sum())
    assert replay.moved_leads == (stage_before != now).sum()


def test_moves_stages_and_bands_add_up() -> None:
    on = make_evidence()
    replay = CardReplay(on, card(POINTS), card({**POINTS, "mail": 15}))
    assert sum(cell.count for row in replay.moves for cell in row) == len(on) == replay.all.count
    for code in range(3):
        assert sum(c.count for c in replay.moves[code]) == replay.stages["present"][code].count
        assert sum(row[code].won for row in replay.moves) == replay.stages["new"][code].won
    for name in ("present", "new"):
        assert sum(band.count for band in replay.bands[name]) == len(on)
        assert sum(b.count for b in replay.bands[name][8:]) == replay.stages[name][HOT].count


def test_new_card_is_compared_at_the_present_volume() -> None:
    on = make_evidence()
    present, new = card(POINTS, hot=25), card({**POINTS, "quote": 15})
    rates = CardReplay(on, present, new).differences["win_rate"]
    called = find_hot(present, on)
    assert rates.old.value == pytest.approx(on.won[called].mean())
    assert find_hot(new, on).sum() > called.sum()
    rank = rate(new, on.features).rank  # each of those that the volume cuts counts in part
    level = np.sort(rank)[-called.sum()]
    above, tied = rank > level, rank == level
    part = (called.sum() - above.sum()) / tied.sum()
    by_hand = (on.won[above].sum() + part * on.won[tied].sum()) / called.sum()
    assert rates.new.value == pytest.approx(by_hand)


def make_moving_replay() -> CardReplay:
    """Rows of the leads a, b and c, whose stages move in every way."""
    on = evidence(
        [False, False, True, True, False, False],
        flags(visit=[1, 0, 0, 1, 1, 0], quote=[0, 1, 1, 1, 0, 0]),
        lead=["a", "b", "a", "c", "b", "c"],
        amount=np.array([np.nan, np.nan, 7.0, np.nan, 3.0, np.nan]),
    )
    return CardReplay(on, card({"visit": 20, "quote": 5}, warm=5), card({"visit": 5, "quote": 20}, warm=5))


def test_who_becomes_hot_comes_first_then_who_no_longer_is_each_lead_once() -> None:
    """a becomes hot at its second moment, b at its first; c is hot all the time or never."""
    replay = make_moving_replay()
    assert [(m.lead, m.before, m.after, m.won) for m in replay.moved] == [
        ("b", WARM, HOT, False),
        ("a", WARM, HOT, True),
    ]
    assert [m.moment for m in replay.moved] == [START + DAY, START + 2 * DAY]
    assert replay.moved[1].amount == 7.0
    back = CardReplay(replay.evidence, replay.new, replay.present)
    assert [(m.lead, m.before, m.after) for m in back.moved] == [("a", WARM, HOT), ("b", WARM, HOT)]


def test_small_moves_do_not_crowd_out_those_of_hot_leads() -> None:
    """30 leads turn warm before one ceases to be hot; 25 are shown, and it is the first of them."""
    on = evidence([False] * 31, flags(mail=[1] * 30 + [0], visit=[0] * 30 + [1]))
    replay = CardReplay(on, card({"visit": 20, "mail": 1}), card({"visit": 10, "mail": 10}, warm=10, hot=20))
    assert len(replay.moved) == 25
    assert replay.moved_leads == 31
    assert (replay.moved[0].before, replay.moved[0].after) == (HOT, WARM)


def test_verdict_follows_what_the_rules_tell() -> None:
    on = make_evidence()
    good, useless = card({"quote": 20}), card({"mail": 20})
    assert CardReplay(on, useless, good).differences["win_rate"].better == "new"
    assert CardReplay(on, good, useless).differences["win_rate"].better == "old"


# -- hot leads by week -----------------------------------------------------------------------------


def make_weekly_replay(
    days: list[float], leads: list[str], visits: list[int], ages: list[float], **options: Any
) -> CardReplay:
    """Rows at so many days from Monday, 5 January 2026."""
    on = evidence(
        [False] * len(days),
        flags(visit=visits),
        lead=leads,
        moment=START + np.array([round(day * DAY) for day in days], dtype=np.int64),
        landmark=np.array(ages, dtype=np.float32),
        **options,
    )
    return CardReplay(on, card({"visit": 20}), card({"visit": 20}, hot=20, exclusions=["visit"]))


def test_leads_that_turn_hot_are_counted_by_week_and_weeks_without_any_are_zero() -> None:
    """a turns hot on the first Sunday, b on the Monday after, c in week 4; d never does."""
    replay = make_weekly_replay(
        [0, 6.999, 7, 14, 21, 24, 30],
        ["d", "a", "b", "b", "d", "c", "c"],
        [0, 1, 1, 1, 0, 1, 1],
        [0, 0, 0, 7, 7, 3, 9],
    )
    assert replay.weekly_hot["present"] == {
        "2026-01-05": 1,
        "2026-01-12": 1,
        "2026-01-19": 0,
        "2026-01-26": 1,
        "2026-02-02": 0,
    }
    assert set(replay.weekly_hot["new"]) == set(replay.weekly_hot["present"])
    assert set(replay.weekly_hot["new"].values()) == {0}


def test_first_week_begins_on_its_monday_though_the_data_do_not() -> None:
    replay = make_weekly_replay([2.5, 9], ["a", "b"], [1, 1], [0, 0])
    assert replay.weekly_hot["present"] == {"2026-01-05": 1, "2026-01-12": 1}
    assert ms(2026, 1, 5) == START


def test_leads_that_were_there_before_the_evidence_do_not_count() -> None:
    """Of a, 30 days old at its first row, nobody knows when it turned hot."""
    replay = make_weekly_replay([0, 3, 8], ["a", "b", "c"], [1, 0, 1], [30, 0, 5])
    assert replay.weekly_hot["present"] == {"2026-01-05": 0, "2026-01-12": 1}


def test_a_lead_turns_hot_once_at_its_first_hot_row_in_whatever_order() -> None:
    replay = make_weekly_replay([15, 1, 8], ["a", "a", "a"], [1, 0, 1], [14, 0, 7])
    assert replay.weekly_hot["present"] == {"2026-01-05": 0, "2026-01-12": 1, "2026-01-19": 0}


def test_undated_evidence_has_no_weeks() -> None:
    replay = make_weekly_replay([0, 1], ["a", "b"], [1, 1], [0, 0], dated=False)
    assert replay.weekly_hot == {}
    json.dumps(replay.to_dict(), allow_nan=False)


def test_won_leads_that_were_never_hot() -> None:
    """a is won and hot at its second moment, b won and never hot, c hot and not won."""
    on = evidence(
        [False, True, True, False, True], flags(visit=[0, 1, 0, 1, 0]), lead=["a", "a", "b", "c", "b"]
    )
    replay = CardReplay(on, card({"visit": 20}), card({"visit": 20}, exclusions=["visit"]))
    assert replay.never_hot == {"present": (1, 2), "new": (2, 2)}


# -- what each rule does ---------------------------------------------------------------------------


def test_a_rule_holds_for_the_leads_that_are_counted() -> None:
    on = make_evidence()
    replay = CardReplay(on, card(POINTS), card(POINTS))
    assert [(row.table, row.name, row.points) for row in replay.rows] == [
        ("intent.rows", name, points) for name, points in POINTS.items()
    ]
    for row in replay.rows:
        matching = on.features[row.name] == 1
        assert (row.holds.count, row.holds.won) == (matching.sum(), on.won[matching].sum())
        assert row.holds.value == pytest.approx(on.won[matching].mean())


def test_a_rule_decides_on_the_leads_that_are_hot_by_it_alone() -> None:
    on = make_evidence()
    full = card({**POINTS, "mail": 10})
    replay = CardReplay(on, full, full)
    for row in replay.rows:
        others = {n: p for n, p in {**POINTS, "mail": 10}.items() if n != row.name}
        decided_alone = find_hot(full, on) & ~find_hot(card(others), on)
        assert decided_alone.any()
        assert (row.decides.count, row.decides.won) == (decided_alone.sum(), on.won[decided_alone].sum())


def test_triggers_and_exclusions_are_rules_as_well() -> None:
    on = make_evidence()
    full = card({"visit": 20}, triggers=["quote"], exclusions=["mail"])
    replay = CardReplay(on, full, full)
    assert [(row.table, row.points) for row in replay.rows] == [
        ("intent.rows", 20),
        ("triggers", 0),
        ("exclusions", 0),
    ]
    trigger, visit = find_effect(replay, "quote"), on.features["visit"] == 1
    by_it = (on.features["quote"] == 1) & ~visit & (on.features["mail"] == 0)
    assert trigger.decides.count == by_it.sum() > 0
    kept_from = (on.features["mail"] == 1) & (visit | (on.features["quote"] == 1))
    assert find_effect(replay, "mail").decides.count == kept_from.sum() > 0
    assert find_effect(replay, "mail").holds.count == (on.features["mail"] == 1).sum()


def test_two_rules_that_say_the_same_decide_nothing_alone() -> None:
    on = make_evidence()
    full_card = card({"visit": 5}, hot=20, triggers=["quote"], bands={"warm": 1, "hot": 5})
    twice = full_card.to_dict()
    twice["triggers"]["again"] = twice["triggers"]["quote"]
    replay = CardReplay(on, full_card, Scorecard.model_validate(twice))
    assert {find_effect(replay, name).decides.count for name in ("quote", "again")} == {0}
    assert {find_effect(replay, name).adds.value for name in ("quote", "again")} == {0.0}


def test_a_strong_rule_adds_and_a_useless_or_wrong_one_costs() -> None:
    strong, useless, harmful = [], [], []
    for seed in range(8):
        on = make_evidence(seed)
        full = card({"quote": 20, "mail": 10}, exclusions=["visit"])
        replay = CardReplay(on, full, full)
        strong.append(find_effect(replay, "quote").adds.value)
        useless.append(find_effect(replay, "mail").adds.value)
        backwards = card({"mail": 20, "quote": -10})
        harmful.append(find_effect(CardReplay(on, full, backwards), "quote").adds.value)
    assert min(strong) > 0.02
    assert abs(np.mean(useless)) < 0.01
    assert max(harmful) < 0


def test_what_a_rule_adds_is_average_precision_with_it_less_without_it() -> None:
    on = make_evidence()
    replay = CardReplay(on, card(POINTS), card(POINTS))
    full, less = (rate(c, on.features).rank for c in (card(POINTS), card({"visit": 10, "quote": 10})))
    by_hand = average_precision_score(on.won, full) - average_precision_score(on.won, less)
    assert find_effect(replay, "mail").adds.value == pytest.approx(by_hand)


def test_the_only_rule_of_a_group_can_be_taken_away() -> None:
    on = make_evidence()
    replay = CardReplay(on, card({"quote": 20}), card({"quote": 20}))
    row = find_effect(replay, "quote")
    assert row.decides.count == row.holds.count
    base = average_precision_score(on.won, np.zeros(400))
    assert row.adds.value == pytest.approx(average_precision_score(on.won, on.features["quote"]) - base)


def test_a_card_against_none_and_none_against_a_card() -> None:
    """Without a scorecard nobody is hot: the first tenth is compared, and of no card there are no rows."""
    on = make_evidence()
    replay = CardReplay(on, blank_card(), card(POINTS))
    assert replay.stages["present"][COLD].count == len(on)
    assert replay.differences["win_rate"].old.value == pytest.approx(on.won.mean())
    assert CardReplay(on, card(POINTS), blank_card()).rows == []


# -- as JSON ---------------------------------------------------------------------------------------


def test_json_holds_all_of_it_and_no_nan() -> None:
    replay_json = CardReplay(make_evidence(), card(POINTS), card({**POINTS, "mail": 15})).to_dict()
    assert json.loads(json.dumps(replay_json, allow_nan=False)) == replay_json
    assert set(replay_json) == {
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
    assert replay_json["differences"]["won_amount"]["new"]["value"] is None  # no deal has an amount
