"""Why a remembered score was given: from the codes and numbers that were stored, in words of the day."""

from __future__ import annotations

from typing import TypedDict

from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.reasons import Contribution, stored_rule_reasons
from scoring.decision.score import Reason
from scoring.decision.scorer import Scorer
from serving.api.answer_types import StoredModelReason


class StoredDetail(TypedDict, total=False):
    """The part of `Score.detail` that pages read by key."""

    model_reasons: list[StoredModelReason] | None
    unknown: list[str] | None


def model_reasons(detail: StoredDetail, table: FeatureTable, lang: Language) -> list[Reason]:
    """What moved the model's score, strongest first; features that are gone are named by their code."""
    return [
        Reason(entry["code"], _describe_reason(entry, table, lang), entry["weight"])
        for entry in detail.get("model_reasons") or ()
    ]


def both_reasons(detail: StoredDetail, scorer: Scorer, lang: Language) -> dict[str, list[Reason]]:
    return {
        "model": model_reasons(detail, scorer.table, lang),
        "rules": stored_rule_reasons(detail, scorer.card, lang),
    }


def _describe_reason(entry: StoredModelReason, table: FeatureTable, lang: Language) -> str:
    if entry["code"] not in table.rows:
        return entry["code"]
    return Contribution(entry["code"], entry["value"], entry["weight"]).text(table, lang)
