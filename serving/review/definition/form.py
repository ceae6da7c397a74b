"""The definition as a form: a field for each number that sales and marketing agree on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from features.kinds import Language
from features.table import FeatureTable
from scoring.pages.conditions import condition_in_words
from scoring.scorecard.load import card_of
from scoring.scorecard.scorecard import Condition, Scorecard
from serving.review.definition.toml_edit import Changes, Path, changed
from serving.review.web.translations import say

Kind = Literal["whole", "number", "on", "choice"]
POLICIES = ("same_volume_as_rules", "calls_per_week", "min_win_rate", "top_share")
RULES: tuple[Path, ...] = (("fit", "rows"), ("intent", "rows"), ("triggers",), ("exclusions",))


@dataclass(frozen=True)
class Field:
    """A field: its name in the form, its words, how it is typed, and its value as it is typed now."""

    path: Path
    kind: Kind
    label: str
    value: str

    @property
    def name(self) -> str:
        return "/".join(self.path)


@dataclass(frozen=True)
class RuleFields:
    """A rule in the form: its reason, its conditions in words, and its fields."""

    reason: str
    when: tuple[str, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Form:
    """All fields of a definition, rule by rule and the rest."""

    rules: Mapping[str, tuple[RuleFields, ...]]
    rest: tuple[Field, ...]

    @property
    def fields(self) -> Iterator[Field]:
        """Every field, in the order of the page."""
        yield from self.rest
        for rules in self.rules.values():
            for rule in rules:
                yield from rule.fields


def form_of(whole: Mapping[str, Any], table: FeatureTable, lang: Language) -> Form:
    """The form of a whole card (see `whole_card`)."""
    rules = {
        "/".join(place): tuple(_rule(whole, place, name, table, lang) for name in _at(whole, place) or {})
        for place in RULES
    }
    return Form(rules, tuple(_rest(whole, lang)))


def read_form(told: Mapping[str, str], form: Form, lang: Language) -> tuple[dict[Path, Any], dict[str, str]]:
    """The changes that were typed, and what is wrong with those that are none, by the field's name."""
    changes: dict[Path, Any] = {}
    wrong: dict[str, str] = {}
    for field in form.fields:
        text = _typed(told, field)
        if text == field.value:
            continue
        try:
            changes |= _change(field, text)
        except ValueError:
            wrong[field.name] = say(f"card_wrong_{field.kind}", lang, got=text[:40])
    return changes, wrong


def with_changes(
    whole: Mapping[str, Any], changes: Changes, form: Form, lang: Language
) -> tuple[Scorecard | None, dict[str, str]]:
    """The card with the changes made; or None, and what is wrong by the name of its field."""
    try:
        return card_of(changed(_with_conditions(whole, changes), _plain(whole, changes))), {}
    except ValidationError as problem:
        names = {field.name for field in form.fields}
        told = problem.errors(include_url=False)
        return None, {_field(e["loc"], names): _sentence(e, lang) for e in told}


def written_changes(whole: Mapping[str, Any], changes: Changes) -> dict[Path, Any]:
    """The changes as they are written: a number of a condition is written with its whole list."""
    told = {path: value for path, value in changes.items() if "when" not in path}
    for path in {path[: path.index("when") + 1] for path in changes if "when" in path}:
        told[path] = _at(_with_conditions(whole, changes), path)
    return told


def _plain(whole: Mapping[str, Any], changes: Changes) -> dict[Path, Any]:
    return {path: value for path, value in changes.items() if "when" not in path}


