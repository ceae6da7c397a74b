"""Rank and department from a job title, by the words of words.toml."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache

from features.derived.words import read_words

_NO_LEVEL = "other"
_WORDS = re.compile(r"[^\W_]+")


@lru_cache(maxsize=65_536)
def find_rank(title: str) -> str | None:
    """The rank in a title; "other" if it names none. A rank is unchanged."""
    return _find_level(title, "job_rank")


@lru_cache(maxsize=65_536)
def find_department(title: str) -> str | None:
    """The department in a title or in a name of a department; "other" if it names none."""
    return _find_level(title, "department")


def _find_level(title: str, kind: str) -> str:
    """The first level of which a word stands in the title. Words of Latin letters are whole words."""
    plain = unicodedata.normalize("NFKC", title).casefold()
    text = f" {' '.join(_WORDS.findall(plain))} "
    levels = _patterns(kind)
    if any(plain == level for level, _ in levels):
        return plain
    return next((level for level, pattern in levels if pattern.search(text)), _NO_LEVEL)


@cache
def _patterns(kind: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Levels with a pattern of their words, in the order in which they are tried."""
    return tuple((group["level"], _to_pattern(group["words"])) for group in read_words()[kind])


def _to_pattern(words: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(f" {w} " if w.isascii() else w) for w in words))
