from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import Column, Texts
from features.errors import DataError
from features.kinds import Age, Attribute, Count, DaysSince
from features.moments import Examples
from features.table import FeatureTable, Vocabulary
from scoring.scorecard.load import blank_card, check_features, parse_card
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Condition, Scorecard
from scoring.texts import translate
from training.fitting.dataset import Dataset
from training.fitting.splits import split_newest
from training.scorecard.candidates import find_candidates, round_number
from training.scorecard.forward_selection import fit_signed_weights
from training.scorecard.points import ROW_POINT_SCALES
from training.scorecard.row_names import row_name
from training.scorecard.suggest import Suggestion, suggest
from training.scorecard.summary import gain_sentence
from training.scorecard.toml import suggestion_toml, toml_item

DAY = 86_400_000
INDUSTRIES = ("IT・通信", "retail", "製造業", "farming")

WORDS = {
    "visit": {"en": "Visit", "ja": "訪問"},
    "industry": {"en": "Industry", "ja": "業種"},
    "industry=retail": {"en": "shops", "ja": "小売業"},
}

TABLE = FeatureTable(
    {
        "employees": Attribute("employees", "number", "at_creation"),
        "industry": Attribute("industry", "category", "at_creation"),
        "form": Attribute("form", "category", "at_creation"),
        "visits": Count("visit", 30.0),
        "complaints": Count("complaint"),
        "unsubscribed": Count("unsubscribe"),
        "since_unsubscribed": DaysSince("unsubscribe"),
        "silent_days": DaysSince("visit"),
        "calls": Count("call"),
        "since_call": DaysSince("call"),
        "age": Age(),
    },
    Vocabulary(WORDS),
)

CARD_TOML = """
[bands]
warm = 10
hot = 30

[fit.rows.farm]
when = [{ feature = "industry", one_of = ["farming"] }]
points = 30
because = { en = "A farm", ja = "農家" }

[intent]
cap = 500

[intent.rows.visitor]
when = [{ feature = "visits", at_least = 3 }]
points = 10
because = { en = "Came \\"often\\"", ja = "よく訪問" }

[intent.rows."left us"]
when = [{ feature = "unsubscribed", at_least = 1 }]
points = -5
because = { en = "Unsubscribed", ja = "配信停止" }

[triggers.large_retail]
when = [{ feature = "industry", one_of = ["retail"] }, { feature = "employees", at_least = 450 }]
because = { en = "Large shop", ja = "大型店" }

[exclusions.small_farm]
when = [{ feature = "industry", one_of = ["farming"] }, { feature = "employees", at_most = 20 }]
because = { en = "Small farm", ja = "小規模農家" }

[prompts.unsubscribe]
since = "since_unsubscribed"
answered = "since_call"
hours = 24
text = { en = "Ask why.", ja = "理由を尋ねてください。" }

[hours]
opens = 08:30:00
closes = 17:00:00
"""


def card_of(text: str = CARD_TOML) -> Scorecard:
    stages = {"stages": blank_card().stages.model_dump()}
    return parse_card({**tomllib.loads(text), **stages}, "test")


