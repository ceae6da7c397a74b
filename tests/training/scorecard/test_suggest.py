from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import DataError
from features.kinds import Age
from features.table import FeatureTable
from scoring.scorecard.rating import rate
from scoring.texts import translate
from tests.helpers.suggestion_deals import CARD_TOML, TABLE, card_of, conditions, data_of
from training.fitting.dataset import Dataset
from training.fitting.splits import split_newest
from training.scorecard.candidates import find_candidates
from training.scorecard.points import ROW_POINT_SCALES
from training.scorecard.row_names import row_name
from training.scorecard.suggest import Suggestion, suggest
from training.scorecard.summary import gain_sentence
from training.scorecard.toml import suggestion_toml


def test_points_are_small_and_bands_within_reach(suggestion: Suggestion, from_nothing: Suggestion) -> None:
    for card in (suggestion.card, from_nothing.card):
        points = [row.points for row in card.rows.values()]
        assert 2 <= len(points) <= 16
        assert all(2 <= abs(p) <= 30 for p in points)
        assert max(map(abs, points)) in ROW_POINT_SCALES
        assert card.max_points <= 120
        assert 0 < card.bands.warm < card.bands.hot <= card.max_points


def test_at_most_so_many_rows() -> None:
    assert len(suggest(data_of(), max_rows=3).card.rows) == 3


def test_about_as_many_are_hot_as_before(data: Dataset, suggestion: Suggestion) -> None:
    older = data.take(split_newest(data.examples, 0, 0.2).train)
    before, after = (rate(card, older.columns) for card in (data.card, suggestion.card))
    for stage in ("warm", "hot"):
        shares = [float((r.points >= getattr(r.card.bands, stage)).mean()) for r in (before, after)]
        assert shares[0] == pytest.approx(shares[1], abs=0.04)


def test_without_a_card_a_tenth_is_hot_and_three_tenths_warm(from_nothing: Suggestion) -> None:
    older = data_of().take(split_newest(data_of().examples, 0, 0.2).train)
    points, bands = rate(from_nothing.card, older.columns).points, from_nothing.card.bands
    assert (points >= bands.hot).mean() == pytest.approx(0.1, abs=0.04)
    assert (points >= bands.warm).mean() == pytest.approx(0.3, abs=0.06)


def test_what_is_kept_of_the_present_card(data: Dataset, suggestion: Suggestion) -> None:
    for name in ("triggers", "exclusions", "stages", "prompts", "hours", "thresholds", "hot_is"):
        assert getattr(suggestion.card, name) == getattr(data.card, name)
    remaining = set(suggestion.card.rows) & set(data.card.rows)
    assert "left us" in remaining
    for name in remaining:
        assert suggestion.card.rows[name].because == data.card.rows[name].because
        assert suggestion.card.rows[name].when == data.card.rows[name].when
    assert "farm" not in suggestion.card.rows
    assert suggestion.card.intent is not None
    assert suggestion.card.intent.cap == 500


def test_a_cap_that_would_cut_goes() -> None:
    card = suggest(data_of(card=card_of(CARD_TOML.replace("cap = 500", "cap = 11")))).card
    assert card.intent is not None
    assert card.intent.max_points > 11
    assert card.intent.cap is None


def test_evidence_on_the_newer_deals(data: Dataset, suggestion: Suggestion) -> None:
    newer = data.take(split_newest(data.examples, 0, 0.2).test)
    fired = rate(suggestion.card, newer.columns).fired
    names = [f"{t}.{n}" for t, n, _ in suggestion.card.rules()][: fired.shape[1]]
    for name, holds in zip(names, fired.T, strict=True):
        newer_rate = suggestion.evidence[name].newer
        assert (newer_rate.count, newer_rate.won) == (holds.sum(), newer.won[holds].sum())
    assert suggestion.judged_examples == len(newer)
    assert suggestion.all.newer.won == newer.won.sum()


def test_the_newer_deals_are_never_seen(data: Dataset, suggestion: Suggestion) -> None:
    won = data.won.copy()
    won[split_newest(data.examples, 0, 0.2).test] ^= True
    columns = dict(data.columns)
    employees = np.array(columns["employees"])
    employees[split_newest(data.examples, 0, 0.2).test] *= 100
    other_suggestion = suggest(
        replace(data, examples=replace(data.examples, won=won), columns={**columns, "employees": employees})
    )
    assert other_suggestion.card == suggestion.card
    assert [e.learnt for e in other_suggestion.evidence.values()] == [
        e.learnt for e in suggestion.evidence.values()
    ]
    assert other_suggestion.gain != suggestion.gain


def test_the_same_for_the_same_seed(data: Dataset, suggestion: Suggestion) -> None:
    assert suggestion_toml(suggest(data), TABLE) == suggestion_toml(suggestion, TABLE)


def test_words_in_both_languages(suggestion: Suggestion, from_nothing: Suggestion) -> None:
    for card in (suggestion.card, from_nothing.card):
        assert all(row.because.en and row.because.ja for row in card.rows.values())
    translations = {row.because.en: row.because.ja for row in from_nothing.card.rows.values()}
    visits = [en for en in translations if en.startswith("Visit in the last 30 days: ")]
    assert visits
    assert all(en.endswith(" or more") for en in visits)
    assert all(re.fullmatch("過去30日間の訪問の回数：[0-9]+以上", translations[en]) for en in visits)
    industry = [en for en in translations if en.startswith("Industry: ")]
    assert industry
    assert all(translations[en].startswith("業種：") for en in industry)


