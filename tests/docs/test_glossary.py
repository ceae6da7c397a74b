"""One term, one word in each language: texts and documents follow scoring/glossary.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from features.kinds import Language
from features.messages.catalogue import FOLDER, read_pairs
from scoring.glossary import Term, glossary_page, load_terms, page_path

ROOT = Path(__file__).parents[2]
TERMS = load_terms()
TEXT_FILES = [ROOT / "scoring" / "texts.toml", *(ROOT / "serving" / "review" / "texts").glob("*.toml")]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "README.ja.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(p for p in (ROOT / "docs").glob("*.md") if not p.name.startswith("glossary")),
]
TEXTS: dict[str, dict[str, str]] = {
    f"{path.name} {key}": text
    for path in TEXT_FILES
    for key, text in tomllib.loads(path.read_text(encoding="utf-8")).items()
}
MESSAGES = [(path.name, en, ja) for path in sorted(FOLDER.glob("*.toml")) for en, ja in read_pairs(path)]
"""What the commands print."""

JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff、。）]")


def word_pattern(word: str) -> re.Pattern[str]:
    """An English word or its plural, as a whole word."""
    return re.compile(rf"\b{re.escape(word)}s?\b", re.IGNORECASE)


def read_prose(text: str) -> str:
    """A text without placeholders, code in backticks and names of files."""
    return re.sub(r"\{.*?\}|`[^`]*`|\b\w+\.(?:toml|md|db)\b", " ", text)


def read_places(lang: Language) -> Iterator[tuple[str, str]]:
    """Each text of a language, and each line of the documents, with its place."""
    yield from ((place, read_prose(text[lang])) for place, text in TEXTS.items())
    yield from ((f"{name} {en}", read_prose({"en": en, "ja": ja}[lang])) for name, en, ja in MESSAGES)
    for path in DOCUMENTS:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{path.name}:{number}", read_prose(line)


@pytest.mark.parametrize("lang", get_args(Language))
def test_the_pages_are_current(lang: Language) -> None:
    page = page_path(ROOT / "docs", lang).read_text(encoding="utf-8")
    assert page == glossary_page(lang), "run `make reference`"


@pytest.mark.parametrize("lang", get_args(Language))
def test_no_two_terms_share_a_word(lang: Language) -> None:
    words = [getattr(term, lang).lower() for term in TERMS.values()]
    assert len(words) == len(set(words)) > 40


@pytest.mark.parametrize("lang", get_args(Language))
def test_no_word_to_avoid_is_the_word_of_a_term(lang: Language) -> None:
    words = {getattr(term, lang).lower() for term in TERMS.values()}
    avoided_words = {word.lower() for term in TERMS.values() for word in getattr(term.avoid, lang)}
    assert words & avoided_words == set()


def test_no_text_uses_an_english_word_to_avoid() -> None:
    avoided_words = [word for term in TERMS.values() for word in term.avoid.en]
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, avoided_words))})\b", re.IGNORECASE)
    assert [(place, text) for place, text in read_places("en") if pattern.search(text)] == []


def test_no_text_uses_a_japanese_word_to_avoid() -> None:
    avoided_words = [word for term in TERMS.values() for word in term.avoid.ja]
    places = [(p, text) for p, text in read_places("ja") if any(word in text for word in avoided_words)]
    assert places == []


@pytest.mark.parametrize("term", [t for t in TERMS.values() if t.paired], ids=lambda term: term.en)
def test_a_term_has_the_same_word_in_every_text(term: Term) -> None:
    """A text that has the English term has its Japanese word, or one of its short forms."""
    pattern = word_pattern(term.en)
    words = (term.ja, *term.short)
    mismatches = {
        place: text
        for place, text in TEXTS.items()
        if pattern.search(read_prose(text["en"])) and not any(w in text["ja"] for w in words)
    }
    assert mismatches == {}


@pytest.mark.parametrize("term", TERMS.values(), ids=lambda term: term.en)
def test_every_term_is_in_use(term: Term) -> None:
    pattern = word_pattern(term.en)
    assert any(pattern.search(text) for _, text in read_places("en"))


@pytest.mark.parametrize(
    "path", [ROOT / "README.ja.md", *sorted((ROOT / "docs").glob("*.ja.md"))], ids=lambda path: path.name
)
def test_no_japanese_sentence_is_broken_over_two_lines(path: Path) -> None:
    """A line break inside a Japanese paragraph becomes a space on the page."""
    lines = path.read_text(encoding="utf-8").splitlines()
    broken = [
        line
        for line, next_line in pairwise(lines)
        if not line.startswith(("|", "#", "```"))
        and JAPANESE.match(line[-1:])
        and JAPANESE.match(next_line[:1])
    ]
    assert broken == []
