"""A change of the definition is written into its file: it reads as the card, and comments stay."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import SettingsError
from features.settings import load_settings
from scoring.scorecard.load import build_card, merge_profile, parse_card
from serving.review.definition.form import build_form, card_with_changes, read_form, to_toml_changes
from serving.review.definition.toml_edit import apply_changes, card_to_toml, edit_toml
from tests.helpers.service.service_app import CARD

DEMO = load_settings(Path(__file__).parents[4] / "demo" / "crm.toml")
TEXTS = {
    "own rows": CARD,
    "a profile": '# ours\nprofile = "b2b_saas"  # as shipped\n\n# [intent.rows.trial]\n# points = 30\n',
    "a profile with changes": 'profile = "b2b_saas"\n[intent.rows.trial]\npoints = 25 # more\n',
}


def edited(text: str, form_values: dict[str, str]) -> tuple[Any, dict[str, str], str]:
    """The card of a form that was filled in, what is wrong, and the text that is written."""
    full_card = merge_profile(tomllib.loads(text), "card")
    form = build_form(full_card, DEMO.table, "en")
    filled = {f.name: f.value for f in form.fields if f.value or f.kind != "on"} | form_values
    changes, errors = read_form({k: v for k, v in filled.items() if v != "(off)"}, form, "en")
    if errors:
        return None, errors, ""
    card, errors = card_with_changes(full_card, changes, form, "en")
    return card, errors, "" if card is None else edit_toml(text, to_toml_changes(full_card, changes), card)


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_a_form_that_nobody_touched_changes_nothing(text: str) -> None:
    card, errors, new_text = edited(text, {})
    assert (errors, new_text) == ({}, text)
    assert card.version == parse_card(tomllib.loads(text), "card").version


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_change_that_holds_is_read_back_as_the_card(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(list(TEXTS.values())))
    form = build_form(merge_profile(tomllib.loads(text), "card"), DEMO.table, "en")
    fields = data.draw(st.lists(st.sampled_from(list(form.fields)), max_size=4))
    values = {
        "whole": st.integers(-20, 60).map(str),
        "number": st.floats(0.5, 90).map(lambda v: f"{v:.2f}"),
        "on": st.sampled_from(["on", "(off)"]),
        "choice": st.sampled_from(["top_share", "calls_per_week"]),
    }
    form_values = {field.name: data.draw(values[field.kind]) for field in fields}
    card, errors, new = edited(text, form_values)
    assert (card is None) == bool(errors)
    if card is not None:
        assert parse_card(tomllib.loads(new), "card").version == card.version
        assert [line for line in text.splitlines() if line.startswith("#")] == [
            line for line in new.splitlines() if line.startswith("#")
        ]


def test_only_what_changed_is_written_over_a_profile() -> None:
    _, _, new_text = edited(TEXTS["a profile"], {"intent/rows/trial/points": "30"})
    assert new_text.startswith(TEXTS["a profile"])
    assert new_text.removeprefix(TEXTS["a profile"]).split() == ["[intent.rows.trial]", "points", "=", "30"]


def test_a_rule_is_taken_out_and_brought_back() -> None:
    card, _, without = edited(CARD, {"triggers/quote/off": "(off)"})
    assert "quote" not in card.triggers
    back, _, restored_text = edited(without, {"triggers/quote/off": "on"})
    assert "quote" in back.triggers
    assert (
        parse_card(tomllib.loads(restored_text), "card").version
        == parse_card(tomllib.loads(CARD), "card").version
    )


def test_a_number_of_a_condition_changes_with_its_list() -> None:
    card, _, new_text = edited(CARD, {"fit/rows/large/when/0/at_least": "250"})
    assert card.rows["large"].when[0].at_least == 250
    assert "at_least = 250" in new_text


@pytest.mark.parametrize(
    ("field", "typed", "error_field"),
    [
        ("intent/rows/interest/points", "ten", "intent/rows/interest/points"),
        ("intent/rows/interest/points", "1.5", "intent/rows/interest/points"),
        ("intent/rows/interest/points", "0", "intent/rows/interest/points"),
        ("intent/rows/interest/points", "1e3", "intent/rows/interest/points"),
        ("bands/warm", "80", "bands/warm"),
        ("bands/hot", "900", "bands/hot"),
        ("bands/warm", "-1", "bands/warm"),
        ("stages/hot/hours", "nan", "stages/hot/hours"),
        ("stages/hot/hours", "inf", "stages/hot/hours"),
        ("stages/hot/hours", "0", "stages/hot/hours"),
        ("thresholds/policy", "luck", "thresholds/policy"),
        ("thresholds/policy", "top_share", "thresholds/policy"),
    ],
)
def test_what_does_not_hold_is_told_at_its_field(field: str, typed: str, error_field: str) -> None:
    card, errors, _ = edited(CARD, {field: typed})
    assert card is None
    assert error_field in errors
    assert errors[error_field]


def test_a_flat_text_reads_as_the_card() -> None:
    card = parse_card(tomllib.loads(CARD), "card")
    assert parse_card(tomllib.loads(card_to_toml(card)), "card").version == card.version


def test_a_text_that_cannot_be_changed_in_place_says_so() -> None:
    full_card = merge_profile(tomllib.loads(CARD), "card")
    changed_card = build_card(apply_changes(full_card, {("bands", "warm"): 15}))
    with pytest.raises(SettingsError, match="editor"):
        edit_toml(CARD, {("bands", "warm"): 16}, changed_card)
