"""Colours and fonts of all pages and charts; the style sheet of the review pages uses the same ones."""

from __future__ import annotations

from typing import Final

FONTS: Final = 'system-ui, "Hiragino Sans", "Noto Sans JP", "Noto Sans CJK JP", "Yu Gothic UI", sans-serif'

INK: Final = "#1d2733"
SOFT: Final = "#55616e"
LINE: Final = "#d5dbe1"
MODEL: Final = "#1f5fa8"
RULES: Final = "#b85a10"
POSITIVE: Final = "#3b8a5a"
NEGATIVE: Final = "#b3403a"
TOTAL: Final = "#5a6673"
PURPLE: Final = "#8a5fa8"
GREY: Final = "#9aa3ad"

COLORWAY: Final = (MODEL, RULES, POSITIVE, PURPLE, GREY)
"""The colours of a report's series, in their order."""

CSS_VARIABLES: Final = {
    "ink": INK,
    "soft": SOFT,
    "line": LINE,
    "model": MODEL,
    "rules": RULES,
    "positive": POSITIVE,
    "negative": NEGATIVE,
    "total": TOTAL,
}
"""The colours by the name of their variable in site.css, which has other values for a dark screen."""
