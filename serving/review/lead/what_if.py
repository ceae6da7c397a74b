"""What if: other values for a lead's features, tried at once; and what alone would make it hot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from features.columns import split_levels
from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.reasons import format_value
from scoring.decision.scorer import Scorer
from scoring.scorecard.scorecard import HOT, Rule, Scorecard
from scoring.texts import translate
from serving.components import Components
from serving.review.lead.rescore import FeatureValue, FeatureValues, LeadSnapshot, rescore

PREFIX, MAX_TRIED, MAX_SHOWN = "w.", 60, 6


@dataclass(frozen=True)
class WhatIfField:
    """A feature in the form: its present value as typed, what may be chosen, and what is wrong."""

    name: str
    label: str
    typed: str
    present: str
    choices: tuple[tuple[str, str], ...]
    error: str = ""


@dataclass(frozen=True)
class Improvement:
    """A change that alone brings a lead to a score: what changes, in words."""

    text: str
    score: int
    hot: bool


def as_form_value(value: FeatureValue) -> str:
    """A value as a form holds it; empty where there is none."""
    if value is None or value != value:
        return ""
    return value if isinstance(value, str) else f"{value:.6g}"


def changed_values(
    submitted: Mapping[str, str], lead: LeadSnapshot, table: FeatureTable
) -> tuple[dict[str, FeatureValue], set[str]]:
    """The features whose value in the form is another than the present one, and those that are no
    number where one is needed."""
    changed: dict[str, FeatureValue] = {}
    invalid: set[str] = set()
    for name in table.names:
        text = submitted.get(PREFIX + name)
        if text is None or text.strip() == as_form_value(lead.values[name]):
            continue
        try:
            changed[name] = _parse_value(text.strip(), name in table.texts)
        except ValueError:
            invalid.add(name)
    return changed, invalid


def build_fields(
    submitted: Mapping[str, str], lead: LeadSnapshot, invalid: set[str], scorer: Scorer, lang: Language
) -> tuple[list[WhatIfField], list[WhatIfField]]:
    """The form: what people can learn by asking, and what the lead does."""
    card, table = scorer.card, scorer.table

    def field(name: str) -> WhatIfField:
        present = as_form_value(lead.values[name])
        return WhatIfField(
            name,
            table.label(name, lang),
            submitted.get(PREFIX + name, present),
            present,
            _choices(name, lead.values[name], card, table, lang),
            "number" if name in invalid else "",
        )

    names = [name for name in table.names if name not in table.free_texts]
    of_columns = {use.feature for use in table.column_uses}
    rest = [field(name) for name in names if name not in of_columns]
    return [field(name) for name in names if name in of_columns], rest


def improvements(components: Components, lead: LeadSnapshot, lang: Language) -> list[Improvement]:
    """Single changes that would make the lead hot, or bring it nearest; the best first."""
    scorer = components.model_watcher.live_model.scorer
    present = int(rescore(components, lead, {}).decision.score[0])
    by_text: dict[str, Improvement] = {}
    candidates = _candidate_changes(lead, scorer.card, scorer.table, components.schema.roles)
    for change in islice(candidates, MAX_TRIED):
        decision = rescore(components, lead, change).decision
        text = " + ".join(_describe_value(name, value, scorer.table, lang) for name, value in change.items())
        score = int(decision.score[0])
        if score > present:
            by_text.setdefault(text, Improvement(text, score, bool(decision.stage[0] == HOT)))
    best = sorted(by_text.values(), key=lambda improvement: (-improvement.hot, -improvement.score))
    return best[:MAX_SHOWN]


def _candidate_changes(
    lead: LeadSnapshot, card: Scorecard, table: FeatureTable, roles: Mapping[str, str]
) -> Iterator[dict[str, FeatureValue]]:
    """Changes that would make a rule hold (points or hot at once), and answers to the four questions."""
    rules = [r for place, _, r in card.rules() if place != "exclusions" and getattr(r, "points", 1) > 0]
    for rule in rules:
        if change := _fulfilling_change(rule, lead.values):
            yield change
    role_columns = set(roles.values())
    for use in table.column_uses:
        if use.column in role_columns:
            for value, _ in _choices(use.feature, None, card, table, "en"):
                if value not in ("", lead.values[use.feature]):
                    yield {use.feature: value}


def _fulfilling_change(rule: Rule, values: FeatureValues) -> dict[str, FeatureValue]:
    """The least change that lets all conditions of a rule hold; empty where they do."""
    change: dict[str, FeatureValue] = {}
    for condition in rule.when:
        value = values.get(condition.feature)
        if condition.one_of is not None:
            if not isinstance(value, str) or set(split_levels(value)).isdisjoint(condition.one_of):
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
    name: str, present: FeatureValue, card: Scorecard, table: FeatureTable, lang: Language
) -> tuple[tuple[str, str], ...]:
    """The values of a text that the company or its kind has words for, or that the card names; "" is none."""
    if name not in table.texts:
        return ()
    columns = [use.column for use in table.column_uses if use.feature == name]
    of_company = [value for column in columns for value in table.vocabulary.values(column)]
    vocabulary_values = [*of_company, *table.rows[name].levels]
    conditions = [c for _, _, rule in card.rules() for c in rule.when if c.feature == name]
    of_card = [value for condition in conditions for value in condition.one_of or ()]
    present_values = [present] if isinstance(present, str) else []
    values = dict.fromkeys([*vocabulary_values, *of_card, *present_values])
    return (("", "–"), *((value, format_value(table, name, value, lang)) for value in values))


def _describe_value(name: str, value: FeatureValue, table: FeatureTable, lang: Language) -> str:
    text = format_value(table, name, value, lang)
    return translate("reason", lang, label=table.label(name, lang), value=text)


def _parse_value(text: str, is_text: bool) -> FeatureValue:
    """What was typed, as a feature takes it. Raises ValueError for what is no number."""
    if is_text:
        return text or None
    number = math.nan if not text else float(text.replace(",", ""))
    if math.isinf(number):
        raise ValueError("infinite")
    return number
