"""The glossary of docs/: `python -m scoring.glossary docs` writes its pages from glossary.toml."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict

from features.kinds import Language

_FILE = Path(__file__).with_name("glossary.toml")

_PAGES: dict[Language, tuple[str, str]] = {
    "en": (
        "glossary.md",
        "# Glossary\n\n[日本語](glossary.ja.md)\n\n"
        "The terms of the pages, commands and documents. Each thing has one word in each language.\n\n"
        "| term | Japanese | meaning |",
    ),
    "ja": (
        "glossary.ja.md",
        "# 用語集\n\n[English](glossary.md)\n\n"
        "画面、コマンド、ドキュメントで使う用語です。一つのものを一つの言葉で表します。\n\n"
        "| 用語 | 英語 | 意味 |",
    ),
}


class Localized(BaseModel):
    """A sentence in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    en: str
    ja: str


class Avoided(BaseModel):
    """Words for the same thing that no text may use, by language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    en: tuple[str, ...] = ()
    ja: tuple[str, ...] = ()


class Term(BaseModel):
    """One term: its word in each language and its meaning.

    `short` are Japanese short forms that texts may use. `paired` is False for an English word that
    has other meanings too, so that texts are not compared by it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    en: str
    ja: str
    meaning: Localized
    avoid: Avoided = Avoided()
    short: tuple[str, ...] = ()
    paired: bool = True


def load_terms() -> dict[str, Term]:
    """All terms of glossary.toml by key. Raises ValidationError for a wrong entry."""
    entries = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {key: Term.model_validate(entry) for key, entry in entries.items()}


def glossary_page(lang: Language) -> str:
    """The page of one language in Markdown, sorted by English term."""
    terms = sorted(load_terms().values(), key=lambda term: term.en.lower())
    rows = [
        f"| {term.en} | {term.ja} | {term.meaning.en} |"
        if lang == "en"
        else f"| {term.ja} | {term.en} | {term.meaning.ja} |"
        for term in terms
    ]
    return "\n".join([_PAGES[lang][1], "|---|---|---|", *rows, ""])


def page_path(docs: Path, lang: Language) -> Path:
    """The file of `docs` that holds the page of one language."""
    return docs / _PAGES[lang][0]


if __name__ == "__main__":
    for language in get_args(Language):
        page_path(Path(sys.argv[1]), language).write_text(glossary_page(language), encoding="utf-8")
