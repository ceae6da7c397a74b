"""A change of the definition as a change of its scorecard.toml: comments, order and profile stay."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import tomlkit
from tomlkit.items import InlineTable

from features.errors import SettingsError
from scoring.scorecard.load import parse_card
from scoring.scorecard.scorecard import Scorecard

Path: TypeAlias = tuple[str, ...]
"""Where a value stands: the tables, then the key."""
Changes: TypeAlias = Mapping[Path, Any]
"""New values by their place; None takes the key away."""


def changed(whole: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """What a whole card says with the changes made."""
    told: dict[str, Any] = _copy(whole)
    for path, value in changes.items():
        _set(told, path, value)
    return told


def written(text: str, changes: Changes, card: Scorecard) -> str:
    """The text of a scorecard.toml with the changes made in it: it reads as `card`.

    Raises SettingsError where it does not: some texts cannot be changed in place.
    """
    document = tomlkit.parse(text)
    for path, value in changes.items():
        _set(document, path, _toml(value))
    told = tomlkit.dumps(document)
    if parse_card(tomllib.loads(told), "scorecard.toml").version != card.version:
        raise SettingsError(
            "scorecard.toml: the change cannot be written into the file as it stands. Change it in an editor."
        )
    return told


def flat_text(card: Scorecard) -> str:
    """A whole card as a scorecard.toml, for a company that had none."""
    return tomlkit.dumps(card.plain())


def _set(told: Any, path: Path, value: Any) -> None:
    """Set or take away a value, with the tables above it."""
    for key in path[:-1]:
        if key not in told or not isinstance(told[key], Mapping):
            told[key] = {} if not isinstance(told, tomlkit.TOMLDocument) else tomlkit.table()
        told = told[key]
    if value is None:
        told.pop(path[-1], None)
    else:
        told[path[-1]] = value


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return value


def _toml(value: Any) -> Any:
    """A value as it is written on one line."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        rows = tomlkit.array()
        rows.extend([_inline(each) if isinstance(each, Mapping) else each for each in value])
        return rows
    return value


def _inline(told: Mapping[str, Any]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update({key: list(value) if isinstance(value, tuple) else value for key, value in told.items()})
    return table
