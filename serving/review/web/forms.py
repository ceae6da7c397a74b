"""What was typed into a form, or what is wrong with it, by field; templates ask for any field."""

from __future__ import annotations

NOTE_LENGTH = 500
"""So many characters a note has at most: whatever keeps it takes it, and people read it."""


class Fields(dict[str, str]):
    """Texts by field; empty for a field that has none."""

    def __missing__(self, field: str) -> str:
        return ""
