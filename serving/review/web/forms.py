"""Forms of the pages: their fields, and the addresses to which they lead."""

from __future__ import annotations

from urllib.parse import quote, urlencode

NOTE_LENGTH = 500
"""The most characters of a note or reason."""


class Fields(dict[str, str]):
    """Texts by field: what was typed, or what is wrong with it. A field without a text is empty."""

    def __missing__(self, field: str) -> str:
        return ""


def query_string(**params: str | None) -> str:
    """ "?name=value&..." of the parameters that have a value; empty without any."""
    present = {name: value for name, value in params.items() if value}
    return f"?{urlencode(present, quote_via=quote)}" if present else ""


def return_path(path: str, *allowed: str) -> str:
    """The path from which a form was sent, if it begins with one of the `allowed`; otherwise the first of
    them. A form can name any address: only pages of Hotlead are followed."""
    return path if path.startswith(allowed) else allowed[0]
