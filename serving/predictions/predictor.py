"""From the facts of a lead to its score: features, scorecard and model, decision, stored prediction."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from features.clock import NEVER
from features.kinds import Language
from features.large.large_lead import MANY_EVENTS
from scoring.decision.score import Explain, Score
from serving.leads.batch import LeadError, ParsedBatch, ScorableBatch, complete_batch
from serving.leads.batch_columns import BatchLeads, answered_roles
from serving.leads.field_types import AttributeSchema
from serving.leads.lead_facts import LeadFacts, LeadNotCreated, ParsedLead, UnknownLead, facts_from_store
from serving.leads.mirrors import OverrideMirror
from serving.observability.prometheus import Metrics
from serving.predictions.large_leads import LargeLeads
from serving.predictions.live_model import ModelWatcher
from serving.store.errors import ManyActivities
from serving.store.records import Prediction, StoredLead, StoredState
from serving.store.store import Store


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """How leads are scored. `now` is the time of the request and `as_of` an earlier moment to score as of
    (None: now), both ms UTC; `explain` and `lang` choose the reasons and their language."""

    now: int
    explain: Explain = "top"
    lang: Language = "en"
    as_of: int | None = None
    request_id: str | None = None

    @property
    def live_now(self) -> int | None:
        """`now` for a live score; None for a score as of an earlier moment, which cannot see it."""
        return self.now if self.as_of is None else None

    @property
    def moment(self) -> int:
        """A score uses what was known strictly before this moment (ms UTC). A live one also uses what came in
        this very millisecond."""
        return self.now + 1 if self.as_of is None else self.as_of


@dataclass(frozen=True, slots=True)
class ScoredLead:
    """A score; the attributes that no feature uses, the activity types that none names, and whether the
    prediction is stored."""

    score: Score
    ignored: tuple[str, ...]
    unknown_types: tuple[str, ...]
    stored: StoredState


class Predictor:
    """Scores leads with the live model and stores the predictions.

    Who parses or scores a batch holds `batch_slot`: single leads must not wait for several of them. A lead
    with very many activities is scored by `large_leads`, for the same reason.
    """

    def __init__(
        self,
        schema: AttributeSchema,
        model_watcher: ModelWatcher,
        store: Store,
        overrides: OverrideMirror,
        metrics: Metrics,
    ) -> None:
        self.schema, self._model_watcher = schema, model_watcher
        self._store, self._overrides, self._metrics = store, overrides, metrics
        self.batch_slot, self.large_leads = asyncio.Semaphore(1), LargeLeads()

    async def predict(self, lead: ParsedLead, options: ScoreOptions) -> ScoredLead:
        """The score of one lead.

        Raises UnknownLead and LeadNotCreated; for a stored lead StoreUnavailable and Problem (503).
        """
        if isinstance(lead, str):
            facts, scores, predictions = await self._read_and_score(lead, options)
        else:
            facts = lead
            scores, predictions = self._score(facts, options)
        states = await self._store_and_count(scores, predictions)
        return ScoredLead(scores[0], facts.ignored, facts.unknown_types, states[0])

    async def predict_batch(self, parsed: ParsedBatch, options: ScoreOptions) -> list[ScoredLead | LeadError]:
        """The score or the error of each lead of a batch, at its place."""
        async with self.batch_slot:
            batch, scores, predictions = await asyncio.to_thread(self._score_batch, parsed, options)
        states = await self._store_and_count(scores, predictions)
        leads = batch.leads
        scored = (
            ScoredLead(score, ignored, unknown_types, stored)
            for score, ignored, unknown_types, stored in zip(
                scores, leads.ignored, leads.unknown_types, states, strict=True
            )
        )
        return [batch.errors.get(i) or next(scored) for i in range(batch.count)]

    async def _read_and_score(
        self, lead_id: str, options: ScoreOptions
    ) -> tuple[LeadFacts, list[Score], list[Prediction]]:
        try:
            stored_lead = await asyncio.to_thread(self._store.lead, lead_id, options.as_of, MANY_EVENTS)
        except ManyActivities:
            return await self.large_leads.run(
                lambda: self._score_stored(self._store.lead(lead_id, options.as_of), options)
            )
        return self._score_stored(stored_lead, options)

    def _score_stored(
        self, stored_lead: StoredLead | None, options: ScoreOptions
    ) -> tuple[LeadFacts, list[Score], list[Prediction]]:
        if stored_lead is None:
            raise UnknownLead
        facts = facts_from_store(stored_lead, self.schema, options.live_now, options.as_of)
        return facts, *self._score(facts, options)

    def _score_batch(
        self, parsed: ParsedBatch, options: ScoreOptions
    ) -> tuple[ScorableBatch, list[Score], list[Prediction]]:
        read_stored = partial(self._store.leads, before=options.as_of)
        batch = complete_batch(parsed, self.schema, options.live_now, options.as_of, read_stored)
        return batch, *self._score(batch.leads, options)

    def _score(
        self, leads: LeadFacts | BatchLeads, options: ScoreOptions
    ) -> tuple[list[Score], list[Prediction]]:
        """The scores and what is stored of them. Raises LeadNotCreated for one lead."""
        scorer, schema, moment = self._model_watcher.live_model.scorer, self.schema, options.moment
        is_live, explain = options.as_of is None, options.explain != "none"
        as_of = moment if schema.dated else None
        if isinstance(leads, LeadFacts):
            if options.as_of is not None and options.as_of < leads.created != NEVER:
                raise LeadNotCreated(options.as_of, leads.created)
            view = leads.view(moment)
            answers = scorer.score_one(
                lead_id=leads.lead_id,
                values=scorer.table.compute_one(view),
                as_of=as_of,
                answered_roles={role: view.text(c) is not None for role, c in schema.roles.items()},
                override=self._overrides.get(leads.lead_id, moment, is_live),
                explain=explain,
                sales_status=self._overrides.sales_status.get(leads.lead_id, moment, is_live),
                amount=leads.amount,
            )
        else:
            views = leads.view(moment)
            answers = scorer.score_batch(
                lead_ids=leads.ids,
                columns=scorer.table.compute_many(views),
                as_of=as_of,
                answered_roles=answered_roles(views, schema),
                overrides=self._overrides.get_many(leads.ids, moment, is_live),
                explain=explain,
                sales_statuses=self._overrides.sales_status.get_many(leads.ids, moment, is_live),
                amounts=leads.amounts,
            )
        scores = answers.scores(options.lang, options.now, options.explain, options.request_id)
        deadlines: list[int] = answers.actions.deadline.tolist()
        return scores, [
            build_prediction(score, deadline, moment, options.now, replay=not is_live)
            for score, deadline in zip(scores, deadlines, strict=True)
        ]

    async def _store_and_count(
        self, scores: Sequence[Score], predictions: Sequence[Prediction]
    ) -> Sequence[StoredState]:
        """Where each prediction is stored; the scores are then counted in the metrics."""
        erased = frozenset[str]()
        if not self._store.suppression.is_empty:
            erased = self._store.suppression.find([prediction.lead_id for prediction in predictions])
            predictions = [p for p in predictions if p.lead_id not in erased]
        future = self._store.add_predictions(predictions)
        stored = future.result() if future.done() else await asyncio.wrap_future(future)
        for key, count in Counter([(s.decided_by, s.stage, s.fallback) for s in scores]).items():
            self._metrics.count_scores(*key, count)
        if not erased:
            return [stored] * len(scores)
        self._metrics.count_suppressed_scores(len(scores) - len(predictions))
        return ["suppressed" if score.lead_id in erased else stored for score in scores]


def build_prediction(score: Score, deadline: int, as_of: int, scored_at: int, replay: bool) -> Prediction:
    """A score as it is stored: both sides, with reasons as codes and numbers. Times are ms UTC."""
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