def _with_conditions(whole: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """The card with the changed numbers of conditions: these stand in lists."""
    told = changed(whole, {})
    for path, value in changes.items():
        if "when" not in path:
            continue
        place = path.index("when")
        rule = _at(told, path[:place])
        rows = [dict(each) for each in rule["when"]]
        rows[int(path[place + 1])][path[place + 2]] = value
        rule["when"] = rows
    return told


def _rule(
    whole: Mapping[str, Any], place: Path, name: str, table: FeatureTable, lang: Language
) -> RuleFields:
    path = (*place, name)
    rule = _at(whole, path)
    fields = [Field((*path, "off"), "on", say("card_on", lang), "" if rule.get("off") else "on")]
    if "points" in rule:
        fields.append(Field((*path, "points"), "whole", say("card_points", lang), _text(rule["points"])))
    conditions = [Condition.model_validate(each) for each in rule.get("when", ())]
    for i, condition in enumerate(conditions):
        for key in ("at_least", "at_most"):
            number = getattr(condition, key)
            if number is not None and condition.feature in table.rows:
                label = say(f"card_{key}", lang, feature=table.label(condition.feature, lang))
                fields.append(Field((*path, "when", str(i), key), "number", label, _text(number)))
    because = rule.get("because", {}).get(lang, name)
    return RuleFields(because, tuple(condition_in_words(c, table, lang) for c in conditions), tuple(fields))


def _rest(whole: Mapping[str, Any], lang: Language) -> Iterator[Field]:
    for key in ("warm", "hot"):
        path = ("bands", key)
        yield Field(path, "whole", say(f"card_band_{key}", lang), _text(_at(whole, path)))
    policy = whole.get("thresholds", {})
    yield Field(
        ("thresholds", "policy"), "choice", say("card_policy", lang), policy.get("policy", POLICIES[0])
    )
    for key in ("warm", "hot"):
        yield Field(
            ("thresholds", key),
            "number",
            say(f"card_threshold_{key}", lang),
            _text(policy.get(key)),
        )
    for group in ("fit", "intent"):
        if group in whole:
            yield Field(
                (group, "cap"),
                "whole",
                say(f"card_cap_{group}", lang),
                _text(whole[group].get("cap")),
            )
    for stage in ("hot", "warm", "cold"):
        hours = ("stages", stage, "hours")
        yield Field(
            hours,
            "number",
            say("card_hours", lang, stage=say(f"stage_{stage}", lang)),
            _text(_at(whole, hours)),
        )


def _typed(told: Mapping[str, str], field: Field) -> str:
    """What stands in a field; a box that is not ticked is not sent at all."""
    if field.kind == "on":
        return "on" if told.get(field.name) else ""
    return str(told.get(field.name, field.value)).strip()


def _change(field: Field, text: str) -> dict[Path, Any]:
    """The change of a field. Raises ValueError for what it cannot take."""
    if field.kind == "on":
        return {field.path: None if text else True}
    if field.kind == "choice":
        if text not in POLICIES:
            raise ValueError(text)
        return {field.path: text}
    if not text:
        return {field.path: None}
    if field.kind == "whole":
        return {field.path: int(text)}
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return {field.path: int(number) if number.is_integer() else number}


def _field(loc: tuple[int | str, ...], names: set[str]) -> str:
    """The field that an error is about: the longest one that its place names, or the hot threshold."""
    parts = [str(part) for part in loc]
    for size in range(len(parts), 2, -1):
        name = "/".join(parts[:size])
        if name in names or f"{name}/points" in names:
            return name if name in names else f"{name}/points"
    if "/".join(parts) in names:
        return "/".join(parts)
    if parts[:1] == ["thresholds"]:
        return "thresholds/policy"
    return "bands/warm" if parts[:1] == ["bands"] else "bands/hot"


def _sentence(error: Any, lang: Language) -> str:
    """What is wrong, in the reader's language; what is rare is told as the card's own check says it."""
    told = str(error["msg"]).removeprefix("Value error, ")
    known = next((key for part, key in _KNOWN.items() if part in told), None)
    return say("card_error", lang, told=told) if known is None else say(known, lang)


_KNOWN = {
    "points do nothing": "card_error_zero",
    "out of reach": "card_error_reach",
    "greater than 0": "card_error_positive",
    "Field required": "card_error_missing",
    "greater than or equal to -1000": "card_error_points",
    "less than or equal to 1000": "card_error_points",
    "less than or equal to 8760": "card_error_hours",
    "do not go with": "card_error_no_values",
    "needs both": "card_error_both",
    "are shares": "card_error_shares",
    "calls_per_week: warm": "card_error_above",
    "top_share: warm": "card_error_above",
    "must lie below hot": "card_error_order",
    "no number can hold": "card_error_crossed",
}


def _at(told: Any, path: Path) -> Any:
    for key in path:
        told = told.get(key) if isinstance(told, Mapping) else None
    return told


def _text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
