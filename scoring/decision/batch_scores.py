"""The answers for many leads as columns, and the Scores that are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import compress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.clock import NEVER, iso
from features.columns import Bools, Column, Ints, LazyColumns, take
from features.kinds import Language
from scoring.decision.actions import Actions
from scoring.decision.decision import DECIDERS, HAND_OVERS, Decision, ModelSide
from scoring.decision.overrides import Override
from scoring.decision.sales_status import SalesStatus
from scoring.decision.score import (
    BANT,
    ActionAnswer,
    ClosedAnswer,
    Explain,
    Fallback,
    ModelAnswer,
    PersonAnswer,
    Reason,
    RulesAnswer,
    Score,
)
from scoring.decision.wording import Wording
from scoring.model.calibrated_model import CalibratedModel
from scoring.model.model import Encoded, Explanation
from scoring.scorecard.rating import Rating
from scoring.scorecard.scorecard import STAGES, Scorecard

_Columns = TypeVar("_Columns", ModelSide, Decision, Actions)


@dataclass(frozen=True, kw_only=True)
class BatchScores:
    """The answers for n leads. `encoded` and `model` are None if the model does not answer.

    `answered_roles` has by role (budget, authority, need, timing) a mask of the leads whose answer the
    CRM holds; `as_of` is ms UTC (None: no dates).
    """

    card: Scorecard
    wordings: Mapping[Language, Wording]
    lead_ids: Sequence[str]
    columns: Mapping[str, Column]
    rating: Rating
    calibrated_model: CalibratedModel | None
    encoded: Encoded | None
    model: ModelSide | None
    fallback: Fallback | None
    decision: Decision
    actions: Actions
    overrides: Sequence[Override | None] | None
    answered_roles: Mapping[str, Bools]
    as_of: int | None
    explained: Explanation | None = None
    sales_statuses: Sequence[SalesStatus | None] | None = None

    def __len__(self) -> int:
        return len(self.rating)

    @cached_property
    def cautions(self) -> dict[str, Bools]:
        """By caution, a mask of the leads that it holds for; empty if the model does not answer."""
        if self.calibrated_model is None or self.encoded is None:
            return {}
        return self.calibrated_model.training_range.cautions(self.encoded.matrix)

    @cached_property
    def similar_leads(self) -> tuple[Ints, Ints] | None:
        """How many leads had a similar score, and how many of those were won; None without a model."""
        if self.calibrated_model is None or self.model is None:
            return None
        return self.calibrated_model.similar_leads(self.model.probability)

    @cached_property
    def explanation(self) -> Explanation | None:
        """The reasons of the model's scores of all leads; None without a model."""
        if self.explained is not None:
            return self.explained
        if self.calibrated_model is None or self.encoded is None:
            return None
        return self.calibrated_model.model.explain(self.encoded)

    def scores(
        self, lang: Language, scored_at: int, explain: Explain = "none", request_id: str | None = None
    ) -> list[Score]:
        """The Scores of all leads. `explain` selects the model's reasons; `scored_at` is ms UTC."""
        words, decision, count = self.wordings[lang], self.decision, len(self)
        unanswered = {role: ~self.answered_roles[role] for role in BANT if role in self.answered_roles}
        rows = zip(
            self.lead_ids,
            decision.score.tolist(),
            _decode(STAGES, decision.stage),
            _decode(DECIDERS, decision.decided_by),
            _names_that_hold(self.cautions, count),
            self._model_answers(words, explain),
            self._rules_answers(words),
            self._person_answers(),
            self._action_answers(words, scored_at),
            _decode(HAND_OVERS, decision.hand_over),
            _names_that_hold(unanswered, count),
            self._closed_answers(),
            self._out_of_range(),
            strict=True,
        )
        as_of, scored_at_iso = None if self.as_of is None else iso(self.as_of), iso(scored_at)

        def build(row: tuple[Any, ...]) -> Score:  # twice as fast as Score(**a_dict_of_the_row)
            return Score(
                lead_id=row[0],
                score=row[1],
                stage=row[2],
                decided_by=row[3],
                fallback=self.fallback,
                cautions=row[4],
                model=row[5],
                rules=row[6],
                person=row[7],
                action=row[8],
                hand_over=row[9],
                unknown=row[10],
                as_of=as_of,
                scored_at=scored_at_iso,
                request_id=request_id,
                closed=row[11],
                out_of_range=row[12],
            )

        return [build(row) for row in rows]

    def score(
        self,
        row: int,
        lang: Language,
        scored_at: int,
        explain: Explain = "top",
        request_id: str | None = None,
    ) -> Score:
        """The Score of the lead in a row; see `scores`."""
        return self.take_row(row).scores(lang, scored_at, explain, request_id)[0]

    def take_row(self, row: int) -> BatchScores:
        rows, place = slice(row, row + 1), np.array([row])
        return replace(
            self,
            lead_ids=self.lead_ids[rows],
            columns=LazyColumns(self.columns, lambda name: take(self.columns[name], place)),
            rating=self.rating.take(rows),
            encoded=self.encoded and self.encoded.take(rows),
            model=self.model and _take_rows(self.model, rows),
            decision=_take_rows(self.decision, rows),
            actions=_take_rows(self.actions, rows),
            overrides=self.overrides and self.overrides[rows],
            sales_statuses=self.sales_statuses and self.sales_statuses[rows],
            answered_roles={role: answered[rows] for role, answered in self.answered_roles.items()},
            explained=self.explained and self.explained.take_row(row),
        )

    def rules_answer(self, row: int, lang: Language) -> RulesAnswer:
        return self._rules_answer(row, self.wordings[lang])

    def action_text(self, row: int, lang: Language) -> str:
        key = int(self.actions.action[row]), int(self.actions.prompt[row])
        return self.wordings[lang].actions[key].text

    def _model_answers(self, words: Wording, explain: Explain) -> Sequence[ModelAnswer | None]:
        if self.calibrated_model is None or self.model is None or self.similar_leads is None:
            return [None] * len(self)
        version, model = self.calibrated_model.model.version, self.model
        rows = zip(
            model.score.tolist(),
            _decode(STAGES, model.stage),
            model.probability.tolist(),
            self.similar_leads[0].tolist(),
            self.similar_leads[1].tolist(),
            self._model_reasons(words, explain),
            strict=True,
        )
        names = ("score", "stage", "probability", "alike", "alike_won", "reasons")
        return [ModelAnswer(version=version, **dict(zip(names, row, strict=True))) for row in rows]

    def _model_reasons(self, words: Wording, explain: Explain) -> Sequence[tuple[Reason, ...] | None]:
        if explain == "none" or self.explanation is None:
            return [None] * len(self)
        explanation = self.explanation
        return words.model_reasons(explanation.features, explanation.contributions, self.columns, explain)

    def _rules_answers(self, words: Wording) -> list[RulesAnswer]:
        patterns = self.rating.patterns
        rows = {pattern: row for row, pattern in enumerate(patterns)}
        answers = {pattern: self._rules_answer(row, words) for pattern, row in rows.items()}
        return [answers[pattern] for pattern in patterns]

    def _rules_answer(self, row: int, words: Wording) -> RulesAnswer:
        rating = self.rating
        reasons, triggers, exclusions = words.rules_reasons(rating.matches[row].tolist())
        return RulesAnswer(
            version=self.card.version,
            score=int(rating.score[row]),
            stage=STAGES[rating.stage[row]],  # type: ignore[arg-type]
            points=int(rating.points[row]),
            fit=int(rating.fit[row]),
            intent=int(rating.intent[row]),
            reasons=reasons,
            triggers=triggers,
            exclusions=exclusions,
        )

    def _person_answers(self) -> Sequence[PersonAnswer | None]:
        if self.overrides is None:
            return [None] * len(self)
        return [None if override is None else _person_answer(override) for override in self.overrides]

    def _out_of_range(self) -> Sequence[tuple[str, ...]]:
        holds = self.cautions.get("out_of_range")
        if holds is None or self.calibrated_model is None or self.encoded is None or not holds.any():
            return [()] * len(self)
        return self.calibrated_model.training_range.features_out_of_range(self.encoded.matrix)

    def _closed_answers(self) -> Sequence[ClosedAnswer | None]:
        if self.sales_statuses is None:
            return [None] * len(self)
        return [None if status is None else _closed_answer(status) for status in self.sales_statuses]

    def _action_answers(self, words: Wording, now: int) -> list[ActionAnswer]:
        actions = self.actions
        columns = (actions.action, actions.prompt, actions.deadline)
        keys: list[tuple[int, int, int]] = list(zip(*(c.tolist() for c in columns), strict=True))
        as_of = now if self.as_of is None else self.as_of
        answers = {key: _action_answer(words, *key, as_of) for key in set(keys)}
        return [answers[key] for key in keys]


