"""The encoding of a text file, found from its bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from charset_normalizer import from_bytes

from features.crm.sources.files import TableFile
from features.crm.sources.refusals import wide_encoding

_CHUNK, _MAX_WORDS, _SHOWN = 1 << 20, 3_000, 3
_CANDIDATES = ("cp932", "euc_jp", "cp1252", "cp1250", "cp1254", "cp1251", "cp1253", "mac_roman")
_COMMON = ("cp932", "euc_jp", "cp1252")
_SAME_WORDS = {"shift_jis": "cp932", "iso8859-1": "cp1252"}
_OTHER_ASIAN = ("gb18030", "big5", "cp949")
_NOT_ASCII = re.compile(rb"[^\x00-\x7f]")
_CELL_ENDS = re.compile(rb'[,;\t"\r\n]+')
_JAPANESE = r"[぀-ヿ㐀-䶿一-鿿豈-﫿！-｠￠-￦、-〿①-⑳Ⅰ-ⅿ㈱㈲㍻-㍾℡№×→←↑↓○●◎□■△▲▽▼☆★…※々〇―−～]"
_HALF_WIDTH = r"[｡-ﾟ]"
_JAPANESE_RUNS = re.compile(rf"(?:{_JAPANESE}|{_HALF_WIDTH}){{2,}}|^(?:{_JAPANESE})$")
_LETTERS = {"cp1252": "À-ÖØ-öø-ÿŒœŠšŽžŸ", "cp1250": "Ă-žÀ-ÖØ-öø-ÿ", "cp1251": "Ѐ-ӿ", "cp1253": "Ά-ώ"} | {
    "mac_roman": "À-ÖØ-öø-ÿŒœŸ",
    "cp1254": "À-ÖØ-öø-ÿŒœŠšŸĞğİıŞş",
}
_ALPHABETS = {
    "cp1252": (
        *("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "ãâáàçéêíóôõú", "àèéìíòóù"),
        *("éëïóöü", "åäöé", "æøåéö", "áðéíóúýþæö"),
    ),
    "cp1250": ("áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "ąćęłńóśźż", "áéíóöőúüű", "ăâîşţ", "čćđšž", "äöüß"),
    "cp1254": ("çğıiöşüâî\u0307",),
}
"""The letters beyond ASCII of languages that are written in these encodings."""
_SIGNS = "\u00a0\u2018-\u201f\u2013\u2014\u2022\u2026€£¥§°«»®™©²³·¿¡ºª№µ±×½¼¾´¨¸"


@dataclass(frozen=True)
class FoundEncoding:
    """The `name` of the encoding for crm.toml, and some `words` that show that it fits."""

    name: str
    words: tuple[str, ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether nothing but the bytes was needed to find it."""
        return self.name.startswith("utf")


def find_encoding(file: TableFile) -> FoundEncoding | None:
    """The encoding in which the whole file decodes to words; None if none does.

    UTF-8 and UTF-16 are certain. The others are ranked by charset-normalizer, and taken only if
    the characters beyond ASCII stand where words of the language have them.
    """
    with file.open() as stream:
        wide = wide_encoding(stream.read(4_096))
    if wide:
        return FoundEncoding(wide) if decodes(file, wide) else None
    if decodes(file, "utf-8"):
        return FoundEncoding("utf-8")
    words = _words_beyond_ascii(file)
    for name in _rank(words):
        if decodes(file, name):
            return FoundEncoding(name, _show_words(words, name))
    return None


