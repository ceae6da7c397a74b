"""The definition as a form: a field for each number that sales and marketing agree on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.reasons import format_value
from scoring.scorecard.load import build_card
from scoring.scorecard.scorecard import Condition, Scorecard
from scoring.texts import translate
from serving.review.definition.toml_edit import CardChanges, KeyPath, apply_changes
from serving.review.web.translations import translate_page

FieldKind = Literal["whole", "number", "on", "choice"]
POLICIES = ("same_volume_as_rules", "calls_per_week", "min_win_rate", "top_share")
RULES: tuple[KeyPath, ...] = (("fit", "rows"), ("intent", "rows"), ("triggers",), ("exclusions",))


@dataclass(frozen=True)
class CardField:
    """A field: its name in the form, its words, how it is typed, and its value as it is typed now."""

    path: KeyPath
    kind: FieldKind
    label: str
    value: str

    @property
    def name(self) -> str:
        return "/".join(self.path)


@dataclass(frozen=True)
class RuleFields:
    """A rule in the form: its reason, its conditions in words, and its fields."""

    reason: str
    conditions: tuple[str, ...]
    fields: tuple[CardField, ...]


@dataclass(frozen=True)
class CardForm:
    """All fields of a definition, rule by rule and the rest."""

    rules: Mapping[str, tuple[RuleFields, ...]]
    rest: tuple[CardField, ...]

    @property
    def fields(self) -> Iterator[CardField]:
        """Every field, in the order of the page."""
        yield from self.rest
        for rules in self.rules.values():
            for rule in rules:
                yield from rule.fields


def build_form(full_card: Mapping[str, object], table: FeatureTable, lang: Language) -> CardForm:
    """The form of a card with its profile merged (see `full_card` in `edit`)."""
    rules = {
        "/".join(place): tuple(
            _rule_fields(full_card, place, name, table, lang) for name in _table_at(full_card, place)
        )
        for place in RULES
    }
    return CardForm(rules, tuple(_other_fields(full_card, lang)))


def describe_condition(condition: Condition, table: FeatureTable, lang: Language) -> str:
    """'Employees: 100 or more'; a feature that crm.toml no longer has is named by its code."""
    name = condition.feature
    is_known = name in table.rows
    label = table.label(name, lang) if is_known else name
    if condition.one_of is not None:
        values = [format_value(table, name, value, lang) if is_known else value for value in condition.one_of]
        return translate("reason", lang, label=label, value=translate("condition_or", lang).join(values))
    low, high = condition.at_least, condition.at_most
    limits = [(key, n) for key, n in (("at_least", low), ("at_most", high)) if n is not None]
    bounds = [translate(f"condition_{key}", lang, number=f"{number:,g}") for key, number in limits]
    return translate("reason", lang, label=label, value=translate("list_joint", lang).join(bounds))


def read_form(
    submitted: Mapping[str, str], form: CardForm, lang: Language
) -> tuple[dict[KeyPath, object], dict[str, str]]:
    """The changes that were typed, and what is wrong with those that are none, by the field's name."""
    changes: dict[KeyPath, object] = {}
    errors: dict[str, str] = {}
    for field in form.fields:
        text = _submitted_text(submitted, field)
        if text == field.value:
            continue
        try:
            changes |= _parse_change(field, text)
        except ValueError:
            errors[field.name] = translate_page(f"card_wrong_{field.kind}", lang, got=text[:40])
    return changes, errors


def card_with_changes(
    full_card: Mapping[str, object], changes: CardChanges, form: CardForm, lang: Language
) -> tuple[Scorecard | None, dict[str, str]]:
    """The card with the changes made; or None, and what is wrong by the name of its field."""
    try:
        changed = apply_changes(_apply_conditions(full_card, changes), _without_conditions(changes))
        return build_card(changed), {}
    except ValidationError as problem:
        names = {field.name for field in form.fields}
        details = problem.errors(include_url=False)
        return None, {_find_error_field(e["loc"], names): _error_message(e, lang) for e in details}


def to_toml_changes(full_card: Mapping[str, object], changes: CardChanges) -> dict[KeyPath, object]:
    """The changes as they are written: a number of a condition is written with its whole list."""
    result = _without_conditions(changes)
    for path in {path[: path.index("when") + 1] for path in changes if "when" in path}:
        result[path] = _value_at(_apply_conditions(full_card, changes), path)
    return result


def _without_conditions(changes: CardChanges) -> dict[KeyPath, object]:
    return {path: value for path, value in changes.items() if "when" not in path}


