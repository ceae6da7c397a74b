"""What a learnt row is called: its key in scorecard.toml, and the reason that people read."""

from __future__ import annotations

import re
from collections.abc import Collection

from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.reasons import shown
from scoring.scorecard.scorecard import Condition, Texts
from scoring.texts import say
from training.scorecard.candidates import Candidate


def row_name(row: Candidate, taken: Collection[str]) -> str:
    """A bare key that is not `taken`: the feature's name, and what is asked of it."""
    at = row.when[0]
    own = _key(at.feature) or "row"
    if at.one_of is not None:
        value = _key(at.one_of[0].lower()) if len(at.one_of) == 1 and at.one_of[0].isascii() else ""
        return f"{own}_{value}" if value and f"{own}_{value}" not in taken else _numbered(own, taken)
    if at.at_least == 1 and own not in taken:
        return own
    mark = at.at_least if at.at_least is not None else at.at_most
    name = f"{own}{'' if at.at_least is not None else '_to'}_{_key(_plain(mark or 0.0))}"
    return name if name not in taken else _numbered(name, taken)


def because(row: Candidate, table: FeatureTable) -> Texts:
    """The reason in both languages, in the company's words."""
    return Texts(en=_reason(row.when[0], table, "en"), ja=_reason(row.when[0], table, "ja"))


def _reason(at: Condition, table: FeatureTable, lang: Language) -> str:
    label = table.label(at.feature, lang)
    label = label[:1].upper() + label[1:]
    if at.one_of is not None:
        values = [shown(table, at.feature, value, lang) for value in at.one_of]
        return say("reason", lang, label=label, value=_either(values, lang))
    if at.at_least is not None:
        least = shown(table, at.feature, at.at_least, lang)
        return say("suggest_at_least", lang, label=label, value=least)
    most = shown(table, at.feature, at.at_most, lang)
    return say("suggest_at_most", lang, label=label, value=most)


def _either(values: list[str], lang: Language) -> str:
    """'a, b or c'."""
    first, last = say("suggest_comma", lang).join(values[:-1]), values[-1]
    return say("suggest_or", lang, first=first, last=last) if first else last


def _plain(number: float) -> str:
    """A number without an exponent."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _key(text: str) -> str:
    """What of a text can stand in a bare key."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")


def _numbered(name: str, taken: Collection[str]) -> str:
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
