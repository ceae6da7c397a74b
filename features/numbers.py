"""Numbers as people and systems write them: one definition for CRM files and for what is sent.

A text of digits may be in full-width characters, as Japanese keyboards write them (１２３), and may have
commas between thousands (520,000). Whether 1.234,5 or 1,234.5 was meant is not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping

FULL_WIDTH: Mapping[int, str] = {0xFEE0 + half: chr(half) for half in range(0x21, 0x7F)}
"""Each full-width character with the ordinary one that it stands for, for `str.translate`."""

_D, _SIGN, _POINT, _COMMA, _E = "[0-9０-９]", "[+＋－-]", "[.．]", "[,，]", "[eEｅＥ]"
NUMBER = (
    rf"{_SIGN}?({_D}{{1,3}}({_COMMA}{_D}{{3}}){{1,4}}|{_D}{{1,15}})({_POINT}{_D}*)?"
    rf"|{_SIGN}?{_D}({_POINT}{_D}*)?{_E}"
    rf"([+＋]?[0０]?{_D}|[+＋]?[1１][0-4０-４]|[-－]{_D}{{1,2}})"
)
"""A text that is a number: 120, 1,200.5, １２０ or 1.2E+05; nothing is further than 1e15 from 0."""
THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
"""A number with commas between its thousands, in ordinary characters."""


def to_half_width(text: str) -> str:
    """The text in ordinary characters: '１，２００' is '1,200'."""
    return text if text.isascii() else text.translate(FULL_WIDTH)


def number(text: str) -> float:
    """The number that a text of the form NUMBER is."""
    return float(to_half_width(text).replace(",", ""))
