"""The answers on many leads as columns, and the Scores that are written from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import compress
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.clock import NEVER, iso
from features.columns import Bools, Column, Ints, MadeColumns, take
from features.kinds import Language
from scoring.decision.actions import Actions
from scoring.decision.decision import DECIDERS, HAND_OVERS, Decision, ModelSide
from scoring.decision.overrides import Override
from scoring.decision.sales_status import Standing
from scoring.decision.score import (
    BANT,
    ActionAnswer,
    ClosedAnswer,
    Explain,
    ModelAnswer,
    PersonAnswer,
    RulesAnswer,
    Score,
    Told,
)
from scoring.decision.wording import Wording
from scoring.model.calibrated_model import Judge
from scoring.model.model import Encoded, Explanation
from scoring.scorecard.rating import Rating
from scoring.scorecard.scorecard import STAGES, Scorecard

Fallback: TypeAlias = Literal["no_model", "model_error", "feature_mismatch", "bundle_damaged"]
_Columns = TypeVar("_Columns", ModelSide, Decision, Actions)


@dataclass(frozen=True)
class Answers:
    """The answers for n leads. `judge`, `encoded` and `model` are None where the model does not answer."""

    card: Scorecard
    wordings: Mapping[Language, Wording]
    lead_ids: Sequence[str]
    columns: Mapping[str, Column]
    rating: Rating
    judge: Judge | None
    encoded: Encoded | None
    model: ModelSide | None
    fallback: Fallback | None
    decision: Decision
    actions: Actions
    overrides: Sequence[Override | None] | None
    known: Mapping[str, Bools]
    as_of: int | None
    explained: Explanation | None = None
    standings: Sequence[Standing | None] | None = None

    def __len__(self) -> int:
        return len(self.rating)

    @cached_property
    def cautions(self) -> dict[str, Bools]:
        """By caution, the leads that it holds for; none where the model does not answer."""
        if self.judge is None or self.encoded is None:
            return {}
        return self.judge.seen.cautions(self.encoded.matrix)

    @cached_property
    def alike(self) -> tuple[Ints, Ints] | None:
        """Of how many leads that were scored like each one how many were won; None without a model."""
        if self.judge is None or self.model is None:
            return None
        return self.judge.alike(self.model.probability)

    @cached_property
    def explanation(self) -> Explanation | None:
        """Why the model said so, of all leads; None without a model."""
        if self.explained is not None:
            return self.explained
        if self.judge is None or self.encoded is None:
            return None
        return self.judge.model.explain(self.encoded)

    def scores(
        self,
        lang: Language,
        scored_at: int,
        explain: Explain = "none",
        request_id: str | None = None,
    ) -> list[Score]:
        """The Scores of all leads. `explain` says which of the model's reasons they hold; `scored_at`
        is ms UTC."""
        words, decision, count = self.wordings[lang], self.decision, len(self)
        as_of, at = None if self.as_of is None else iso(self.as_of), iso(scored_at)
        told = zip(
            self.lead_ids,
            decision.score.tolist(),
            _words(STAGES, decision.stage),
            _words(DECIDERS, decision.decided_by),
            _named(self.cautions, count),
            self._model_answers(words, explain),
            self._rules_answers(words),
            self._persons(),
            self._action_answers(words, scored_at),
            _words(HAND_OVERS, decision.hand_over),
            _named({role: ~self.known[role] for role in BANT if role in self.known}, count),
            self._closed(),
            self._out_of_range(),
            strict=True,
        )
        return [
            Score(
                lead,
                score,
                stage,
                by,
                self.fallback,
                cautions,
                model,
                rules,
                person,
                action,
                hand_over,
                unknown,
                as_of,
                at,
                request_id,
                closed,
                outside,
            )
            for (
                lead,
                score,
                stage,
                by,
                cautions,
                model,
                rules,
                person,
                action,
                hand_over,
                unknown,
                closed,
                outside,
            ) in told
        ]

    def score(
        self,
        row: int,
        lang: Language,
        scored_at: int,
        explain: Explain = "top",
        request_id: str | None = None,
    ) -> Score:
        """The Score of one of the leads; see `scores`."""
        return self.at(row).scores(lang, scored_at, explain, request_id)[0]

    def at(self, row: int) -> Answers:
        """The answers on one of the leads alone."""
        rows, place = slice(row, row + 1), np.array([row])
        return replace(
            self,
            lead_ids=self.lead_ids[rows],
            columns=MadeColumns(self.columns, lambda name: take(self.columns[name], place)),
            rating=self.rating.take(rows),
            encoded=self.encoded and self.encoded.take(rows),
            model=self.model and _part(self.model, rows),
            decision=_part(self.decision, rows),
            actions=_part(self.actions, rows),
            overrides=self.overrides and self.overrides[rows],
            standings=self.standings and self.standings[rows],
            known={role: told[rows] for role, told in self.known.items()},
            explained=self.explained and self.explained.at(row),
        )

    def rules_answer(self, row: int, lang: Language) -> RulesAnswer:
        """The rules' side of one of the leads."""
        return self._rules_answer(row, self.wordings[lang])

    def action_text(self, row: int, lang: Language) -> str:
        """What to do with one of the leads."""
        key = int(self.actions.action[row]), int(self.actions.prompt[row])
        return self.wordings[lang].actions[key].text

    def _model_answers(self, words: Wording, explain: Explain) -> Sequence[ModelAnswer | None]:
        if self.judge is None or self.model is None or self.alike is None:
            return [None] * len(self)
        version, model = self.judge.model.version, self.model
        told = zip(
            model.score.tolist(),
            _words(STAGES, model.stage),
            model.probability.tolist(),
            self.alike[0].tolist(),
            self.alike[1].tolist(),
            self._model_reasons(words, explain),
            strict=True,
        )
        return [ModelAnswer(version, *each) for each in told]

    def _model_reasons(self, words: Wording, explain: Explain) -> Sequence[tuple[Told, ...] | None]:
        if explain == "none" or self.explanation is None:
            return [None] * len(self)
        told = self.explanation
        return words.model_reasons(told.features, told.contributions, self.columns, explain)

    def _rules_answers(self, words: Wording) -> list[RulesAnswer]:
        patterns = self.rating.patterns
        rows = {pattern: row for row, pattern in enumerate(patterns)}
        told = {pattern: self._rules_answer(row, words) for pattern, row in rows.items()}
        return [told[pattern] for pattern in patterns]

    def _rules_answer(self, row: int, words: Wording) -> RulesAnswer:
        rating = self.rating
        reasons, triggers, exclusions = words.rules_reasons(rating.held[row].tolist())
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

    def _persons(self) -> Sequence[PersonAnswer | None]:
        if self.overrides is None:
            return [None] * len(self)
        return [None if said is None else _person(said) for said in self.overrides]

    def _out_of_range(self) -> Sequence[tuple[str, ...]]:
        holds = self.cautions.get("out_of_range")
        if holds is None or self.judge is None or self.encoded is None or not holds.any():
            return [()] * len(self)
        return self.judge.seen.features_out_of_range(self.encoded.matrix)

    def _closed(self) -> Sequence[ClosedAnswer | None]:
        if self.standings is None:
            return [None] * len(self)
        return [
            None if told is None or told.closed is None else ClosedAnswer(told.closed, iso(told.closed_at))
            for told in self.standings
        ]

    def _action_answers(self, words: Wording, now: int) -> list[ActionAnswer]:
        told = self.actions
        keys = list(zip(told.action.tolist(), told.prompt.tolist(), told.deadline.tolist(), strict=True))
        at = now if self.as_of is None else self.as_of
        made = {key: _action(words, *key, at) for key in set(keys)}
        return [made[key] for key in keys]


def _action(words: Wording, code: int, prompt: int, deadline: int, at: int) -> ActionAnswer:
    said = words.actions[code, prompt]
    by = None if deadline == NEVER else iso(deadline)
    return ActionAnswer(said.kind, said.owner, said.text, said.content, by, deadline < at, said.prompt)


def _person(said: Override) -> PersonAnswer:
    expires = None if said.expires == NEVER else iso(said.expires)
    return PersonAnswer(said.verdict, said.reason, said.by, expires)


def _words(words: Sequence[Any], codes: NDArray[np.int8]) -> list[Any]:
    """The word of each code."""
    return [words[code] for code in codes.tolist()]


def _named(flags: Mapping[str, Bools], count: int) -> list[tuple[str, ...]]:
    """For each of `count` leads the names whose flag holds."""
    if not flags:
        return [()] * count
    rows = zip(*(flag.tolist() for flag in flags.values()), strict=True)
    return [tuple(compress(flags, held)) for held in rows]


def _part(columns: _Columns, rows: slice) -> _Columns:
    """Some of the leads."""
    return replace(columns, **{f.name: getattr(columns, f.name)[rows] for f in fields(columns)})
