"""The Japanese templates, from `ja/*.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("ja")
LIBRARIES = FOLDER / "libraries.toml"


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """The English and Japanese templates of a file of the catalogue."""
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["message"]:
        yield entry["en"], entry["ja"]


def to_japanese(template: str) -> str:
    """The Japanese template of an English one, or the English one if the catalogue has none."""
    return _templates().get(template, template)


def recognise(text: str) -> tuple[str, dict[str, str]] | None:
    """The template and the values of an English text of a library: Typer, pydantic, the system.

    These texts come filled; `ja/libraries.toml` has their templates. None if there is none for this text.
    """
    for pattern, template in _library_patterns():
        match = pattern.fullmatch(text)
        if match is not None:
            return template, match.groupdict()
    return None


@cache
def _templates() -> dict[str, str]:
    return {en: ja for path in sorted(FOLDER.glob("*.toml")) for en, ja in read_pairs(path)}


@cache
def _library_patterns() -> list[tuple[re.Pattern[str], str]]:
    templates = [en for en, _ in read_pairs(LIBRARIES)]
    return [(re.compile(_to_pattern(template), re.DOTALL), template) for template in templates]


def _to_pattern(template: str) -> str:
    """A template as a regular expression with one group for each placeholder."""
    return re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(template))
