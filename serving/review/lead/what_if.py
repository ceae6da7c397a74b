"""What if: other values for a lead's features, tried at once; and what alone would make it hot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from features.kinds import Attribute, Language
from features.table import FeatureTable
from scoring.decision.reasons import shown
from scoring.scorecard.scorecard import HOT, Rule, Scorecard
from scoring.texts import say
from serving.components import House
from serving.review.lead.rescore import Known, Value, Values, judged

PREFIX, MOST_TRIED, MOST_TOLD = "w.", 60, 6


@dataclass(frozen=True)
class Field:
    """A feature in the form: its present value as typed, what may be chosen, and what is wrong."""

    name: str
    label: str
    typed: str
    present: str
    choices: tuple[tuple[str, str], ...]
    wrong: str = ""


@dataclass(frozen=True)
class Turn:
    """A change that alone brings a lead to a score: what changes, in words."""

    text: str
    score: int
    hot: bool


def typed(value: Value) -> str:
    """A value as a form holds it; empty where there is none."""
    if value is None or value != value:
        return ""
    return value if isinstance(value, str) else f"{value:.6g}"


def changed_values(
    told: Mapping[str, str], lead: Known, table: FeatureTable
) -> tuple[dict[str, Value], set[str]]:
    """The features whose value in the form is another than the present one, and those that are no
    number where one is needed."""
    changed: dict[str, Value] = {}
    wrong: set[str] = set()
    for name in table.names:
        text = told.get(PREFIX + name)
        if text is None or text.strip() == typed(lead.values[name]):
            continue
        try:
            changed[name] = _value(text.strip(), name in table.texts)
        except ValueError:
            wrong.add(name)
    return changed, wrong


def fields(
    told: Mapping[str, str],
    lead: Known,
    wrong: set[str],
    card: Scorecard,
    table: FeatureTable,
    lang: Language,
) -> tuple[list[Field], list[Field]]:
    """The form: what people can learn by asking, and what the lead does."""

    def field(name: str) -> Field:
        present = typed(lead.values[name])
        return Field(
            name,
            table.label(name, lang),
            told.get(PREFIX + name, present),
            present,
            _choices(name, lead.values[name], card, table, lang),
            "number" if name in wrong else "",
        )

    asked = [name for name, feature in table if isinstance(feature, Attribute)]
    rest = [name for name in table.names if name not in set(asked)]
    return [field(name) for name in asked], [field(name) for name in rest]


def turns(house: House, lead: Known, lang: Language) -> list[Turn]:
    """Single changes that would make the lead hot, or bring it nearest; the best first."""
    scorer = house.watch.in_use.scorer
    present = int(judged(house, lead, {}).decision.score[0])
    found: dict[str, Turn] = {}
    for count, change in enumerate(_changes(lead, scorer.card, scorer.table, house.desk.how.roles)):
        if count == MOST_TRIED:
            break
        told = judged(house, lead, change).decision
        text = " + ".join(_in_words(name, value, scorer.table, lang) for name, value in change.items())
        score = int(told.score[0])
        if score > present:
            found.setdefault(text, Turn(text, score, bool(told.stage[0] == HOT)))
    best = sorted(found.values(), key=lambda turn: (-turn.hot, -turn.score))
    return best[:MOST_TOLD]


def _changes(
    lead: Known, card: Scorecard, table: FeatureTable, roles: Mapping[str, str]
) -> Iterator[dict[str, Value]]:
    """Changes that would make a rule hold (points or hot at once), and answers to the four questions."""
    rules = [r for place, _, r in card.rules() if place != "exclusions" and getattr(r, "points", 1) > 0]
    for rule in rules:
        if change := _fulfilled(rule, lead.values):
            yield change
    asked = set(roles.values())
    for name, feature in table.attributes.items():
        if feature.column in asked:
            choices = _choices(name, None, card, table, "en")
            yield from (_one(name, value) for value, _ in choices if value not in ("", lead.values[name]))


def _one(name: str, value: Value) -> dict[str, Value]:
    return {name: value}


def _fulfilled(rule: Rule, values: Values) -> dict[str, Value]:
    """The least change that lets all conditions of a rule hold; empty where they do."""
    change: dict[str, Value] = {}
    for condition in rule.when:
        value = values.get(condition.feature)
        if condition.one_of is not None:
            if value not in condition.one_of:
                change[condition.feature] = condition.one_of[0]
            continue
        number = value if isinstance(value, float | int) else math.nan
        low, high = condition.at_least, condition.at_most
        if low is not None and not number >= low:
            change[condition.feature] = low
        elif high is not None and not number <= high:
            change[condition.feature] = high
    return change


def _choices(
    name: str, present: Value, card: Scorecard, table: FeatureTable, lang: Language
) -> tuple[tuple[str, str], ...]:
    """The values of a text that the company has words for, or that the card names; "" is none."""
    feature = table.rows[name]
    if name not in table.texts or not isinstance(feature, Attribute):
        return ()
    start = f"{feature.column}="
    known = [key.removeprefix(start) for key in table.vocabulary.words if key.startswith(start)]
    of_card = [
        value
        for _, _, rule in card.rules()
        for c in rule.when
        if c.feature == name
        for value in c.one_of or ()
    ]
    own = [present] if isinstance(present, str) else []
    values = dict.fromkeys([*known, *of_card, *own])
    return (("", "–"), *((value, shown(table, name, value, lang)) for value in values))


def _in_words(name: str, value: Value, table: FeatureTable, lang: Language) -> str:
    return say("reason", lang, label=table.label(name, lang), value=shown(table, name, value, lang))


def _value(text: str, is_text: bool) -> Value:
    """What was typed, as a feature takes it. Raises ValueError for what is no number."""
    if is_text:
        return text or None
    number = math.nan if not text else float(text.replace(",", ""))
    if math.isinf(number):
        raise ValueError("infinite")
    return number
