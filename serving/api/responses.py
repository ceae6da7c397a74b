"""What is read back: the scores of a lead with their trend, the call list, the model in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from features.clock import MS_PER_DAY, iso, now_ms
from features.kinds import Language
from scoring.decision.actions import ACCEPTED, FOLLOW_UP, action_of
from scoring.scorecard.scorecard import HOT, Scorecard
from serving.predictions.call_list import CallListPage
from serving.predictions.live_model import LiveModel
from serving.store.rows import HotRow

TREND_DAYS, TREND_ROWS, STEADY_POINTS = 7, 1_000, 2
"""The trend compares with the score of a week before; less than two points is no change."""
_TIMES = ("as_of", "scored_at", "deadline", "stage_since", "first_contact_at")


def format_history(lead_id: str, rows: Sequence[Mapping[str, Any]], limit: int) -> dict[str, Any]:
    """The newest scores of a lead, newest first, and where all of `rows` are going."""
    shown = [_format_row(row) for row in rows[:limit]]
    return {"lead_id": lead_id, "trend": _trend(rows), "scores": shown}


def _trend(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The change of the present score against the newest one that is a week old, else the oldest."""
    present = [row for row in rows if not row["replay"]]
    if len(present) < 2:
        return None
    now = present[0]
    week = now["as_of"] - TREND_DAYS * MS_PER_DAY
    before = next((row for row in present[1:] if row["as_of"] <= week), present[-1])
    change = now["score"] - before["score"]
    direction = "steady" if abs(change) < STEADY_POINTS else "rising" if change > 0 else "falling"
    return {
        "direction": direction,
        "change": change,
        "since": iso(before["as_of"]),
        "from": before["score"],
    }


def _format_row(row: Mapping[str, Any]) -> dict[str, Any]:
    # The names come as a kind of text of SQLAlchemy's own, which orjson does not write.
    values = {str(name): _format_value(name, value) for name, value in row.items() if name != "detail"}
    return {**values, **orjson.loads(row["detail"])}


def _format_value(name: str, value: Any) -> Any:
    return iso(value) if name in _TIMES and value is not None else value


def format_call_list(
    page: CallListPage, owner: str | None, card: Scorecard, lang: Language, now: int
) -> dict[str, Any]:
    """Whom to call, first deadline first; who is overdue is marked. `total` is that of all pages."""
    leads = [_format_call(row, card, lang, now) for row in page.rows]
    total = sum(page.owners.values()) if owner is None else page.owners.get(owner, 0)
    return {
        "as_of": iso(now),
        "count": len(leads),
        "total": total,
        "next": page.next,
        "overdue": sum(lead["overdue"] for lead in leads),
        "owners": page.owners,
        "leads": leads,
    }


def _format_call(row: HotRow, card: Scorecard, lang: Language, now: int) -> dict[str, Any]:
    """A lead of the list. One that was contacted since it is hot is overdue only where sales accepted
    it and said when they go on."""
    values = {name: _format_value(name, getattr(row, name)) for name in _CALL_FIELDS}
    accepted = row.action == FOLLOW_UP
    is_overdue = (
        row.deadline is not None and row.deadline < now and (accepted or row.first_contact_at is None)
    )
    reasons = describe_rules(orjson.loads(row.detail), card, lang)
    text = action_of(card, ACCEPTED if accepted else HOT).text.text(lang)
    return {**values, "overdue": is_overdue, "reasons": reasons, "text": text}


_CALL_FIELDS = (
    "lead_id",
    "score",
    "decided_by",
    "fallback",
    "probability",
    "points",
    "owner",
    "action",
    "deadline",
    "stage_since",
    "first_contact_at",
    "last_step",
    "as_of",
    "scored_at",
    "model_version",
    "card_version",
    "request_id",
)


def describe_rules(detail: Mapping[str, Any], card: Scorecard, lang: Language) -> list[str]:
    """The rules that held, in words; a rule that the card no longer has is named by its code."""
    rules = {**card.exclusions, **card.triggers, **card.rows}
    codes = [*detail["triggers"], *(reason["code"] for reason in detail["rules_reasons"])]
    return [rules[code].because.text(lang) if code in rules else code for code in codes]


def format_live_model(live_model: LiveModel) -> dict[str, Any]:
    """What scores now: the model with what it was trained on and how good it was, and the scorecard."""
    scorer, origin = live_model.scorer, live_model.origin
    judge = scorer.calibrated_model
    about = {} if judge is None else dict(judge.model.about)
    return {
        "model": origin
        and {
            "version": origin.version,
            "registered_version": origin.registered,
            "run_id": origin.run_id,
            "champion_since": iso(origin.since),
            "champion_for_seconds": max(0, now_ms() - origin.since) // 1000,
        },
        "fallback": scorer.fallback,
        "scorecard": scorer.card.version,
        "features": scorer.table.fingerprint,
        "thresholds": judge and {"warm": judge.scale.warm, "hot": judge.scale.hot},
        "about": about,
    }
