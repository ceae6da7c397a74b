"""Why a remembered score was given: from the codes and numbers that were stored, in words of the day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.reasons import Contribution
from scoring.decision.scorer import Scorer
from scoring.scorecard.scorecard import Scorecard


@dataclass(frozen=True)
class ReasonText:
    """A reason in words: `weight` in log-odds (the model's) or points (the rules')."""

    text: str
    weight: float


def model_reasons(detail: Mapping[str, Any], table: FeatureTable, lang: Language) -> list[ReasonText]:
    """What moved the model's score, strongest first; features that are gone are named by their code."""
    return [
        ReasonText(_describe_reason(entry, table, lang), entry["weight"])
        for entry in detail.get("model_reasons") or ()
    ]


def rules_reasons(detail: Mapping[str, Any], card: Scorecard, lang: Language) -> list[ReasonText]:
    """The rows that held, with their points of that day; triggers and exclusions have none."""
    rules = {**card.exclusions, **card.triggers, **card.rows}
    codes = [
        *((c, 0.0) for name in ("exclusions", "triggers") for c in detail.get(name) or ()),
        *((entry["code"], entry["weight"]) for entry in detail.get("rules_reasons") or ()),
    ]
    return [
        ReasonText(rules[code].because.text(lang) if code in rules else code, weight)
        for code, weight in codes
    ]


def both_reasons(detail: Mapping[str, Any], scorer: Scorer, lang: Language) -> dict[str, list[ReasonText]]:
    """The reasons by side."""
    return {
        "model": model_reasons(detail, scorer.table, lang),
        "rules": rules_reasons(detail, scorer.card, lang),
    }


def _describe_reason(entry: Mapping[str, Any], table: FeatureTable, lang: Language) -> str:
    if entry["code"] not in table.rows:
        return str(entry["code"])
    return Contribution(entry["code"], entry["value"], entry["weight"]).text(table, lang)