def _action_answer(words: Wording, code: int, prompt: int, deadline: int, as_of: int) -> ActionAnswer:
    shown_deadline = None if deadline == NEVER else iso(deadline)
    text = words.actions[code, prompt]._asdict()
    return ActionAnswer(**text, deadline=shown_deadline, overdue=deadline < as_of)


def _closed_answer(status: SalesStatus) -> ClosedAnswer | None:
    return None if status.outcome is None else ClosedAnswer(status.outcome, iso(status.closed_at))


def _person_answer(override: Override) -> PersonAnswer:
    expires = None if override.expires == NEVER else iso(override.expires)
    return PersonAnswer(override.verdict, override.reason, override.by, expires)


def _decode(words: Sequence[Any], codes: NDArray[np.int8]) -> list[Any]:
    """The word for each code."""
    return [words[code] for code in codes.tolist()]


def _names_that_hold(flags: Mapping[str, Bools], count: int) -> list[tuple[str, ...]]:
    """For each of `count` leads, the names whose flag is set."""
    if not flags:
        return [()] * count
    rows = zip(*(flag.tolist() for flag in flags.values()), strict=True)
    return [tuple(compress(flags, row)) for row in rows]


def _take_rows(columns: _Columns, rows: slice) -> _Columns:
    return replace(columns, **{f.name: getattr(columns, f.name)[rows] for f in fields(columns)})
