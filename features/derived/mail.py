"""The kind of a mail address: only the kind of its domain is kept, never the address."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from features.derived.words import read_words

_ADDRESS = re.compile(r"@([^@\s<>,;()\"']+\.[a-z]{2,24})\b")
_DOMAIN = re.compile(r"(?:https?://)?(?:www\.)?([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24})/?")


def find_mail_kind(text: str) -> str | None:
    """company, free, education or government; None if the text holds no mail address or domain.

    Of several addresses in one text the one that says most counts: one of a company before a free one.
    A kind is unchanged.
    """
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    if plain in read_words()["mail"]["kinds"]:
        return plain
    domains = _ADDRESS.findall(plain)
    if not domains and (match := _DOMAIN.fullmatch(plain)):
        domains = [match[1]]
    kinds = {_domain_kind(domain) for domain in domains}
    return next((kind for kind in read_words()["mail"]["kinds"] if kind in kinds), None)


@lru_cache(maxsize=4_096)
def _domain_kind(domain: str) -> str:
    words, parts = read_words()["mail"], domain.split(".")
    endings = {".".join(parts[start:]) for start in range(len(parts))}
    for kind in ("education", "government"):
        if any(_has_ending(ending, parts) for ending in words[kind]):
            return kind
    is_free = not endings.isdisjoint(words["free"]) or parts[0] in words["free_names"]
    return "free" if is_free else "company"


def _has_ending(ending: str, parts: list[str]) -> bool:
    """Whether a domain ends so; `*` stands for the code of any country."""
    wanted = ending.split(".")
    if len(parts) <= len(wanted):
        return False
    last = parts[-len(wanted) :]
    return all(w in ("*", part) for w, part in zip(wanted, last, strict=True)) and (
        wanted[-1] != "*" or len(last[-1]) == 2
    )
