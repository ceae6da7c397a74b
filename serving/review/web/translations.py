"""What the pages say: the texts of each page, in English and Japanese, and then those of all Hotlead."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from features.kinds import Language
from scoring import texts

_FOLDER = Path(__file__).parents[1] / "texts"


@cache
def page_texts() -> dict[str, dict[Language, str]]:
    """Every text of the pages by its key."""
    by_key: dict[str, dict[Language, str]] = {}
    for path in sorted(_FOLDER.glob("*.toml")):
        by_key |= tomllib.loads(path.read_text(encoding="utf-8"))
    return by_key


def translate_page(key: str, lang: Language, **values: object) -> str:
    """The text of `key`, with its places filled. Raises KeyError for an unknown key."""
    by_language = page_texts().get(key)
    return texts.translate(key, lang, **values) if by_language is None else by_language[lang].format(**values)
