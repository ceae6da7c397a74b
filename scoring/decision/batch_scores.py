"""The answers for many leads as columns, and the Scores that are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import compress
from typing import TypeVar

import numpy as np

from features.clock import NEVER, iso
from features.columns import Bools, Column, Floats, Ints, LazyColumns, numbers_or_none, take
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
    CRM holds; `as_of` is ms UTC (None: no dates). `amounts` are what the open deals are expected to bring
    (nan: unknown; None: of all leads).
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
    amounts: Floats | None = None

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
    def expected_values(self) -> Floats | None:
        """The probability times the amount of each lead (nan: the amount is unknown, or the deal is closed);
        None without a model or any amount."""
        if self.model is None or self.amounts is None:
            return None
        outcomes = (status and status.outcome for status in self.sales_statuses or [None] * len(self))
        is_open = np.array([outcome is None for outcome in outcomes])
        return np.asarray(np.where(is_open, self.model.probability * self.amounts, np.nan), dtype=np.float64)

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
        words, decision, count = self.wordings[lang], self.decision, len(self.lead_ids)
        unanswered = {role: ~self.answered_roles[role] for role in BANT if role in self.answered_roles}
        nothing, no_names = [None] * count, [()] * count
        rows = zip(
            self.lead_ids,
            decision.score.tolist(),
            decision.stage.tolist(),
            decision.decided_by.tolist(),
            _names_that_hold(self.cautions) if self.cautions else no_names,
            nothing if self.model is None else self._model_answers(self.model, words, explain),
            self._rules_answers(lang),
            nothing if self.overrides is None else map(_person_answer, self.overrides),
            self._action_answers(words, scored_at),
            decision.hand_over.tolist(),
            _names_that_hold(unanswered) if unanswered else no_names,
            nothing if self.sales_statuses is None else map(_closed_answer, self.sales_statuses),
            self._out_of_range() if self.cautions else no_names,
            nothing if self.amounts is None else numbers_or_none(self.amounts),
            strict=True,
        )
        as_of, scored_at_iso = None if self.as_of is None else iso(self.as_of), iso(scored_at)
        return [
            Score(  # from the places of a row: twice as fast as from a dict
                lead_id=row[0],
                score=row[1],
                stage=STAGES[row[2]],
                decided_by=DECIDERS[row[3]],
                fallback=self.fallback,
                cautions=row[4],
                model=row[5],
                rules=row[6],
                person=row[7],
                action=row[8],
                hand_over=HAND_OVERS[row[9]],
                unknown=row[10],
                as_of=as_of,
                scored_at=scored_at_iso,
                request_id=request_id,
                closed=row[11],
                out_of_range=row[12],
                amount=row[13],
            )
            for row in rows
        ]

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
            amounts=None if self.amounts is None else self.amounts[rows],
        )

    def action_text(self, row: int, lang: Language) -> str:
        key = int(self.actions.action[row]), int(self.actions.prompt[row])
        return self.wordings[lang].actions[key].text

    def _model_answers(self, model: ModelSide, words: Wording, explain: Explain) -> list[ModelAnswer]:
        assert self.calibrated_model is not None  # it gave `model`
        version = self.calibrated_model.model.version
        similar_leads = self.calibrated_model.similar_leads(model.probability)
        reasons: Sequence[tuple[Reason, ...] | None] = [None] * len(self.lead_ids)
        if explain != "none" and (shares := self.explanation) is not None:
            reasons = words.model_reasons(shares.features, shares.contributions, self.columns, explain)
        columns = (model.score, model.stage, model.probability, *similar_leads)
        values = self.expected_values
        expected = [None] * len(self) if values is None else numbers_or_none(values)
        rows = zip(*(column.tolist() for column in columns), expected, reasons, strict=True)
        return [
            ModelAnswer(
                version=version,
                score=score,
                stage=STAGES[stage],
                probability=probability,
                expected_value=value,
                alike=similar,
                alike_won=won,
                reasons=lead_reasons,
            )
            for score, stage, probability, similar, won, value, lead_reasons in rows
        ]

    def _rules_answers(self, lang: Language) -> list[RulesAnswer]:
        """The rules' side of all leads; those with the same rules share it."""
        patterns = self.rating.patterns
        rows = {pattern: row for row, pattern in enumerate(patterns)}
        answers = {pattern: self.rules_answer(row, lang) for pattern, row in rows.items()}
        return [answers[pattern] for pattern in patterns]

    def rules_answer(self, row: int, lang: Language) -> RulesAnswer:
        """The rules' side of the lead in a row."""
        rating = self.rating
        reasons, triggers, exclusions = self.wordings[lang].rules_reasons(rating.matches[row].tolist())
        return RulesAnswer(
            version=self.card.version,
            score=int(rating.score[row]),
            stage=STAGES[rating.stage[row]],
            points=int(rating.points[row]),
            fit=int(rating.fit[row]),
            intent=int(rating.intent[row]),
            reasons=reasons,
            triggers=triggers,
            exclusions=exclusions,
        )

    def _out_of_range(self) -> Sequence[tuple[str, ...]]:
        if self.calibrated_model is None or self.encoded is None or not self.cautions["out_of_range"].any():
            return [()] * len(self)
        return self.calibrated_model.training_range.features_out_of_range(self.encoded.matrix)

    def _action_answers(self, words: Wording, now: int) -> list[ActionAnswer]:
        actions, as_of = self.actions, now if self.as_of is None else self.as_of
        keys = list(
            zip(actions.action.tolist(), actions.prompt.tolist(), actions.deadline.tolist(), strict=True)
        )
        answers = {
            (code, prompt, deadline): ActionAnswer(
                **words.actions[code, prompt]._asdict(),
                deadline=None if deadline == NEVER else iso(deadline),
                overdue=deadline < as_of,
            )
            for code, prompt, deadline in set(keys)
        }
        return [answers[key] for key in keys]


def _closed_answer(status: SalesStatus | None) -> ClosedAnswer | None:
    if status is None or status.outcome is None:
        return None
    return ClosedAnswer(status.outcome, iso(status.closed_at))


def _person_answer(override: Override | None) -> PersonAnswer | None:
    if override is None:
        return None
    expires = None if override.expires == NEVER else iso(override.expires)
    return PersonAnswer(override.verdict, override.reason, override.by, expires)


def _names_that_hold(flags: Mapping[str, Bools]) -> list[tuple[str, ...]]:
    """For each lead, the names whose flag is set."""
    rows = zip(*(flag.tolist() for flag in flags.values()), strict=True)
    return [tuple(compress(flags, row)) for row in rows]


def _take_rows(columns: _Columns, rows: slice) -> _Columns:
    return replace(columns, **{f.name: getattr(columns, f.name)[rows] for f in fields(columns)})