def data_of(
    count: int = 4000,
    seed: int = 1,
    card: Scorecard | None = None,
    ordered: bool = True,
    win_rate: float = 0.2,
) -> Dataset:
    """Leads that are won for their size, trade and visits; complaints and calls are of no use to them."""
    rng = np.random.default_rng(seed)
    employees, visits = rng.integers(1, 500, count).astype(float), rng.poisson(1.5, count)
    industry, form = rng.integers(0, 4, count), np.where(rng.random(count) < 0.5, 0, -1)
    complaints, unsubscribed, calls = (rng.poisson(0.4, count) for _ in range(3))
    silent = np.where(visits > 0, rng.uniform(0, 60, count), np.nan)
    odds = (
        np.log(win_rate / (1 - win_rate))
        + 1.5 * (employees > 250)
        - 0.75
        + np.array([1.0, 0.5, -0.5, -1.0])[industry]
        + 0.6 * (visits - 1.5)
        - 0.8 * complaints
        - 0.6 * unsubscribed
        + 1.0 * calls
        + 1.5 * (form == 0)
    )
    columns: dict[str, Column] = {
        "employees": employees,
        "industry": Texts(industry.astype(np.int32), INDUSTRIES),
        "form": Texts(form.astype(np.int32), ("filled",)),
        "visits": visits.astype(float),
        "complaints": complaints.astype(float),
        "unsubscribed": unsubscribed.astype(float),
        "since_unsubscribed": np.where(unsubscribed > 0, rng.uniform(0, 90, count), np.nan),
        "silent_days": silent,
        "calls": calls.astype(float),
        "since_call": np.where(calls > 0, 5.0, np.nan),
        "age": np.arange(count) % 50.0,
    }
    lead = (np.arange(count) // 2).astype(np.int32)
    moment = 1_700_000_000_000 + np.arange(count, dtype=np.int64) * DAY // 20
    examples = Examples(
        lead,
        moment,
        moment + 10 * DAY,
        np.zeros(count, np.float32),
        lead,
        rng.random(count) < 1 / (1 + np.exp(-odds)),
        np.full(count, np.nan),
        ordered,
    )
    return Dataset(TABLE, columns, examples, card or blank_card())


@pytest.fixture(scope="module")
def data() -> Dataset:
    return data_of(card=card_of())


@pytest.fixture(scope="module")
def suggestion(data: Dataset) -> Suggestion:
    return suggest(data)


@pytest.fixture(scope="module")
def from_nothing() -> Suggestion:
    return suggest(data_of())


def conditions(card: Scorecard, feature: str) -> list[tuple[Condition, int]]:
    """The single conditions on a feature, with their points."""
    rows = card.rows.values()
    return [(r.when[0], r.points) for r in rows if len(r.when) == 1 and r.when[0].feature == feature]


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


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_file_says_what_the_card_says(suggestion: Suggestion, lang: Any) -> None:
    text = suggestion_toml(suggestion, TABLE, lang)
    parsed = tomllib.loads(text)
    assert "profile" not in parsed
    card = parse_card(parsed, "suggested")
    assert card == suggestion.card
    check_features(card, TABLE, "suggested")
    assert max(map(len, re.findall("^#.*", text, re.M))) <= 112


def test_the_file_tells_what_speaks_for_each_rule(data: Dataset, suggestion: Suggestion) -> None:
    text = suggestion_toml(suggestion, TABLE)
    older = data.take(split_newest(data.examples, 0, 0.2).train)
    flat = re.sub(r"\n# ", " ", text)
    for table, name, rule in suggestion.card.rules():
        holds = np.ones(len(older), bool)
        for condition in rule.when:
            holds &= direct(condition, older.columns[condition.feature])
        evidence = suggestion.evidence[f"{table}.{name}"].learnt
        assert (evidence.count, evidence.won) == (holds.sum(), older.won[holds].sum())
        assert f"Holds for {holds.sum():,} of {len(older):,} examples; " in flat
        assert evidence.low <= evidence.value <= evidence.high
    assert gain_sentence(suggestion, "en") in re.sub(r"\n# ", " ", text.split("\n#\n")[1][2:])


def direct(condition: Condition, column: Column) -> Any:
    """Where a condition holds, counted the slow way."""
    if isinstance(column, Texts):
        return np.array([value in (condition.one_of or ()) for value in column.to_list()])
    low, high = condition.at_least, condition.at_most
    return np.array(
        [
            (low is None or value >= low) and (high is None or value <= high) and value == value
            for value in column.tolist()
        ]
    )


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
    assert "ranks leads better than the present card" in gain_sentence(suggestion, "en")
    assert translate("suggest_present", "ja") + "よりも" in gain_sentence(suggestion, "ja")


def test_gain_where_there_is_no_card(from_nothing: Suggestion) -> None:
    assert from_nothing.gain["roc_auc"].old.value == 0.5
    assert from_nothing.gain["average_precision"].difference.low > 0
    assert from_nothing.called == 0
    sentence = gain_sentence(from_nothing, "en")
    assert "better than chance" in sentence
    assert "Of the top 10 % of its list" in sentence


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
    assert "it is not shown to rank leads better" in gain_sentence(by_chance, "en")
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
    assert "drawn by lot" in suggestion_toml(lot, TABLE)


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0.0), (73.0, 75.0), (170.0, 150.0), (-42.0, -40.0), (0.0312, 0.03), (9.7e6, 1e7)],
)
def test_round_number(value: float, expected: float) -> None:
    assert round_number(value) == expected


@given(st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False))
def test_toml_values_are_read_back(value: object) -> None:
    assert tomllib.loads(f"x = {toml_item(value).as_string()}")["x"] == value


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


def test_texts_of_suggestions_read_naturally() -> None:
    assert translate("suggest_or", "en", first="a, b", last="c") == "a, b or c"
    assert translate("suggest_or", "ja", first="a、b", last="c") == "a、bまたはc"
