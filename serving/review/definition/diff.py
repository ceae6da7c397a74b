"""Where two definitions differ, place by place, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from features.kinds import Language
from features.table import FeatureTable
from scoring.scorecard.scorecard import Condition, Scorecard
from serving.review.definition.form import build_form, describe_condition
from serving.review.web.translations import translate_page

_RULES = {("fit", "rows"): 3, ("intent", "rows"): 3, ("triggers",): 2, ("exclusions",): 2}
_LABELS = {
    "points": "card_points",
    "when": "definition_when",
    "because.en": "definition_because_en",
    "because.ja": "definition_because_ja",
}
"""The keys of texts by the keys of a rule."""
LeafPath = tuple[str, ...]


@dataclass(frozen=True)
class CardDifference:
    """A place of a definition, and what stands there before and after ("" where there is nothing)."""

    place: str
    before: str
    after: str


def diff_cards(
    before: Scorecard, after: Scorecard, table: FeatureTable, lang: Language
) -> list[CardDifference]:
    old, new = dict(_leaves(before.to_dict())), dict(_leaves(after.to_dict()))
    changed = [path for path in dict.fromkeys([*old, *new]) if old.get(path) != new.get(path)]
    cards = (before, after)
    named = {(place, name): r.because.text(lang) for card in cards for place, name, r in card.rules()}
    labels = {f.path: f.label for card in cards for f in build_form(card.to_dict(), table, lang).rest}
    return [
        CardDifference(
            labels.get(path) or _describe_place(path, named, lang),
            *(_format_value(path, card.get(path), table, lang) for card in (old, new)),
        )
        for path in changed
        if not _is_implied(path, old, new)
    ]


def _is_implied(path: LeafPath, old: Mapping[LeafPath, object], new: Mapping[LeafPath, object]) -> bool:
    """Whether this is the reason of a rule that is added or removed: the place of the rule shows it."""
    rule = (*path[:-2], "when")
    return path[-2:-1] == ("because",) and not (rule in old and rule in new)


def _leaves(tree: Mapping[str, object], above: LeafPath = ()) -> Iterator[tuple[LeafPath, object]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _describe_place(path: LeafPath, named: Mapping[tuple[str, str], str], lang: Language) -> str:
    """A place in words: the reason of a rule, or the names of the tables."""
    for start, depth in _RULES.items():
        if path[: len(start)] == start and len(path) >= depth:
            reason = named.get((".".join(start), path[depth - 1]), path[depth - 1])
            group, key = translate_page(f"definition_{start[0]}", lang), ".".join(path[depth:])
            label = translate_page(_LABELS[key], lang) if key in _LABELS else key
            return translate_page("definition_at", lang, table=group, reason=reason, what=label)
    return " › ".join(path)


def _format_value(path: LeafPath, value: object, table: FeatureTable, lang: Language) -> str:
    if value is None:
        return ""
    if path == ("thresholds", "policy"):
        return translate_page(f"definition_policy_{value}", lang)
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return " & ".join(describe_condition(Condition.model_validate(c), table, lang) for c in value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
