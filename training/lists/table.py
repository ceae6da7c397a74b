"""Scores of many leads as a table with one row per lead."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.clock import NEVER
from features.columns import Bools, Floats, Ints
from features.kinds import Language
from scoring.decision.actions import action_of
from scoring.decision.batch_scores import BatchScores
from scoring.decision.decision import DECIDERS, HAND_OVERS
from scoring.decision.score import BANT, Reason
from scoring.model.cautions import CAUTIONS
from scoring.scorecard.scorecard import STAGES, Action


def build_scores_table(answers: BatchScores, lang: Language, reasons_cache: dict[bytes, str]) -> pa.Table:
    """All columns except `model_reasons`, which are slow; see `with_model_reasons`.

    Reasons are JSON; deadline and as_of are UTC. `expected_value` is probability × amount. Of `alike` leads
    with similar scores `alike_won` were won. `reasons_cache` holds the reasons of the rules across the chunks
    of a list.
    """
    n, card, model = len(answers), answers.card, answers.model
    decision, actions, judge = answers.decision, answers.actions, answers.calibrated_model
    version = None if judge is None or model is None else judge.model.version
    similar_leads = answers.similar_leads
    return pa.table(
        {
            "lead_id": pa.array(answers.lead_ids, pa.string()),
            "score": pa.array(decision.score),
            "stage": _words_array(decision.stage, STAGES),
            "decided_by": _words_array(decision.decided_by, DECIDERS),
            "fallback": _repeat(answers.fallback, n),
            "cautions": _flags_array([answers.cautions.get(name) for name in CAUTIONS], CAUTIONS, n),
            "hand_over": _words_array(decision.hand_over, HAND_OVERS),
            "probability": _array_or_null(None if model is None else model.probability, n, pa.float64()),
            "amount": _numbers_array(answers.amounts, n),
            "expected_value": _numbers_array(answers.expected_values, n),
            "model_score": _array_or_null(None if model is None else model.score, n, pa.int64()),
            "model_stage": _words_array(np.full(n, -1) if model is None else model.stage, STAGES),
            "alike": _array_or_null(None if similar_leads is None else similar_leads[0], n, pa.int64()),
            "alike_won": _array_or_null(None if similar_leads is None else similar_leads[1], n, pa.int64()),
            "points": pa.array(answers.rating.points),
            "fit": pa.array(answers.rating.fit),
            "intent": pa.array(answers.rating.intent),
            "rules_score": pa.array(answers.rating.score),
            "rules_stage": _words_array(answers.rating.stage, STAGES),
            "rules_reasons": _rules_reasons_array(answers, lang, reasons_cache),
            "person": pa.array(_person_texts(answers), pa.string()),
            "action": _map_codes(actions.action, lambda code: action_of(card, code).kind),
            "owner": _map_codes(actions.action, lambda code: action_of(card, code).owner),
            "text": _action_texts(answers, lang),
            "content": _map_codes(actions.action, lambda code: _content(action_of(card, code), lang)),
            "deadline": _timestamps_array(actions.deadline),
            "prompt": _words_array(actions.prompt, tuple(card.prompts)),
            "unknown": _flags_array([_invert(answers.answered_roles.get(role)) for role in BANT], BANT, n),
            "model_version": _repeat(version, n),
            "scorecard_version": _repeat(card.version, n),
            "as_of": _timestamps_array(np.full(n, NEVER if answers.as_of is None else answers.as_of)),
        }
    )


def with_model_reasons(table: pa.Table, reasons: NDArray[np.object_]) -> pa.Table:
    """The complete table, with the reasons of the model as JSON (None: not wanted)."""
    place = table.schema.get_field_index("alike_won") + 1
    return table.add_column(place, "model_reasons", pa.array(reasons, pa.string()))


def reasons_json(reasons: Sequence[Reason]) -> str:
    """Reasons as JSON: code, text, weight (log-odds or points) and value."""
    plain = [{"code": r.code, "text": r.text, "weight": r.weight, "value": r.value} for r in reasons]
    return json.dumps(plain, ensure_ascii=False)


def _rules_reasons_array(answers: BatchScores, lang: Language, reasons_cache: dict[bytes, str]) -> pa.Array:
    """The reasons of the rules as JSON, written once for each pattern of rules that hold together."""
    rating = answers.rating
    packed = np.packbits(np.hstack([rating.fired, rating.triggers, rating.exclusions]), axis=1)
    patterns, first, place = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    keys = [pattern.tobytes() for pattern in patterns]
    for key, row in zip(keys, first, strict=True):
        if key not in reasons_cache:
            a = answers.rules_answer(int(row), lang)
            reasons_cache[key] = reasons_json((*a.exclusions, *a.triggers, *a.reasons))
    return _dictionary_array(place.ravel(), [reasons_cache[key] for key in keys])


def _person_texts(answers: BatchScores) -> list[str | None]:
    """The override of each lead: verdict, reason and person."""
    overrides = answers.overrides or [None] * len(answers)
    return [None if o is None else f"{o.verdict}: {o.reason} ({o.by})" for o in overrides]


def _content(action: Action, lang: Language) -> str:
    return "" if action.content is None else action.content.text(lang)


def _action_texts(answers: BatchScores, lang: Language) -> pa.Array:
    actions = answers.actions
    pairs = actions.action.astype(np.int64) * 128 + actions.prompt + 1
    _, first, place = np.unique(pairs, return_index=True, return_inverse=True)
    return _dictionary_array(place, [answers.action_text(int(row), lang) for row in first])


def _words_array(codes: NDArray[np.integer], words: Sequence[str | None]) -> pa.Array:
    """The word of each code; null for a word that is None and for codes below 0."""
    none = [code for code, word in enumerate(words) if word is None]
    mask = (codes < 0) | np.isin(codes, none)
    return _dictionary_array(codes, [word or "" for word in words] or [""], mask)


def _map_codes(codes: NDArray[np.integer], word: Callable[[int], str]) -> pa.Array:
    unique_codes, place = np.unique(codes, return_inverse=True)
    return _dictionary_array(place, [word(int(code)) for code in unique_codes])


def _flags_array(flags: Sequence[Bools | None], names: Sequence[str], count: int) -> pa.Array:
    """The names of the flags that are set, separated by commas."""
    code = np.zeros(count, dtype=np.int64)
    for bit, flag in enumerate(flags):
        code += 0 if flag is None else flag.astype(np.int64) << bit
    words = [
        ",".join(name for bit, name in enumerate(names) if code >> bit & 1) for code in range(2 ** len(names))
    ]
    return _dictionary_array(code, words)


def _invert(mask: Bools | None) -> Bools | None:
    return None if mask is None else ~mask


def _repeat(word: str | None, count: int) -> pa.Array:
    return _dictionary_array(np.zeros(count, np.int64), [word or ""], np.full(count, word is None))


def _dictionary_array(
    codes: NDArray[np.integer], words: Sequence[str], mask: Bools | None = None
) -> pa.Array:
    indices = pa.array(np.maximum(codes, 0).astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def _array_or_null(values: NDArray[np.generic] | None, count: int, kind: pa.DataType) -> pa.Array:
    return pa.nulls(count, kind) if values is None else pa.array(values, kind)


def _numbers_array(values: Floats | None, count: int) -> pa.Array:
    """Numbers, null where they are nan."""
    return pa.nulls(count, pa.float64()) if values is None else pa.array(values, mask=np.isnan(values))


def _timestamps_array(times_ms: Ints) -> pa.Array:
    return pa.array(times_ms, mask=times_ms == NEVER).cast(pa.timestamp("ms", "UTC"))
