"""How much room a text takes, and where its lines break.

The fonts of a reader's machine are not known here, so widths are those of DejaVu Sans, one of the widest
fonts that browsers choose: a text that fits by them fits in the others too.
"""

from __future__ import annotations

from unicodedata import east_asian_width

FONT_SIZE = 12
LINE_HEIGHT = 15
_NARROW, _BROAD = frozenset("fijlrtI.,:;'|!()[]- /"), frozenset("mwMW%@+−–—±≥≤×GOQD&")
_NARROW_EM, _BROAD_EM, _CAPITAL_EM, _OTHER_EM, _WIDE_EM = 0.42, 0.98, 0.74, 0.65, 1.02
_ELLIPSIS = "…"


def text_width(text: str) -> float:
    """The width of a text in pixels at FONT_SIZE, rather too large than too small."""
    return FONT_SIZE * sum(map(_em_width, text))


def _em_width(character: str) -> float:
    if character in _NARROW:
        return _NARROW_EM
    if character in _BROAD:
        return _BROAD_EM
    if east_asian_width(character) in "WFA" and ord(character) > 0x2000:
        return _WIDE_EM
    return _CAPITAL_EM if character.isupper() else _OTHER_EM


def wrap_text(text: str, width: float, max_lines: int) -> list[str]:
    """The lines of a text that is `width` pixels wide at most; a longer text ends with an ellipsis."""
    lines = [""]
    for part in _breakable_parts(text):
        if text_width((lines[-1] + part).rstrip()) <= width:
            lines[-1] += part
        elif lines[-1]:
            lines.append(part)
        else:
            lines[-1] = part
    lines = [line.strip() for line in lines]
    if len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], lines[max_lines - 1] + _ELLIPSIS]
    return [_shorten(line, width) for line in lines]


def _breakable_parts(text: str) -> list[str]:
    """Words with the space after them; kana and kanji one by one."""
    parts = [""]
    for character in text:
        is_wide = east_asian_width(character) in "WF"
        if parts[-1] and (is_wide or parts[-1][-1] == " " or east_asian_width(parts[-1][-1]) in "WF"):
            parts.append("")
        parts[-1] += character
    return parts


def _shorten(line: str, width: float) -> str:
    """A line that fits; one that does not ends with an ellipsis."""
    if text_width(line) <= width:
        return line
    line = line.rstrip(_ELLIPSIS)
    while line and text_width(line + _ELLIPSIS) > width:
        line = line[:-1]
    return line + _ELLIPSIS
