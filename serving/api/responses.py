"""The answers of the API as plain JSON values: scores, records, history, call list and live model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from features.clock import MS_PER_DAY, iso
from features.kinds import Language
from scoring.decision.actions import ACCEPTED, FOLLOW_UP, action_of
from scoring.decision.reasons import stored_rule_reasons
from scoring.scorecard.scorecard import HOT, Scorecard
from serving.api.answer_types import CallList, HotLead, ModelInUse, PastScore, ScoreHistory, Trend
from serving.leads.field_types import AttributeSchema
from serving.predictions.call_list import CallListPage, is_overdue
from serving.predictions.live_model import LiveModel
from serving.predictions.predictor import ScoredLead
from serving.store.records import HotRow, Record, WriteOutcome

TREND_DAYS, TREND_ROWS, STEADY_POINTS = 7, 1_000, 2
"""The trend compares with the score of a week before; less than two points is no change."""
_TIMES = ("as_of", "scored_at", "deadline", "stage_since", "first_contact_at")
_OUTCOMES: Mapping[WriteOutcome, str] = {
    "stored": "stored",
    "known": "already known",
    "suppressed": "suppressed",
}


def format_score(scored: ScoredLead) -> dict[str, object]:
    return {
        **vars(scored.score),
        "ignored_attributes": scored.ignored,
        "unknown_activities": scored.unknown_types,
        "stored": scored.stored,
    }


def format_accepted(record: Record, outcome: WriteOutcome, schema: AttributeSchema) -> dict[str, object]:
    """The receipt of a record, with what of it no feature uses."""
    sent_body = record.body if record.original is None else record.original
    unused = {
        "ignored_attributes": schema.find_ignored(sent_body.get("attributes") or ()),
        "unknown_activities": schema.find_unknown_types([sent_body["type"]] if "type" in sent_body else ()),
    }
    return {
        "id": record.key,
        "version": record.version,
        "lead_id": record.lead_id,
        "outcome": _OUTCOMES[outcome],
        **{name: names for name, names in unused.items() if names},
    }


def format_history(lead_id: str, rows: Sequence[Mapping[str, Any]], limit: int) -> ScoreHistory:
    """The newest `limit` scores of a lead, newest first, and the trend of all `rows` (predictions)."""
    shown = [_format_row(row) for row in rows[:limit]]
    return {"lead_id": lead_id, "trend": _trend(rows), "scores": shown}


def _trend(rows: Sequence[Mapping[str, Any]]) -> Trend | None:
    """The change of the present score against the newest one that is a week old, else the oldest."""
    present = [row for row in rows if not row["replay"]]
    if len(present) < 2:
        return None
    now = present[0]
    week = now["as_of"] - TREND_DAYS * MS_PER_DAY
    before = next((row for row in present[1:] if row["as_of"] <= week), present[-1])
    change = now["score"] - before["score"]
    return {
        "direction": "steady" if abs(change) < STEADY_POINTS else "rising" if change > 0 else "falling",
        "change": change,
        "since": iso(before["as_of"]),
        "from": before["score"],
    }


def _format_row(row: Mapping[str, Any]) -> PastScore:
    # SQLAlchemy's column names are a subclass of str, which orjson does not write.
    values = {str(name): _format_value(name, value) for name, value in row.items() if name != "detail"}
    detail = dict.fromkeys(_CALL_DETAILS) | orjson.loads(row["detail"])  # older scores have none
    return cast(PastScore, {**values, **detail})


def _format_value(name: str, value: object) -> object:
    return iso(value) if name in _TIMES and isinstance(value, int) else value


def format_call_list(
    page: CallListPage, owner: str | None, card: Scorecard, lang: Language, now: int
) -> CallList:
    """A page of the call list; `now` is ms UTC. `total` counts the leads of all pages."""
    leads = [_format_call(row, card, lang, now) for row in page.rows]
    total = sum(page.owners.values()) if owner is None else page.owners.get(owner, 0)
    return {
        "as_of": iso(now),
        "count": len(leads),
        "total": total,
        "next": page.next,
        "overdue": sum(lead["overdue"] for lead in leads),
        "owners": dict(page.owners),
        "leads": leads,
    }


def _format_call(row: HotRow, card: Scorecard, lang: Language, now: int) -> HotLead:
    values = {name: _format_value(name, getattr(row, name)) for name in _CALL_FIELDS}
    detail = orjson.loads(row.detail)
    values |= {name: detail.get(name) for name in _CALL_DETAILS}
    reasons = [reason.text for reason in stored_rule_reasons(detail, card, lang)]
    text = action_of(card, ACCEPTED if row.action == FOLLOW_UP else HOT).text.text(lang)
    return cast(HotLead, {**values, "overdue": is_overdue(row, now), "reasons": reasons, "text": text})


_CALL_DETAILS = ("amount", "expected_value")
_CALL_FIELDS = tuple(
    name for name in HotLead.__annotations__ if name not in ("overdue", "reasons", "text", *_CALL_DETAILS)
)


def format_live_model(live_model: LiveModel, now: int) -> ModelInUse:
    """The model that scores now, with its training data and figures, and the scorecard; `now` is ms UTC."""
    scorer, origin = live_model.scorer, live_model.origin
    calibrated = scorer.calibrated_model
    return {
        "model": None
        if origin is None
        else {
            "version": origin.version,
            "registered_version": origin.registered,
            "run_id": origin.run_id,
            "champion_since": iso(origin.since),
            "champion_for_seconds": max(0, now - origin.since) // 1000,
        },
        "fallback": scorer.fallback,
        "scorecard": scorer.card.version,
        "features": scorer.table.fingerprint,
        "thresholds": None
        if calibrated is None
        else {"warm": calibrated.scale.warm, "hot": calibrated.scale.hot},
        "about": {} if calibrated is None else dict(calibrated.model.about),
    }