def _apply_conditions(full_card: Mapping[str, object], changes: CardChanges) -> Mapping[str, object]:
    """The card with the changed numbers of conditions: these stand in lists."""
    for path, value in changes.items():
        if "when" in path:
            place = path.index("when") + 1
            rows = [{**condition} for condition in _list_at(full_card, path[:place])]
            rows[int(path[place])][path[place + 1]] = value
            full_card = apply_changes(full_card, {path[:place]: rows})
    return full_card


def _rule_fields(
    full_card: Mapping[str, object], place: KeyPath, name: str, table: FeatureTable, lang: Language
) -> RuleFields:
    path = (*place, name)
    rule = _table_at(full_card, path)
    is_on = "" if rule.get("off") else "on"
    fields = [CardField((*path, "off"), "on", translate_page("card_on", lang), is_on)]
    if "points" in rule:
        label = translate_page("card_points", lang)
        fields.append(CardField((*path, "points"), "whole", label, _format_value(rule["points"])))
    conditions = [Condition.model_validate(raw) for raw in _list_at(rule, ("when",))]
    for i, condition in enumerate(conditions):
        for key in ("at_least", "at_most"):
            number = getattr(condition, key)
            if number is not None and condition.feature in table.rows:
                label = translate_page(f"card_{key}", lang, feature=table.label(condition.feature, lang))
                fields.append(CardField((*path, "when", str(i), key), "number", label, _format_value(number)))
    because = str(_table_at(rule, ("because",)).get(lang, name))
    return RuleFields(because, tuple(describe_condition(c, table, lang) for c in conditions), tuple(fields))


def _other_fields(full_card: Mapping[str, object], lang: Language) -> Iterator[CardField]:
    for key in ("warm", "hot"):
        path = ("bands", key)
        label = translate_page(f"card_band_{key}", lang)
        yield CardField(path, "whole", label, _format_value(_value_at(full_card, path)))
    policy = _table_at(full_card, ("thresholds",))
    label, chosen = translate_page("card_policy", lang), str(policy.get("policy", POLICIES[0]))
    yield CardField(("thresholds", "policy"), "choice", label, chosen)
    for key in ("warm", "hot"):
        label = translate_page(f"card_threshold_{key}", lang)
        yield CardField(("thresholds", key), "number", label, _format_value(policy.get(key)))
    for group in ("fit", "intent"):
        if group in full_card:
            label, cap = translate_page(f"card_cap_{group}", lang), _value_at(full_card, (group, "cap"))
            yield CardField((group, "cap"), "whole", label, _format_value(cap))
    for stage in ("hot", "warm", "cold"):
        hours = ("stages", stage, "hours")
        label = translate_page("card_hours", lang, stage=translate_page(f"stage_{stage}", lang))
        yield CardField(hours, "number", label, _format_value(_value_at(full_card, hours)))


def _submitted_text(submitted: Mapping[str, str], field: CardField) -> str:
    """The text of a field; browsers do not send a box that is not ticked."""
    if field.kind == "on":
        return "on" if submitted.get(field.name) else ""
    return str(submitted.get(field.name, field.value)).strip()


def _parse_change(field: CardField, text: str) -> dict[KeyPath, object]:
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


def _find_error_field(loc: tuple[int | str, ...], names: set[str]) -> str:
    """The field that an error is about: the longest one that its place names, or the hot threshold."""
    parts = [str(part) for part in loc]
    longest_first = ["/".join(parts[:size]) for size in range(len(parts), 2, -1)]
    candidates = [name for n in longest_first for name in (n, f"{n}/points")] + ["/".join(parts)]
    for candidate in candidates:
        if candidate in names:
            return candidate
    if parts[:1] == ["thresholds"]:
        return "thresholds/policy"
    return "bands/warm" if parts[:1] == ["bands"] else "bands/hot"


def _error_message(error: ErrorDetails, lang: Language) -> str:
    """What is wrong, in the reader's language; for rare errors as the card's check says it."""
    message = str(error["msg"]).removeprefix("Value error, ")
    text_key = next((key for part, key in _ERROR_TEXT_KEYS.items() if part in message), "card_error")
    return translate_page(text_key, lang, told=message)


_ERROR_TEXT_KEYS = {
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


def _value_at(value: object, path: KeyPath) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _table_at(value: object, path: KeyPath) -> Mapping[str, object]:
    table = _value_at(value, path)
    return table if isinstance(table, Mapping) else {}


def _list_at(value: object, path: KeyPath) -> Sequence[Mapping[str, object]]:
    items = _value_at(value, path)
    return items if isinstance(items, Sequence) else ()


def _format_value(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
