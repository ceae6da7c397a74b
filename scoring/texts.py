"""The texts of the product in English and Japanese, from texts.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from features.language import Language

_FILE = Path(__file__).with_name("texts.toml")


@cache
def all_texts() -> dict[str, dict[Language, str]]:
    """Every text by its key."""
    texts: dict[str, dict[Language, str]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return texts


def translate(key: str, lang: Language, **values: object) -> str:
    """The text of `key` with its placeholders filled. Raises KeyError for an unknown key."""
    return all_texts()[key][lang].format(**values)
