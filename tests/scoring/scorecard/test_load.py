"""Reading a scorecard.toml: changes to a profile, finding the file, and the version."""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from scoring.scorecard.load import blank_card, find_card, parse_card, profile_text, profiles
from tests.scoring.scorecard.card_files import B2B, ROW, TABLE, card, write

# -- profiles ------------------------------------------------------------------------------------


def test_points_change_and_all_else_stays() -> None:
    changed, old = card(B2B + "[intent.rows.trial]\npoints = 33"), card(B2B)
    assert changed.rows["trial"].points == 33
    assert changed.rows["trial"].because == old.rows["trial"].because
    assert {n: r for n, r in changed.rows.items() if n != "trial"} == {
        n: r for n, r in old.rows.items() if n != "trial"
    }
    assert list(changed.rows) == list(old.rows)


def test_conditions_are_replaced_as_a_whole() -> None:
    text = '[fit.rows.decides_in_larger_company]\nwhen = [{ feature = "employees", at_most = 9 }]'
    (condition,) = card(B2B + text).rows["decides_in_larger_company"].when
    assert (condition.at_least, condition.at_most) == (None, 9)


@pytest.mark.parametrize(
    ("text", "removed"),
    [
        ("[intent.rows.trial]\noff = true", {"intent.rows.trial"}),
        ("[triggers.date]\noff = true", {"triggers.date"}),
        ("[exclusions]\nstudent.off = true", {"exclusions.student"}),
        ("[fit]\noff = true", {"fit.rows.decides_in_larger_company", "fit.rows.private_mail"}),
        ("[intent.rows.trial]\noff = false", set()),
        ("[intent.rows.trial]\noff = true\npoints = 5", {"intent.rows.trial"}),
    ],
)
def test_what_is_off_is_left_out(text: str, removed: set[str]) -> None:
    rules = {f"{table}.{name}" for table, name, _ in card(B2B).rules()}
    assert {f"{table}.{name}" for table, name, _ in card(B2B + text).rules()} == rules - removed


def test_prompts_and_whole_groups_can_be_off() -> None:
    assert set(card(B2B + "[prompts.inquiry]\noff = true").prompts) == {"material_request"}
    assert card(B2B + "[fit]\noff = true").fit is None


def test_a_row_of_ones_own_can_be_off_without_a_profile() -> None:
    rule = {"when": [{"feature": "x", "at_least": 1}], "because": {"en": "a", "ja": "b"}}
    document = {**blank_card().to_dict(), "triggers": {"x": rule, "y": {**rule, "off": True}}}
    assert list(parse_card(document, "card").triggers) == ["x"]


def test_a_new_row_stands_after_those_of_the_profile() -> None:
    row = ROW + 'when = [{ feature = "employees", at_least = 1 }]'
    assert list(card(B2B + row).rows) == [*card(B2B).rows, "own"]


def test_single_keys_of_any_table_change() -> None:
    changed_card = card(B2B + '[bands]\nhot = 40\n[stages.hot]\nhours = 4\n[hours]\ncountry = "DE"')
    old = card(B2B)
    assert (changed_card.bands.warm, changed_card.bands.hot) == (10, 40)
    assert changed_card.stages.hot == old.stages.hot.model_copy(update={"hours": 4})
    assert changed_card.hours == old.hours.model_copy(update={"country": "DE"})
    assert changed_card.thresholds == old.thresholds


def test_numbers_and_booleans_are_values_as_the_table_has_them() -> None:
    row = ROW + 'when = [{ feature = "budget", one_of = [5, 2.5, true, "x"] }]'
    assert card(B2B + row).rows["own"].when[0].one_of == ("5", "2.5", "true", "x")


# -- finding it ----------------------------------------------------------------------------------


def test_the_card_beside_crm_toml_is_found(tmp_path: Path) -> None:
    assert find_card(tmp_path, TABLE) == blank_card()
    write(tmp_path, B2B)
    assert find_card(tmp_path, TABLE) == card(B2B)


def test_a_blank_card_has_no_rules_and_default_shares() -> None:
    blank = blank_card()
    assert not list(blank.rules())
    assert not blank.features
    assert (blank.thresholds.warm, blank.thresholds.hot) == (0.3, 0.1)


# -- version -------------------------------------------------------------------------------------


def _reverse_keys(value: Any) -> Any:
    """The same tables, every key in the opposite order."""
    if isinstance(value, dict):
        return {key: _reverse_keys(value[key]) for key in reversed(value)}
    return [_reverse_keys(part) for part in value] if isinstance(value, list) else value


_FREE = ("en", "ja", "kind", "owner", "feature")
"""Keys whose text may be any."""


def _list_leaf_paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value that can be changed a little without breaking the card."""
    parts = node.items() if isinstance(node, dict) else enumerate(node)
    paths = []
    for key, value in parts:
        if isinstance(value, dict | list):
            paths += _list_leaf_paths(value, (*path, key))
        elif isinstance(value, bool | float | int) or key in _FREE:
            paths.append((*path, key))
    return paths


def _change_value(plain: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(plain)
    node: Any = changed
    for key in path[:-1]:
        node = node[key]
    old = node[path[-1]]
    node[path[-1]] = not old if isinstance(old, bool) else old + ("x" if isinstance(old, str) else 1)
    return changed


def test_the_version_changes_with_anything_that_is_said() -> None:
    plain = {key: value for key, value in card(B2B).to_dict().items() if key != "hours"}
    paths = _list_leaf_paths(plain)
    versions = {parse_card(_change_value(plain, path), "card").version for path in paths}
    assert len(paths) > 140
    assert len(versions | {parse_card(plain, "card").version}) == len(paths) + 1


@pytest.mark.parametrize(
    "text",
    [
        'hot_is = "sql"',
        '[hours]\ntime_zone = "UTC"',
        "[hours]\nopens = 09:00:01",
        '[hours]\ndays = ["mon"]',
        '[thresholds]\npolicy = "top_share"\nwarm = 0.2\nhot = 0.1',
        '[triggers.date]\nwhen = [{ feature = "timing", one_of = ["this_month"] }]',
        "[prompts.inquiry]\noff = true",
        "[stages.cold]\nhours = 5",
    ],
)
def test_the_version_changes_with_a_line(text: str) -> None:
    assert card(B2B + text).version != card(B2B).version


def test_the_version_is_that_of_the_meaning() -> None:
    version = card(B2B).version
    assert card(profile_text("b2b_saas")).version == version
    assert parse_card(_reverse_keys(tomllib.loads(profile_text("b2b_saas"))), "card").version == version
    assert card(B2B + "# a word\n[intent.rows.trial]\npoints = 20").version == version
    assert card(B2B + '[thresholds]\npolicy = "same_volume_as_rules"').version == version


@pytest.mark.parametrize("profile", profiles())
def test_plain_and_parse_are_a_round_trip(profile: str) -> None:
    scorecard = card(f'profile = "{profile}"\nhot_is = "sql"')
    reparsed = parse_card(json.loads(json.dumps(scorecard.to_dict(), sort_keys=False)), "card")
    assert reparsed.to_dict() == scorecard.to_dict()
    assert reparsed.version == scorecard.version
    assert list(reparsed.rows) == list(scorecard.rows)
    assert reparsed.hours == scorecard.hours
