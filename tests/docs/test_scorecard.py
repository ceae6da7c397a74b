"""docs/scorecard.md says what the code does: its cards, messages, figures, commands and keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
import typer
from pydantic import BaseModel

import cli
from features.errors import SettingsError
from features.settings import parse_features
from features.table import FeatureTable
from scoring.decision.overrides import VERDICTS, read_overrides
from scoring.scorecard.load import blank_card, load_card, parse_card, profile_features, profiles
from scoring.scorecard.rating import scale_of
from scoring.scorecard.reference import TABLES, card_keys, with_keys
from scoring.scorecard.scorecard import STAGES, Policy, Scorecard

PATH = Path(__file__).parents[2] / "docs" / "scorecard.md"
PAGE = PATH.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
TOMLS = [
    (text, BLOCKS[i + 1][1].strip() if BLOCKS[i + 1 : i + 2] and BLOCKS[i + 1][0] == "text" else "")
    for i, (kind, text) in enumerate(BLOCKS)
    if kind == "toml"
]
"""Each TOML block, with the message that it gives; an empty one where it holds."""


def _table(*lacking: str) -> FeatureTable:
    """The features of the page and those of the profile that it changes."""
    features = {**profile_features("b2b_saas")["features"], **_features()}
    return FeatureTable(parse_features({k: v for k, v in features.items() if k not in lacking}))


def _features() -> dict[str, Any]:
    return next(tomllib.loads(t)["features"] for t, _ in TOMLS if t.startswith("[features]"))


def _complete_card(text: str) -> str:
    """A part of a card stands for a change of the profile."""
    is_standalone = text.startswith(("profile", "[features]")) or "[stages.cold]" in text
    return text if is_standalone else f'profile = "b2b_saas"\n{text}'


@pytest.mark.parametrize(
    ("text", "message"),
    [case for case in TOMLS if "[features]" not in case[0]],
    ids=lambda case: case.split("\n")[0][:40] or "holds",
)
def test_every_card_holds_or_gives_the_message_below_it(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "scorecard.toml"
    path.write_text(_complete_card(text), encoding="utf-8")
    table = _table(*re.findall(r"# crm\.toml has no feature (\w+)", text))
    if not message:
        assert load_card(path, table).rows
        return
    with pytest.raises(SettingsError) as problem:
        load_card(path, table)
    assert str(problem.value).replace(str(path), "scorecard.toml") == message


def test_the_page_has_good_cards_and_wrong_ones() -> None:
    error_messages = [message for _, message in TOMLS if message]
    assert len(error_messages) == len(set(error_messages)) >= 8
    assert len(TOMLS) - len(error_messages) >= 10


def test_the_small_card_needs_no_feature_but_those_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "scorecard.toml"
    path.write_text(next(t for t, _ in TOMLS if "[stages.cold]" in t), encoding="utf-8")
    table = FeatureTable(parse_features(_features()))
    assert load_card(path, table).features == set(table.names)


def test_the_change_of_the_profile_says_what_it_does() -> None:
    change = next(t for t, _ in TOMLS if "many_visits" in t)
    card = parse_card(tomllib.loads(change), "page")
    old = parse_card({"profile": "b2b_saas"}, "profile")
    assert card.rows["trial"] == old.rows["trial"].model_copy(update={"points": 30})
    assert set(card.rows) - set(old.rows) == {"many_visits"}
    assert set(old.rows) - set(card.rows) == {"newsletter"}
    assert len(old.rows["decides_in_larger_company"].when) == 2
    assert [c.at_least for c in card.rows["decides_in_larger_company"].when] == [300]


def test_points_score_and_stage_are_those_of_the_profile() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\w+) \|$", PAGE, re.MULTILINE)
    scale = scale_of(parse_card({"profile": "b2b_saas"}, "profile"))
    assert len(rows) == 8
    for points, score, stage in rows:
        actual = scale.score([float(points)]), scale.stage([float(points)])  # type: ignore[arg-type]
        assert (int(actual[0][0]), STAGES[actual[1][0]]) == (int(score), stage)


def test_profiles_policies_and_default_shares_are_those_of_the_code() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| .* \| `\w+\.features\.toml` \|$", PAGE, re.MULTILINE)) == set(
        profiles()
    )
    policies = get_args(Policy.model_fields["policy"].annotation)
    policy_names = re.findall(r"^\| `(\w+)` \| .* \| (?:none|leads|shares)", PAGE, re.MULTILINE)
    assert sorted(policy_names) == sorted(policies)
    blank = blank_card().thresholds
    assert (blank.policy, blank.hot, blank.warm) == ("top_share", 0.1, 0.3)


def test_the_overrides_of_the_page_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "overrides.csv"
    path.write_text(next(text for kind, text in BLOCKS if kind == "csv"), encoding="utf-8")
    overrides = read_overrides(path, ZoneInfo("Asia/Tokyo"))
    assert sorted(o.verdict for o in overrides) == sorted(VERDICTS)
    for verdict in VERDICTS:
        assert f"`{verdict}`" in PAGE


# -- commands ------------------------------------------------------------------------------------


def _find_command_lines() -> list[list[str]]:
    """The words after `hotlead` of each command line that the page names."""
    return [line.split()[1:] for line in re.findall(r"`(hotlead\s[^`]+)`", PAGE)]


def _find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words after it."""
    command: Any = typer.main.get_command(cli.app)
    while hasattr(command, "commands") and words:
        assert words[0] in command.commands, f"there is no command {' '.join(words)}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("words", _find_command_lines(), ids=" ".join)
