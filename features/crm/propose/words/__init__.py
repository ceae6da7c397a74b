"""The words of headers and values: normal forms, and whole words that occur in them."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

Meaning: TypeAlias = Literal[
    "won", "was_won", "lost", "open", "not_won", "converted", "qualified", "closed", "neither", "yes", "no"
]
"""What a value says about the outcome; `closed` alone is neither won nor lost."""

_FULL_VALUES: tuple[tuple[str, Meaning], ...] = (
    ("whole_won", "won"),
    ("whole_lost", "lost"),
    ("whole_open", "open"),
    ("whole_closed", "closed"),
    ("whole_not_won", "not_won"),
    ("whole_qualified", "qualified"),
    ("whole_neither", "neither"),
    ("yes", "yes"),
    ("no", "no"),
)
_PARTS: tuple[tuple[str, Meaning], ...] = (
    ("neither", "neither"),
    ("was_won", "was_won"),
    ("waiting", "open"),
    ("lost", "lost"),
    ("converted", "converted"),
    ("won", "won"),
    ("archived", "neither"),
)
_NEGATIONS = frozenset({"not", "never", "no", "non", "nicht", "kein", "keine", "não", "pas", "niet"})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NUMBERING = re.compile(r"^\s*(\d{1,2}|[a-z])\s*[._:)-]+\s*(?=\D)")
_DECIMALS = re.compile(r"(?<=^\d)\.0+$")
_BRACKETS = re.compile(r"\s*[(\[（【].*?[)\]）】]\s*")


def header_key(header: str) -> str:
    """A header without case, width, spaces and punctuation: `Lead ID`, `LeadID` and `LEAD_ID` are one."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", header).casefold())


def value_key(value: str) -> str:
    """A value without case, width, outer spaces and the decimals of a whole number: `1.0` is 1."""
    return _DECIMALS.sub("", unicodedata.normalize("NFKC", value).strip().casefold())


@cache
def split_words(text: str) -> tuple[str, ...]:
    """The words of a header or value in lower case; `CreatedDate` has two."""
    spaced = _CAMEL.sub(" ", unicodedata.normalize("NFKC", text))
    return tuple(re.findall(r"[^\W_]+", spaced.casefold()))


def has_word(text: str, kind: str, section: str = "headers") -> bool:
    """Whether a header or value holds one of the words of words.toml."""
    return any(_holds(text, word) for word in _words()[section][kind])


@cache
def _holds(text: str, word: str) -> bool:
    if re.search(r"[぀-ヿ一-鿿]", word):
        return word.casefold() in unicodedata.normalize("NFKC", text).casefold()
    words, wanted = split_words(text), split_words(word)
    if any(words[i : i + len(wanted)] == wanted for i in range(len(words))):
        return True
    return len(word) > 3 and "".join(words) == "".join(wanted)


@cache
def value_meaning(value: str) -> Meaning:
    """What a value of a stage or status says about the outcome."""
    text = _NUMBERING.sub("", value_key(value))
    plain = _BRACKETS.sub(" ", text).strip() or text
    values = _words()["values"]
    for candidate in (text, plain):
        for kind, meaning in _FULL_VALUES:
            if candidate in values[kind] and not _is_neither(text, candidate):
                return meaning
    for kind, meaning in _PARTS:
        if has_word(text, kind, "values"):
            is_negated = meaning in ("won", "converted") and not _NEGATIONS.isdisjoint(split_words(text))
            return "not_won" if is_negated else meaning
    return "open"


def _is_neither(text: str, candidate: str) -> bool:
    """Whether the words in brackets revoke the value: 成約（キャンセル）."""
    return text != candidate and has_word(text, "neither", "values")


@cache
def _words() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
