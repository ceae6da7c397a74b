"""What to do next with a lead, from what is still unknown about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.kinds import Language
from scoring.texts import say

BANT = ("budget", "authority", "need", "timing")


def still_unknown(roles: Mapping[str, str | None], known: Mapping[str, bool]) -> tuple[str, ...]:
    """Which of budget, authority, need and timing the CRM has a column for but no answer yet."""
    return tuple(r for r in BANT if (c := roles.get(r)) is not None and not known.get(c, False))


def next_step(unknown: Sequence[str], contacted: bool | None, lang: Language) -> str:
    """One sentence; `contacted` is None where the CRM does not tell."""
    if contacted is False:
        return say("next_first_contact", lang)
    if contacted is None and not unknown:
        return say("next_call", lang)
    if unknown:
        asked = say("list_joint", lang).join(say(role, lang) for role in unknown)
        return say("next_ask", lang, unknown=asked)
    return say("next_propose", lang)
