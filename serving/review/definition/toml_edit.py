"""A change of the definition as a change of its scorecard.toml: comments, order and profile stay."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TypeAlias

import tomlkit
from tomlkit.items import InlineTable

from features.errors import SettingsError
from scoring.scorecard.load import parse_card
from scoring.scorecard.scorecard import Scorecard

KeyPath: TypeAlias = tuple[str, ...]
"""Where a value stands: the tables, then the key."""
CardChanges: TypeAlias = Mapping[KeyPath, object]
"""New values by their place; None takes the key away."""


def apply_changes(full_card: Mapping[str, object], changes: CardChanges) -> dict[str, object]:
    """What a whole card says with the changes made."""
    result = _copy(full_card)
    for path, value in changes.items():
        _set_value(result, path, value)
    return result


def edit_toml(text: str, changes: CardChanges, card: Scorecard) -> str:
    """The text of a scorecard.toml with the changes made in it: it reads as `card`.

    Raises SettingsError where it does not: some texts cannot be changed in place.
    """
    document = tomlkit.parse(text)
    for path, value in changes.items():
        _set_value(document, path, _to_toml(value))
    edited = tomlkit.dumps(document)
    if parse_card(tomllib.loads(edited), "scorecard.toml").version != card.version:
        raise SettingsError(
            "scorecard.toml: the change cannot be written into the file as it stands. Change it in an editor."
        )
    return edited


def card_to_toml(card: Scorecard) -> str:
    """A whole card as a scorecard.toml, for a company that had none."""
    return tomlkit.dumps(card.to_dict())


def _set_value(container: MutableMapping[str, object], path: KeyPath, value: object) -> None:
    """Set or take away a value, with the tables above it."""
    for key in path[:-1]:
        if not isinstance(container.get(key), Mapping):
            container[key] = {} if not isinstance(container, tomlkit.TOMLDocument) else tomlkit.table()
        inner = container[key]  # what tomlkit made of the new table
        assert isinstance(inner, MutableMapping)
        container = inner
    if value is None:
        container.pop(path[-1], None)
    else:
        container[path[-1]] = value


def _copy(table: Mapping[str, object]) -> dict[str, object]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in table.items()}


def _to_toml(value: object) -> object:
    """A value as it is written on one line."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        rows = tomlkit.array()
        rows.extend([_to_inline_table(item) if isinstance(item, Mapping) else item for item in value])
        return rows
    return value


def _to_inline_table(mapping: Mapping[str, object]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update({key: list(value) if isinstance(value, tuple) else value for key, value in mapping.items()})
    return table
