"""The desk: a lead comes in, a Score with its provenance goes out and is remembered.

One straight line: what was told → view at the moment → feature values → scorecard and model → decision →
Score → store → answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter
from typing import Any

import orjson

from features.clock import NEVER, now_ms
from features.kinds import Language
from features.settings import CrmSettings
from scoring.decision.batch_scores import BatchScores
from scoring.decision.score import Explain, Score
from serving.leads import bodies
from serving.leads.batch import ParsedBatch, read_batch
from serving.leads.batch_columns import answered_roles
from serving.leads.lead_facts import (
    AttributeSchema,
    LeadFacts,
    check_as_of,
    facts_from_body,
    facts_from_store,
)
from serving.leads.overrides import OverrideMirror
from serving.observability.prometheus import Metrics
from serving.predictions.live_model import ModelWatcher
from serving.store.records import Prediction, StoredState
from serving.store.store import Store, StoreUnavailable
from serving.web.problems import Problem, not_found, store_unavailable


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """How a lead is to be scored: whose reasons in what language, as of when (ms UTC; None: now)."""

    explain: Explain = "top"
    lang: Language = "en"
    as_of: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ScoredLead:
    """A Score, the attributes that were ignored, the types of activity that no feature names, and
    whether the answer could be stored."""

    score: Score
    ignored: tuple[str, ...]
    unknown_activities: tuple[str, ...]
    stored: StoredState

    def to_dict(self) -> dict[str, Any]:
        """As orjson can write it."""
        result = dict(zip(_NAMES, _VALUES(self.score), strict=True))
        result["ignored_attributes"], result["unknown_activities"] = self.ignored, self.unknown_activities
        result["stored"] = self.stored
        return result


_NAMES = tuple(f.name for f in fields(Score))
_VALUES = attrgetter(*_NAMES)


class Predictor:
    """Scores leads with what is in use at the moment. `clock` gives ms UTC."""

    def __init__(
        self,
        crm: CrmSettings,
        model_watcher: ModelWatcher,
        store: Store,
        overrides: OverrideMirror,
        metrics: Metrics,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.schema, self.clock = AttributeSchema.from_settings(crm), clock
        self._model_watcher, self._store, self._overrides, self._metrics = (
            model_watcher,
            store,
            overrides,
            metrics,
        )
        self._one_batch_at_a_time = asyncio.Semaphore(1)

    async def predict(self, lead: bodies.Lead, options: ScoreOptions) -> ScoredLead:
        """The answer for one lead. Raises Problem: 404 for an id that nothing was sent of, 422, 503."""
        now = self.clock()
        live = now if options.as_of is None else None
        facts = (
            await self._read_stored(lead.lead_id, live, options.as_of)
            if lead.is_id_only
            else facts_from_body(lead, self.schema, live)
        )
        check_as_of(facts.created, options.as_of)
        (score,), predictions = self._score_one(facts, options, now)
        storage_status = await _await_storage(self._store.add_predictions(predictions))
        self._count_scores([score])
        return ScoredLead(score, facts.ignored, facts.unknown_types, storage_status)

    async def predict_batch(self, raw: bytes, options: ScoreOptions) -> list[ScoredLead | Problem]:
        """For each lead of a batch its answer or its problem, in the order of the batch.

        Raises Problem where the body as a whole does not hold.
        """
        async with self._one_batch_at_a_time:
            batch, scores, predictions = await asyncio.to_thread(self._score_batch, raw, options)
        storage_status = await _await_storage(self._store.add_predictions(predictions))
        self._count_scores(scores)
        leads = batch.leads
        answers = (
            ScoredLead(score, ignored, unknown_types, storage_status)
            for score, ignored, unknown_types in zip(scores, leads.ignored, leads.unknown_types, strict=True)
        )
        return [batch.problems.get(i) or next(answers) for i in range(batch.count)]

    async def _read_stored(self, lead_id: str, now: int | None, before: int | None) -> LeadFacts:
        try:
            stored_lead = await asyncio.to_thread(self._store.lead, lead_id, before)
        except StoreUnavailable as problem:
            raise store_unavailable(
                "The store is away, so what was sent of this lead cannot be read. Send its "
                "attributes and activities in the body, or try later.",
                problem.retry_after,
            ) from None
        if stored_lead is None:
            raise not_found(
                "Nothing was sent of this lead before. Send its attributes and activities "
                "in the body, or POST them to /v1/leads and /v1/activities."
            )
        return facts_from_store(stored_lead, self.schema, now)

    def _score_one(
        self, facts: LeadFacts, options: ScoreOptions, now: int
    ) -> tuple[list[Score], list[Prediction]]:
        moment, scorer = _scoring_moment(options, now), self._model_watcher.live_model.scorer
        view = facts.view(moment)
        answered = {role: _is_answered(view.text(c)) for role, c in self.schema.roles.items()}
        answers = scorer.score_one(
            facts.lead_id,
            scorer.table.compute_one(view),
            moment if self.schema.dated else None,
            answered,
            self._overrides.get(facts.lead_id, moment, options.as_of is None),
            options.explain != "none",
            self._overrides.sales_status.get(facts.lead_id, moment, options.as_of is None),
        )
        return _build_results(answers, options, now, moment)

    def _score_batch(
        self, raw: bytes, options: ScoreOptions
    ) -> tuple[ParsedBatch, list[Score], list[Prediction]]:
        now, scorer = self.clock(), self._model_watcher.live_model.scorer
        moment = _scoring_moment(options, now)
        read_stored = partial(self._store.leads, before=options.as_of)
        batch = read_batch(
            raw, self.schema, now if options.as_of is None else None, read_stored, options.as_of
        )
        view = batch.leads.view(moment)
        answers = scorer.score_batch(
            batch.leads.ids,
            scorer.table.compute_many(view),
            moment if self.schema.dated else None,
            answered_roles(view, self.schema),
            self._overrides.get_many(batch.leads.ids, moment, options.as_of is None),
            options.explain != "none",
            self._overrides.sales_status.get_many(batch.leads.ids, moment, options.as_of is None),
        )
        return batch, *_build_results(answers, options, now, moment)

    def _count_scores(self, scores: Sequence[Score]) -> None:
        for (decided_by, stage), count in Counter((s.decided_by, s.stage) for s in scores).items():
            self._metrics.count_scores(decided_by, stage, count)
        for cause, count in Counter(s.fallback for s in scores if s.fallback).items():
            self._metrics.count_fallbacks(cause, count)


async def _await_storage(future: Future[StoredState]) -> StoredState:
    return future.result() if future.done() else await asyncio.wrap_future(future)


def _scoring_moment(options: ScoreOptions, now: int) -> int:
    """What is judged is all that was known strictly before: with what came in this very millisecond."""
    return now + 1 if options.as_of is None else options.as_of


def _is_answered(text: str | None) -> bool:
    return text is not None


def _build_results(
    answers: BatchScores, options: ScoreOptions, now: int, moment: int
) -> tuple[list[Score], list[Prediction]]:
    scores = answers.scores(options.lang, now, options.explain, options.request_id)
    deadlines = answers.actions.deadline.tolist()
    replay = options.as_of is not None
    return scores, [
        build_prediction(score, deadline, moment, now, replay)
        for score, deadline in zip(scores, deadlines, strict=True)
    ]


def build_prediction(score: Score, deadline: int, as_of: int, scored_at: int, replay: bool) -> Prediction:
    """An answer as it is remembered: both sides, reasons as codes and numbers. Times in ms UTC."""
    model, rules = score.model, score.rules
    return Prediction(
        lead_id=score.lead_id,
        as_of=as_of,
        scored_at=scored_at,
        replay=replay,
        score=score.score,
        stage=score.stage,
        decided_by=score.decided_by,
        fallback=score.fallback,
        model_version=None if model is None else model.version,
        probability=None if model is None else model.probability,
        model_score=None if model is None else model.score,
        model_stage=None if model is None else model.stage,
        card_version=rules.version,
        points=rules.points,
        fit=rules.fit,
        intent=rules.intent,
        rules_score=rules.score,
        rules_stage=rules.stage,
        action=score.action.kind,
        owner=score.action.owner,
        deadline=None if deadline == NEVER else deadline,
        request_id=score.request_id,
        detail=orjson.dumps(score.detail()).decode(),
    )