def decodes(file: TableFile, encoding: str) -> bool:
    """Whether the whole file decodes."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with file.open() as stream:
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def reads_wrongly(file: TableFile, encoding: str) -> bool:
    """Whether a file certainly has another encoding than this one, although it may decode."""
    if encoding.startswith("utf"):
        return False
    if _is_utf8_beyond_ascii(file):
        return True
    name = _SAME_WORDS.get(encoding, encoding)
    words = _words_beyond_ascii(file, _CHUNK)
    if name not in _COMMON or _reads_as_words(words, name):
        return False
    return any(_reads_as_words(words, fitting) and decodes(file, fitting) for fitting in _COMMON)


def _is_utf8_beyond_ascii(file: TableFile) -> bool:
    """Whether a file is UTF-8 with characters beyond ASCII, which other encodings hardly ever are."""
    with file.open() as stream:
        is_ascii = all(chunk.isascii() for chunk in iter(lambda: stream.read(_CHUNK), b""))
    return not is_ascii and decodes(file, "utf-8")


def first_broken_line(file: TableFile) -> int | None:
    """The line of a file with UTF-8 words that holds other bytes, too; None if it is not such a file."""
    good, broken = 0, list[int]()
    with file.open() as stream:
        for number, line in enumerate(stream, start=1):
            if _NOT_ASCII.search(line):
                good, broken = (good + 1, broken) if _is_utf8(line) else (good, [*broken[:9], number])
    return broken[0] if good > 10 * len(broken) > 0 else None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _words_beyond_ascii(file: TableFile, max_bytes: int | None = None) -> list[bytes]:
    """Different cells with bytes beyond ASCII, of the first bytes or of all."""
    words: dict[bytes, None] = {}
    with file.open() as stream:
        for line in stream.read(max_bytes).splitlines()[:-1] if max_bytes else _lines(stream):
            if _NOT_ASCII.search(line):
                words.update((w, None) for w in _CELL_ENDS.split(line) if _NOT_ASCII.search(w))
            if len(words) > _MAX_WORDS:
                break
    return list(words)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while lines := stream.readlines(_CHUNK):
        yield from lines


def _rank(words: list[bytes]) -> list[str]:
    """The candidates that read as words, the most likely first."""
    matches = from_bytes(b"\n".join(words), cp_isolation=[*_CANDIDATES, *_OTHER_ASIAN])
    chaos = {match.encoding: match.percent_chaos for match in matches}
    fitting = [n for n in _CANDIDATES if _reads_as_words(words, n) and not _may_be_chinese(words, n, chaos)]
    return sorted(fitting, key=lambda name: (chaos.get(name, 0.0) > 10, *_rank_of(words, name)))


def _rank_of(words: list[bytes], encoding: str) -> tuple[int, float, float, int]:
    """How early a candidate comes; of Latin ones, that whose languages have the letters of most words, then
    the one of which a single language has them."""
    index = _CANDIDATES.index(encoding)
    if encoding not in _ALPHABETS:
        return (0 if index < _CANDIDATES.index("cp1252") else 2), 0.0, 0.0, index
    letters = [{c for c in w.decode(encoding).lower() if c.isalpha() and not c.isascii()} for w in words]
    fits = np.array(
        [[word_letters <= {*alphabet} for word_letters in letters] for alphabet in _ALPHABETS[encoding]]
    )
    return 1, -float(fits.any(axis=0).mean()), -float(fits.mean(axis=1).max()), index


def _may_be_chinese(words: list[bytes], encoding: str, chaos: dict[str, float]) -> bool:
    """Whether Chinese or Korean fits the bytes at least as well as this Japanese encoding."""
    if encoding not in ("cp932", "euc_jp"):
        return False
    text = "".join(word.decode(encoding) for word in words)
    if encoding == "euc_jp":
        others = min(chaos.get(name, 100.0) for name in _OTHER_ASIAN)
        return not re.search("[ぁ-ヺ]", text) and others < chaos.get(encoding, 100.0)
    return not re.search(_JAPANESE, text) and _is_decodable(words, "gb18030")


def _is_decodable(words: list[bytes], encoding: str) -> bool:
    try:
        return all(word.decode(encoding) for word in words)
    except UnicodeDecodeError:
        return False


def _reads_as_words(words: list[bytes], encoding: str) -> bool:
    if not _is_decodable(words, encoding):
        return False
    texts = [word.decode(encoding) for word in words]
    if encoding == "cp932" and _are_rare("".join(texts)):
        return False
    fits = _is_japanese if encoding in ("cp932", "euc_jp") else _is_alphabetic
    return sum(fits(text, encoding) for text in texts) >= 0.75 * len(texts) > 0


def _are_rare(text: str) -> bool:
    """Whether most kanji of a text are of the rare ones that accented letters look like in Shift_JIS."""
    first_bytes = [c.encode("cp932")[0] for c in text if not c.isascii() and len(c.encode("cp932")) == 2]
    return sum(byte >= 0xE0 for byte in first_bytes) > 0.5 * len(first_bytes)


def _is_japanese(text: str, encoding: str) -> bool:
    """Whether all characters beyond ASCII are Japanese, and few of them stand alone between letters."""
    beyond = sum(not c.isascii() for c in text)
    in_runs = sum(len(run) for run in _JAPANESE_RUNS.findall(text))
    half = len(re.findall(_HALF_WIDTH, text))
    if encoding == "euc_jp" and half:
        return False
    single = len(re.findall(rf"(?<![a-z]){_JAPANESE}(?![a-z])", text))
    return in_runs >= 0.8 * beyond or single == beyond


def _is_alphabetic(text: str, encoding: str) -> bool:
    """Whether the characters beyond ASCII are letters in words of one alphabet, or signs outside of words."""
    letters = _LETTERS[encoding]
    if re.search(rf"[^\x00-\x7f{letters}{_SIGNS}]", text):
        return False
    if re.search(rf"[^\W\d_][{_SIGNS}][^\W\d_]", re.sub("[\u00a0’´·-]", " ", text)):
        return False
    if encoding in ("cp1251", "cp1253"):
        is_mixed = re.search(rf"[A-Za-z][{letters}]|[{letters}][A-Za-z]", text)
        return not is_mixed and all(map(_is_usual_case, re.findall(f"[{letters}]+", text)))
    if not all(_is_usual_case(w) for w in re.findall(r"[^\W\d_]{2,}", text) if not w.isascii()):
        return False
    has_soup = re.search(rf"[{letters}]{{3}}", text)
    length = sum(c.isalpha() for c in text)
    if length < 3:  # such as "à" or "5 €"
        return sum(not c.isascii() for c in text) <= 2
    return not has_soup and len(re.findall(f"[{letters}]", text)) <= 0.8 * length


def _is_usual_case(word: str) -> bool:
    return word in (word.lower(), word.upper(), word[0] + word[1:].lower())


def _show_words(words: list[bytes], encoding: str) -> tuple[str, ...]:
    texts = dict.fromkeys(" ".join(w.decode(encoding).split()) for w in words)
    return tuple(text[:30] for text in sorted(texts, key=len) if text)[:_SHOWN]
