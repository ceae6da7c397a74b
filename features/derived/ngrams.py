"""Short free texts as hashed character n-grams, from which no text can be read.

A text is read in ordinary width and lower case, with 0 for each digit, up to its first 1,000 characters.
Of Japanese and Chinese writing each two neighbouring characters are an n-gram; of each other word, with a
blank before and after it, each four. An n-gram is one of 4,096 numbers: its CRC-32, begun with `SEED`, modulo
4,096. A hundred and more n-grams of a language share each number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from zlib import crc32

from features.columns import LEVEL_SEPARATOR, join_levels

SEED, BUCKETS = 20_260_401, 4_096
"""The start of the hash and the number of its values. Models store the numbers, so both never change."""
MAX_CHARACTERS, LATIN_LENGTH, CJK_LENGTH = 1_000, 4, 2

_CJK = "々ー\u3040-\u30ff\u4e00-\u9fff"
_RUNS = re.compile(f"([{_CJK}]+)|([^\\W_{_CJK}]+)")
_DIGITS = re.compile(r"\d")
_CJK_WORDS = re.compile("[々\u4e00-\u9fff]{2,6}|[ー\u30a1-\u30ff]{2,12}")
_LATIN_WORD = re.compile(r"[^\W\d_]{3,20}")


def to_ngrams(text: str) -> str:
    """The n-grams of a text as a text of levels that begins with the separator; such a text is unchanged."""
    if text.startswith(LEVEL_SEPARATOR):
        return text
    numbers = sorted({_hash(ngram) for ngram in _list_ngrams(_to_plain(text))})
    return LEVEL_SEPARATOR + join_levels(f"{number:03x}" for number in numbers)


def find_words(text: str) -> set[str]:
    """The words of a text that a reason may name.

    Of Japanese these are runs of kanji or katakana; words with numbers or of one or two letters are none.
    """
    words = set[str]()
    for cjk, word in _RUNS.findall(_to_plain(text)):
        words.update(_CJK_WORDS.findall(cjk) if cjk else [word] if _LATIN_WORD.fullmatch(word) else [])
    return words


def word_ngrams(word: str) -> frozenset[str]:
    """The numbers of the n-grams of one of the words that `find_words` finds."""
    return frozenset(f"{_hash(ngram):03x}" for ngram in _list_ngrams(word))


def _to_plain(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).casefold()
    return _DIGITS.sub("0", plain)


def _list_ngrams(plain: str) -> Iterator[str]:
    for cjk, word in _RUNS.findall(plain):
        run, length = (cjk, CJK_LENGTH) if cjk else (f" {word} ", LATIN_LENGTH)
        for start in range(max(1, len(run) - length + 1)):
            yield run[start : start + length]


def _hash(ngram: str) -> int:
    return crc32(ngram.encode(), SEED) % BUCKETS
