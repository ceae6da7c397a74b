"""Where two definitions differ, place by place, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from features.kinds import Language
from features.table import FeatureTable
from scoring.pages.conditions import condition_in_words
from scoring.scorecard.scorecard import Condition, Scorecard
from serving.review.definition.form import form_of
from serving.review.web.translations import say

_RULES = {("fit", "rows"): 3, ("intent", "rows"): 3, ("triggers",): 2, ("exclusions",): 2}
Path = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A place of a definition, and what stands there before and after ("" where there is nothing)."""

    where: str
    before: str
    after: str


def differences(before: Scorecard, after: Scorecard, table: FeatureTable, lang: Language) -> list[Change]:
    """All that differs between two cards."""
    old, new = dict(_leaves(before.plain())), dict(_leaves(after.plain()))
    changed = [path for path in dict.fromkeys([*old, *new]) if old.get(path) != new.get(path)]
    named = {**_reasons(before, lang), **_reasons(after, lang)}
    labels = {
        field.path: field.label
        for card in (before, after)
        for field in form_of(card.plain(), table, lang).rest
    }
    return [
        Change(
            labels.get(path) or _place(path, named, lang),
            *(_shown(path, card.get(path), table, lang) for card in (old, new)),
        )
        for path in changed
        if not _is_told(path, old, new)
    ]


def _is_told(path: Path, old: Mapping[Path, Any], new: Mapping[Path, Any]) -> bool:
    """Whether this is the reason of a rule that comes or goes: its name tells it."""
    rule = (*path[:-2], "when")
    return path[-2:-1] == ("because",) and not (rule in old and rule in new)


def _leaves(told: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in told.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _reasons(card: Scorecard, lang: Language) -> dict[tuple[str, str], str]:
    return {(table, name): rule.because.text(lang) for table, name, rule in card.rules()}


def _place(path: Path, named: Mapping[tuple[str, str], str], lang: Language) -> str:
    """A place in words: the reason of a rule, or the names of the tables."""
    for start, depth in _RULES.items():
        if path[: len(start)] == start and len(path) >= depth:
            reason = named.get((".".join(start), path[depth - 1]), path[depth - 1])
            return say(
                "definition_at",
                lang,
                table=say(f"definition_{start[0]}", lang),
                reason=reason,
                what=_key(path[depth:], lang),
            )
    return " › ".join(path)


def _key(path: Path, lang: Language) -> str:
    key = ".".join(path)
    known = {
        "points": "card_points",
        "when": "definition_when",
        "because.en": "definition_because_en",
        "because.ja": "definition_because_ja",
    }
    return say(known[key], lang) if key in known else key


def _shown(path: Path, value: Any, table: FeatureTable, lang: Language) -> str:
    if value is None:
        return ""
    if path == ("thresholds", "policy"):
        return say(f"definition_policy_{value}", lang)
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return " & ".join(condition_in_words(Condition.model_validate(c), table, lang) for c in value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