def test_gain_over_a_useless_card(suggestion: Suggestion) -> None:
    for name in ("average_precision", "roc_auc", "win_rate"):
        assert suggestion.gain[name].difference.low > 0, name
    assert "ranks leads better than the current scorecard" in gain_sentence(suggestion, "en")
    assert translate("suggest_present", "ja") + "よりも" in gain_sentence(suggestion, "ja")


def test_gain_where_there_is_no_card(from_nothing: Suggestion) -> None:
    assert from_nothing.gain["roc_auc"].old.value == 0.5
    assert from_nothing.gain["average_precision"].difference.low > 0
    assert from_nothing.called == 0
    sentence = gain_sentence(from_nothing, "en")
    assert "better than random order" in sentence
    assert "Of the top 10% of its list" in sentence


def test_the_order_of_time_does_not_decide_who_is_called_among_equals() -> None:
    """No lead has points yet, and only the later half of the newer deals is won."""
    data = data_of()
    newer = split_newest(data.examples, 0, 0.2).test
    won = data.won.copy()
    won[newer] = np.arange(len(newer)) >= len(newer) / 2
    suggestion = suggest(replace(data, examples=replace(data.examples, won=won)))
    assert suggestion.gain["win_rate"].old.value == pytest.approx(0.5, abs=0.01)


def test_a_card_that_is_no_better_says_so() -> None:
    data = data_of()
    won = data.won.copy()
    newer = split_newest(data.examples, 0, 0.2).test
    won[newer] = np.random.default_rng(0).random(len(newer)) < 0.2
    by_chance = suggest(replace(data, examples=replace(data.examples, won=won)))
    assert "no clear evidence that it ranks leads better" in gain_sentence(by_chance, "en")
    won[newer] = ~data.won[newer]
    upside_down = suggest(replace(data, examples=replace(data.examples, won=won)))
    assert "Do not use it." in gain_sentence(upside_down, "en")


def test_deals_without_dates_or_order() -> None:
    ranked = suggest(replace(data_of(), dated=False))
    assert ranked.cutoff is None
    assert "learnt from the oldest 3," in suggestion_toml(ranked, TABLE)
    lot = suggest(data_of(ordered=False))
    assert lot.cutoff is None
    assert lot.gain["average_precision"].difference.low > 0
    assert "drawn at random" in suggestion_toml(lot, TABLE)


def test_dates_tell_until_when(suggestion: Suggestion) -> None:
    assert suggestion.cutoff is not None
    assert "known on 2024-04-" in re.sub("\n# ", " ", suggestion_toml(suggestion, TABLE))


def test_too_few_wins() -> None:
    with pytest.raises(DataError, match=r"there are 8: 12 more are missing"):
        suggest(with_wins(data_of(), 8))


def test_nothing_to_judge_or_to_tell_apart() -> None:
    data = data_of()
    split = split_newest(data.examples, 0, 0.2)
    for rows, won, message in (
        (split.test, False, "could not be judged"),
        (split.train, True, "won leads only"),
    ):
        outcome = data.won.copy()
        outcome[rows] = won
        with pytest.raises(DataError, match=message):
            suggest(replace(data, examples=replace(data.examples, won=outcome)))


def test_nothing_to_suggest() -> None:
    data = data_of()
    table = FeatureTable({"age": Age()})
    with pytest.raises(DataError, match="nothing to suggest"):
        suggest(replace(data, table=table, columns={"age": data.columns["age"]}))


def test_few_deals_make_few_rows() -> None:
    suggestion = suggest(with_wins(data_of(), 60))
    assert 1 <= len(suggestion.card.rows) <= 7


def with_wins(data: Dataset, wins: int) -> Dataset:
    """Only so many won leads among the older deals."""
    older = split_newest(data.examples, 0, 0.2).train
    won, leads = data.won.copy(), data.examples.lead
    winners = np.unique(leads[older[data.won[older]]])
    winning_leads = winners[np.linspace(0, len(winners) - 1, wins).astype(int)]
    won[older] &= np.isin(leads[older], winning_leads)
    return replace(data, examples=replace(data.examples, won=won))


def test_a_small_crm_end_to_end(small_data: Dataset, tmp_path: Path) -> None:
    suggestion = suggest(small_data)
    assert suggestion.gain["average_precision"].difference.low > 0
    assert conditions(suggestion.card, "channel")
    assert conditions(suggestion.card, "visits")
    assert suggestion_toml(suggestion, small_data.table)


def test_row_names_are_bare_and_unique(suggestion: Suggestion, from_nothing: Suggestion) -> None:
    for name in from_nothing.card.rows:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", name)
    every = find_candidates(data_of()).rows
    taken: set[str] = {"visits"}
    for row in every:
        name = row_name(row, taken)
        assert name not in taken
        assert re.fullmatch(r"[A-Za-z0-9_-]+", name)
        taken.add(name)
    assert {"visits_1", "visits_3", "industry_retail", "industry_1", "silent_days_to_7"} <= taken


def test_texts_of_suggestions_read_naturally() -> None:
    assert translate("suggest_or", "en", first="a, b", last="c") == "a, b or c"
    assert translate("suggest_or", "ja", first="a、b", last="c") == "a、bまたはc"