def test_every_command_and_option_of_the_page_exists(words: list[str]) -> None:
    command, rest = _find_command(words)
    options = {name for p in command.params for name in p.opts}
    for option in (word for word in rest if word.startswith("--")):
        assert option in options, f"{' '.join(words)}: there is no option {option}"


@pytest.mark.parametrize("words", _find_command_lines(), ids=" ".join)
def test_no_command_of_the_page_has_too_many_arguments(words: list[str]) -> None:
    command, rest = _find_command(words)
    positional_arguments = [
        w
        for before, w in zip(["", *rest], rest, strict=False)
        if not w.startswith("--") and not before.startswith("--")
    ]
    assert len(positional_arguments) <= sum(p.param_type_name == "argument" for p in command.params)


def test_the_page_names_every_command_about_the_card() -> None:
    command_lines = [" ".join(words) for words in _find_command_lines()]
    for name in (
        "rules show",
        "rules suggest",
        "rules replay",
        "train",
        "compare",
        "promote",
        "rollback",
        "score --overrides",
    ):
        assert any(line.startswith(name) for line in command_lines), name


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", PAGE)
    assert targets
    for target in targets:
        assert (PATH.parent / target).exists(), target


# -- the reference -------------------------------------------------------------------------------


def test_the_keys_are_those_that_the_code_makes() -> None:
    assert with_keys(PAGE) == PAGE, "run `make reference`"
    assert card_keys() in PAGE


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model inside an annotation, and inside those."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation)
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


def test_every_table_of_the_card_is_documented() -> None:
    assert set(TABLES) == set(_models(Scorecard))


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_every_key_is_documented_with_its_meaning(model: type[BaseModel]) -> None:
    section = PAGE.split(f"### {TABLES[model]}\n")[1].split("###")[0]
    for name, field in model.model_fields.items():
        row = next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
        values, default, meaning = (cell.strip() for cell in row.split(" | ")[1:])
        assert values
        assert (default == "needed") == field.is_required()
        assert meaning.rstrip(" |") == field.description


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("`[thresholds]`", "| `warm` | number above 0 | – |"),
        ("`[bands]`", "| `hot` | whole number above 0 | needed |"),
        ("`[fit.rows.NAME]`", "| `points` | whole number from -1000 up to 1000 | needed |"),
        ("`[fit.rows.NAME]`", "| `off` | `true` or `false` | `false` |"),
        ("A condition", "| `one_of` | list of texts | – |"),
        ("`[hours]`", "| `days` | list of `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun` |"),
        ("`[hours]`", '| `["mon", "tue", "wed", "thu", "fri"]` |'),
        ("`[hours]`", "| `opens` | time of day | `09:00:00` |"),
        ("`[prompts.NAME]`", "| `hours` | number above 0 up to 8760 | needed |"),
        ("At the top", '| `hot_is` | `mql`, `sql` | `"mql"` |'),
    ],
)
def test_values_and_defaults_read_well(table: str, row: str) -> None:
    section = PAGE.split(f"### {table}")[1].split("###")[0]
    assert row in section
