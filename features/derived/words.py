"""The words of words.toml: domains of mail, ranks and departments, and the words for derived values."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal


@cache
def read_words() -> dict[str, Any]:
    """The content of words.toml, read once."""
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


def list_levels(kind: str) -> tuple[str, ...]:
    """The values of a kind of feature that have words."""
    return tuple(read_words()["labels"].get(kind, {}))


def level_word(kind: str, level: str, lang: Literal["en", "ja"]) -> str:
    """The word for a value of a kind of feature; the value itself where there is none."""
    words: dict[str, str] = read_words()["labels"].get(kind, {}).get(level, {})
    return words.get(lang, level)
