"""The answers on many leads as a table: one row a lead, ready for a CRM to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.clock import NEVER
from features.columns import Bools, Ints
from features.kinds import Language
from scoring.decision.actions import action_of
from scoring.decision.batch_scores import Answers
from scoring.decision.decision import DECIDERS, HAND_OVERS
from scoring.decision.score import BANT, Told
from scoring.model.cautions import CAUTIONS
from scoring.scorecard.scorecard import STAGES, Action

COLUMNS = (
    "lead_id",
    "score",
    "stage",
    "decided_by",
    "fallback",
    "cautions",
    "hand_over",
    "probability",
    "model_score",
    "model_stage",
    "alike",
    "alike_won",
    "model_reasons",
    "points",
    "fit",
    "intent",
    "rules_score",
    "rules_stage",
    "rules_reasons",
    "person",
    "action",
    "owner",
    "text",
    "content",
    "deadline",
    "prompt",
    "unknown",
    "model_version",
    "scorecard_version",
    "as_of",
)
"""The columns of a scored list. Reasons are JSON; deadline and as_of are UTC. Of `alike` leads that were
scored like this one, `alike_won` were won."""


def answers_table(answers: Answers, lang: Language, told_before: dict[bytes, str]) -> pa.Table:
    """All columns but the model's reasons, which take their time. `told_before` keeps the rules' reasons
    from chunk to chunk of one list."""
    n, card, model = len(answers), answers.card, answers.model
    decision, told, judge = answers.decision, answers.actions, answers.judge
    version = None if judge is None or model is None else judge.model.version
    alike = answers.alike
    return pa.table(
        {
            "lead_id": pa.array(answers.lead_ids, pa.string()),
            "score": pa.array(decision.score),
            "stage": _words(decision.stage, STAGES),
            "decided_by": _words(decision.decided_by, DECIDERS),
            "fallback": _same(answers.fallback, n),
            "cautions": _flags([answers.cautions.get(name) for name in CAUTIONS], CAUTIONS, n),
            "hand_over": _words(decision.hand_over, HAND_OVERS),
            "probability": _or_null(None if model is None else model.probability, n, pa.float64()),
            "model_score": _or_null(None if model is None else model.score, n, pa.int64()),
            "model_stage": _words(np.full(n, -1) if model is None else model.stage, STAGES),
            "alike": _or_null(None if alike is None else alike[0], n, pa.int64()),
            "alike_won": _or_null(None if alike is None else alike[1], n, pa.int64()),
            "points": pa.array(answers.rating.points),
            "fit": pa.array(answers.rating.fit),
            "intent": pa.array(answers.rating.intent),
            "rules_score": pa.array(answers.rating.score),
            "rules_stage": _words(answers.rating.stage, STAGES),
            "rules_reasons": _rules_reasons(answers, lang, told_before),
            "person": pa.array(_persons(answers), pa.string()),
            "action": _each(told.action, lambda code: action_of(card, code).kind),
            "owner": _each(told.action, lambda code: action_of(card, code).owner),
            "text": _texts(answers, lang),
            "content": _each(told.action, lambda code: _content(action_of(card, code), lang)),
            "deadline": _times(told.deadline),
            "prompt": _words(told.prompt, tuple(card.prompts)),
            "unknown": _flags([_not(answers.known.get(role)) for role in BANT], BANT, n),
            "model_version": _same(version, n),
            "scorecard_version": _same(card.version, n),
            "as_of": _times(np.full(n, NEVER if answers.as_of is None else answers.as_of)),
        }
    )


def reasons_json(told: Sequence[Told]) -> str:
    """Reasons as JSON: code, text, weight (log-odds or points) and value."""
    plain = [{"code": r.code, "text": r.text, "weight": r.weight, "value": r.value} for r in told]
    return json.dumps(plain, ensure_ascii=False)


def _rules_reasons(answers: Answers, lang: Language, told: dict[bytes, str]) -> pa.Array:
    """The rules' reasons as JSON. Many leads share a pattern of rules, which is written once: `told`
    keeps what was written, also for later chunks of the list."""
    rating = answers.rating
    packed = np.packbits(np.hstack([rating.fired, rating.triggers, rating.exclusions]), axis=1)
    patterns, first, place = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    keys = [pattern.tobytes() for pattern in patterns]
    for key, row in zip(keys, first, strict=True):
        if key not in told:
            a = answers.rules_answer(int(row), lang)
            told[key] = reasons_json((*a.exclusions, *a.triggers, *a.reasons))
    return _dictionary(place.ravel(), [told[key] for key in keys])


def _persons(answers: Answers) -> list[str | None]:
    """What a person said of each lead, and why."""
    said = answers.overrides or [None] * len(answers)
    return [None if o is None else f"{o.verdict}: {o.reason} ({o.by})" for o in said]


def _content(action: Action, lang: Language) -> str:
    return "" if action.content is None else action.content.text(lang)


def _texts(answers: Answers, lang: Language) -> pa.Array:
    told = answers.actions
    pairs = told.action.astype(np.int64) * 128 + told.prompt + 1
    _, first, place = np.unique(pairs, return_index=True, return_inverse=True)
    return _dictionary(place, [answers.action_text(int(row), lang) for row in first])


def _words(codes: NDArray[np.integer], words: Sequence[str | None]) -> pa.Array:
    """The word of each code; no word where it is None or the code lies below 0."""
    none = [code for code, word in enumerate(words) if word is None]
    mask = (codes < 0) | np.isin(codes, none)
    return _dictionary(codes, [word or "" for word in words] or [""], mask)


def _each(codes: NDArray[np.integer], word: Callable[[int], str]) -> pa.Array:
    found, place = np.unique(codes, return_inverse=True)
    return _dictionary(place, [word(int(code)) for code in found])


def _flags(flags: Sequence[Bools | None], names: Sequence[str], count: int) -> pa.Array:
    """The names whose flag holds, with commas; empty where none does."""
    code = np.zeros(count, dtype=np.int64)
    for bit, flag in enumerate(flags):
        code += 0 if flag is None else flag.astype(np.int64) << bit
    words = [
        ",".join(name for bit, name in enumerate(names) if code >> bit & 1) for code in range(2 ** len(names))
    ]
    return _dictionary(code, words)


def _not(known: Bools | None) -> Bools | None:
    return None if known is None else ~known


def _same(word: str | None, count: int) -> pa.Array:
    return _dictionary(np.zeros(count, np.int64), [word or ""], np.full(count, word is None))


def _dictionary(codes: NDArray[np.integer], words: Sequence[str], mask: Bools | None = None) -> pa.Array:
    indices = pa.array(np.maximum(codes, 0).astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def _or_null(values: NDArray[np.generic] | None, count: int, kind: pa.DataType) -> pa.Array:
    return pa.nulls(count, kind) if values is None else pa.array(values, kind)


def _times(at: Ints) -> pa.Array:
    return pa.array(at, mask=at == NEVER).cast(pa.timestamp("ms", "UTC"))
