"""Lists of selected values, as CRMs write them into one cell."""

from __future__ import annotations

import re

from features.columns import LEVEL_SEPARATOR, join_levels

_SAME_SIGN = {";": ";；", ",": ",，、", "、": "、,，", "|": "|｜", "/": "/／"}


def to_levels_text(text: str, separator: str = ";") -> str | None:
    """The selected values as a text of several levels; None if there is none.

    A text that is one already is unchanged. Of a separator the full-width sign counts too.
    """
    if LEVEL_SEPARATOR in text:
        return text
    signs = _SAME_SIGN.get(separator)
    parts = re.split(f"[{re.escape(signs)}]", text) if signs else text.split(separator)
    levels = (part.strip().strip("^").strip() for part in parts)
    return join_levels(dict.fromkeys(level for level in levels if level)) or None
