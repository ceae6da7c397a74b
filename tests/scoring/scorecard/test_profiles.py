"""The shipped profiles: their files, their texts, and how long a trigger holds."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from features.kinds import activities_of
from scoring.scorecard.load import check_features, load_card, profile_text, profiles
from tests.scoring.scorecard.profile_leads import (
    DEMO,
    PROFILES,
    PastActivity,
    card_of,
    conditions,
    rate_lead,
    shift_back,
    table_of,
    triggers,
)

# -- The files -----------------------------------------------------------------------------------


def test_there_are_three_profiles() -> None:
    assert profiles() == sorted(PROFILES)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_loads_with_its_own_features_none_lacking_none_idle(profile: str, tmp_path: Path) -> None:
    path = tmp_path / "scorecard.toml"
    path.write_text(f'profile = "{profile}"\n', encoding="utf-8")
    card = load_card(path, table_of(profile))
    assert card.features == set(table_of(profile).names)


def test_the_demo_means_the_same_by_the_features_of_b2b_saas() -> None:
    check_features(card_of("b2b_saas"), DEMO.table, "demo")
    for name, feature in table_of("b2b_saas"):
        assert DEMO.features[name] == feature


@pytest.mark.parametrize("profile", PROFILES)
def test_a_hot_lead_is_due_within_the_hour_and_each_question_within_a_day(profile: str) -> None:
    card, table = card_of(profile), table_of(profile)
    assert card.stages.hot.hours == 1
    assert card.hand_over
    assert card.stages.warm.hours == 24
    assert card.stages.cold.hours is None
    question_activities = set().union(*(activities_of(table.rows[p.since]) for p in card.prompts.values()))
    assert question_activities >= {"inquiry", "material_request"}
    assert {(p.hours, p.business_hours) for p in card.prompts.values()} == {(24, False)}


# -- What has cooled -----------------------------------------------------------------------------

TRIAL: PastActivity = ("trial_started", 5)
COOLING: dict[tuple[str, str], tuple[float, list[PastActivity]]] = {
    ("b2b_saas", "quote_after_trial"): (30, [TRIAL, ("quote_request", 0)]),
    ("b2b_saas", "quote_request"): (30, [("quote_request", 0)]),
    ("b2b_saas", "meeting_request"): (30, [("meeting_request", 0)]),
    ("real_estate", "inquiry_after_viewing"): (30, [("viewing_booked", 1), ("inquiry", 0)]),
    ("real_estate", "meeting_request"): (30, [("meeting_request", 0)]),
    ("real_estate", "office_visit_booked"): (30, [("office_visit_booked", 0)]),
    ("real_estate", "cost_estimate"): (30, [("quote_request", 0)]),
    ("real_estate", "loan_preapproval"): (60, [("loan_preapproval", 0)]),
    ("online_shop", "back_to_cart"): (7, [("cart", 1, 1), ("visit", 0)]),
    ("online_shop", "same_product_with_cart"): (14, [("cart", 9, 1), *[("product_view", 0, 5)] * 3]),
    ("online_shop", "quote_request"): (30, [("quote_request", 0)]),
    ("online_shop", "meeting_request"): (30, [("meeting_request", 0)]),
}
MINUTE = 1 / 24 / 60


@pytest.mark.parametrize(("profile", "trigger"), COOLING)
def test_a_trigger_cools_when_its_days_have_passed(profile: str, trigger: str) -> None:
    days, activities = COOLING[profile, trigger]
    assert trigger in triggers(rate_lead(profile, *shift_back(MINUTE, *activities)))
    assert trigger in triggers(rate_lead(profile, *shift_back(days, *activities)))
    assert not triggers(rate_lead(profile, *shift_back(days + MINUTE, *activities)))


def test_every_trigger_on_behaviour_is_seen_to_cool() -> None:
    behaviour = {
        (profile, name)
        for profile in PROFILES
        for name, rule in card_of(profile).triggers.items()
        if not all(condition.feature in table_of(profile).attributes for condition in rule.when)
    }
    assert behaviour == set(COOLING)


# -- Words ---------------------------------------------------------------------------------------

JAPANESE = re.compile("[ぁ-んァ-ヶ一-龠]")
NOT_BARE = re.compile("(?<![ァ-ヶー])(フィット|インテント|スコアカード|リプレイ|チャンピオン)(?![ァ-ヶー])")


def find_texts(tables: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, str]]]:
    """Every text in some tables, with its place."""
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from find_texts(value, f"{path}.{key}")
    if set(tables) & {"en", "ja"}:
        yield path, tables


@pytest.mark.parametrize("profile", PROFILES)
def test_every_text_is_there_in_english_and_japanese(profile: str) -> None:
    words = table_of(profile).vocabulary.words
    found_texts = list(find_texts({"card": tomllib.loads(profile_text(profile)), "words": words}))
    assert len(found_texts) > 60
    for path, text in found_texts:
        assert set(text) == {"en", "ja"}, path
        assert re.search("[a-z]", text["en"]), path
        assert not JAPANESE.search(text["en"]), path
        assert JAPANESE.search(text["ja"]), path
        assert not NOT_BARE.search(text["ja"]), path


@pytest.mark.parametrize("profile", PROFILES)
def test_every_column_activity_and_value_has_words_and_no_word_is_idle(profile: str) -> None:
    table, words = table_of(profile), set(table_of(profile).vocabulary.words)
    columns = {attribute.column for attribute in table.attributes.values()}
    values = {f"{c.feature}={v}" for c in conditions(profile) for v in c.one_of or ()}
    assert words >= table.activities | columns | values
    if profile != "b2b_saas":  # its words are those of the demo, which has more features
        profile_words = {word for word in words if word.partition("=")[0] not in columns}
        assert profile_words <= table.activities | set(table.names)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_feature_reads_well_in_both_languages(profile: str) -> None:
    table = table_of(profile)
    for name in table.names:
        assert JAPANESE.search(table.label(name, "ja"))
        assert not re.search("[a-z_]", table.label(name, "ja"))
        assert not JAPANESE.search(table.label(name, "en"))
        assert "_" not in table.label(name, "en")


@pytest.mark.parametrize("profile", PROFILES)
def test_no_two_rules_give_the_same_reason(profile: str) -> None:
    rules = [rule for _, _, rule in card_of(profile).rules()]
    for lang in ("en", "ja"):
        assert len({rule.because.text(lang) for rule in rules}) == len(rules)
