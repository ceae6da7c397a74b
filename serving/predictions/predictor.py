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
from scoring.decision.batch_scores import Answers
from scoring.decision.score import Explain, Score
from serving.leads import bodies
from serving.leads.batch import Batch, read_batch
from serving.leads.batch_columns import known
from serving.leads.lead_facts import Reading, Told, check_there, told_before, told_by
from serving.leads.overrides import Said
from serving.observability.prometheus import Metrics
from serving.predictions.live_model import Watch
from serving.store.records import Kept, Prediction
from serving.store.store import Store, StoreAway
from serving.web.problems import Problem, away, not_found


@dataclass(frozen=True, slots=True)
class Ask:
    """How a lead is to be scored: whose reasons in what language, as of when (ms UTC; None: now)."""

    explain: Explain = "top"
    lang: Language = "en"
    as_of: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A Score, the attributes that were ignored, the types of activity that no feature names, and
    whether the answer could be stored."""

    score: Score
    ignored: tuple[str, ...]
    strange: tuple[str, ...]
    stored: Kept

    def plain(self) -> dict[str, Any]:
        """As orjson can write it."""
        told = dict(zip(_NAMES, _VALUES(self.score), strict=True))
        told["ignored_attributes"], told["unknown_activities"] = self.ignored, self.strange
        told["stored"] = self.stored
        return told


_NAMES = tuple(f.name for f in fields(Score))
_VALUES = attrgetter(*_NAMES)


class Desk:
    """Scores leads with what is in use at the moment. `clock` gives ms UTC."""

    def __init__(
        self,
        crm: CrmSettings,
        watch: Watch,
        store: Store,
        said: Said,
        metrics: Metrics,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.how, self.clock = Reading.of(crm), clock
        self._watch, self._store, self._said, self._metrics = watch, store, said, metrics
        self._one_batch_at_a_time = asyncio.Semaphore(1)

    async def one(self, lead: bodies.Lead, ask: Ask) -> Answer:
        """The answer for one lead. Raises Problem: 404 for an id that nothing was sent of, 422, 503."""
        now = self.clock()
        live = now if ask.as_of is None else None
        told = (
            await self._stored(lead.lead_id, live, ask.as_of)
            if lead.by_id_alone
            else told_by(lead, self.how, live)
        )
        check_there(told.created, ask.as_of)
        (score,), predictions = self._scored(told, ask, now)
        kept = await _done(self._store.remember(predictions))
        self._count([score])
        return Answer(score, told.ignored, told.strange, kept)

    async def many(self, raw: bytes, ask: Ask) -> list[Answer | Problem]:
        """For each lead of a batch its answer or its problem, in the order of the batch.

        Raises Problem where the body as a whole does not hold.
        """
        async with self._one_batch_at_a_time:
            batch, scores, predictions = await asyncio.to_thread(self._batch, raw, ask)
        kept = await _done(self._store.remember(predictions))
        self._count(scores)
        leads = batch.leads
        answers = (
            Answer(score, left, strange, kept)
            for score, left, strange in zip(scores, leads.ignored, leads.strange, strict=True)
        )
        return [batch.problems.get(i) or next(answers) for i in range(batch.count)]

    async def _stored(self, lead_id: str, now: int | None, before: int | None) -> Told:
        try:
            found = await asyncio.to_thread(self._store.lead, lead_id, before)
        except StoreAway as problem:
            raise away(
                "The store is away, so what was sent of this lead cannot be read. Send its "
                "attributes and activities in the body, or try later.",
                problem.retry_after,
            ) from None
        if found is None:
            raise not_found(
                "Nothing was sent of this lead before. Send its attributes and activities "
                "in the body, or POST them to /v1/leads and /v1/activities."
            )
        return told_before(found, self.how, now)

    def _scored(self, told: Told, ask: Ask, now: int) -> tuple[list[Score], list[Prediction]]:
        moment, scorer = _moment(ask, now), self._watch.in_use.scorer
        view = told.view(moment)
        answered = {role: _said(view.text(c)) for role, c in self.how.roles.items()}
        answers = scorer.one(
            told.lead_id,
            scorer.table.one(view),
            moment if self.how.dated else None,
            answered,
            self._said.of(told.lead_id, moment, ask.as_of is None),
            ask.explain != "none",
            self._said.done.of(told.lead_id, moment, ask.as_of is None),
        )
        return _written(answers, ask, now, moment)

    def _batch(self, raw: bytes, ask: Ask) -> tuple[Batch, list[Score], list[Prediction]]:
        now, scorer = self.clock(), self._watch.in_use.scorer
        moment = _moment(ask, now)
        stored = partial(self._store.leads, before=ask.as_of)
        batch = read_batch(raw, self.how, now if ask.as_of is None else None, stored, ask.as_of)
        view = batch.leads.view(moment)
        answers = scorer.answers(
            batch.leads.ids,
            scorer.table.many(view),
            moment if self.how.dated else None,
            known(view, self.how),
            self._said.among(batch.leads.ids, moment, ask.as_of is None),
            ask.explain != "none",
            self._said.done.among(batch.leads.ids, moment, ask.as_of is None),
        )
        return batch, *_written(answers, ask, now, moment)

    def _count(self, scores: Sequence[Score]) -> None:
        for (by, stage), count in Counter((s.decided_by, s.stage) for s in scores).items():
            self._metrics.score(by, stage, count)
        for cause, count in Counter(s.fallback for s in scores if s.fallback).items():
            self._metrics.fallback(cause, count)


async def _done(kept: Future[Kept]) -> Kept:
    return kept.result() if kept.done() else await asyncio.wrap_future(kept)


def _moment(ask: Ask, now: int) -> int:
    """What is judged is all that was known strictly before: with what came in this very millisecond."""
    return now + 1 if ask.as_of is None else ask.as_of


def _said(text: str | None) -> bool:
    return text is not None


def _written(answers: Answers, ask: Ask, now: int, moment: int) -> tuple[list[Score], list[Prediction]]:
    scores = answers.scores(ask.lang, now, ask.explain, ask.request_id)
    deadlines = answers.actions.deadline.tolist()
    replay = ask.as_of is not None
    return scores, [
        prediction(score, deadline, moment, now, replay)
        for score, deadline in zip(scores, deadlines, strict=True)
    ]


def prediction(score: Score, deadline: int, as_of: int, scored_at: int, replay: bool) -> Prediction:
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
