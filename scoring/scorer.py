"""The one function that scores leads: features in, model and rules, decision, Score out.

`hotlead score`, the comparison and the service all go this way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from features.clock import NEVER, iso
from features.columns import Bools, Column, Floats, Ints, Texts, take
from features.kinds import Language
from features.table import FeatureTable
from scoring.actions import Actions, action_of, actions
from scoring.cautions import CAUTIONS, out_of_range, too_little_known
from scoring.decision import DECIDERS, HAND_OVERS, Decision, ModelSide, decide
from scoring.evidence import MODEL, Evidence
from scoring.model import Model, sigmoid
from scoring.overrides import Override
from scoring.rating import Rating, rate
from scoring.reasons import strongest
from scoring.scale import Scale
from scoring.score import BANT, ActionAnswer, ModelAnswer, PersonAnswer, RulesAnswer, Score, Told
from scoring.scorecard import STAGES, Rule, Scorecard
from scoring.thresholds import thresholds

Fallback: TypeAlias = Literal["no_model", "model_error", "feature_mismatch", "bundle_damaged"]


@dataclass(frozen=True)
class Judge:
    """A model with what its evidence says of its scores under a card: the scale, and for stretches of
    the probability how many leads there were and how many of them were won.

    `edges` part the stretches: tenths of the evidence, finer at the top.
    """

    model: Model
    scale: Scale
    edges: Floats
    leads: Ints
    won: Ints

    @staticmethod
    def of(model: Model, evidence: Evidence, card: Scorecard) -> Judge:
        """The thresholds and counts under `card`. Raises SettingsError where its policy cannot be met."""
        evidence.check_some()
        scale = thresholds(card.thresholds, evidence, rate(card, evidence.features), model.about)
        probability = sigmoid(evidence.scores[MODEL])
        edges = np.quantile(probability, _ALIKE)
        leads, won = leads_by_stretch(evidence, np.searchsorted(edges, probability, side="right"))
        return Judge(model, scale, edges, leads, won)

    def alike(self, probability: Floats) -> tuple[Ints, Ints]:
        """Of how many leads that were scored like each of these, how many were won."""
        at = np.searchsorted(self.edges, probability, side="right")
        return self.leads[at], self.won[at]


_ALIKE = (*np.linspace(0.1, 0.9, 9), 0.95, 0.98, 0.99, 0.995)
"""The shares of the evidence at which the stretches of like scores end."""


def leads_by_stretch(evidence: Evidence, stretch: Ints) -> tuple[Ints, Ints]:
    """How many different leads were in each stretch at some moment, and how many of them were won."""
    count = len(_ALIKE) + 1
    lead = np.unique(evidence.lead.astype(str), return_inverse=True)[1]
    there, won = (
        np.unique(lead * count + stretch),
        np.unique((lead * count + stretch)[evidence.won]),
    )
    return np.bincount(there % count, minlength=count), np.bincount(won % count, minlength=count)


@dataclass(frozen=True)
class Scorer:
    """A scorecard and, where there is one, a model: all that a score needs.

    `table` names the features, with the words for reasons; `fallback` says why there is no model.
    """

    card: Scorecard
    table: FeatureTable
    judge: Judge | None
    fallback: Fallback | None = "no_model"

    def answers(
        self, lead_ids: Sequence[str], columns: Mapping[str, Column], as_of: int | None,
        known: Mapping[str, Bools], overrides: Mapping[str, Override] | None = None,
    ) -> Answers:  # fmt: skip
        """Score leads by their feature values. `as_of` in ms UTC (None: no dates); `known` says by
        role (budget, authority, need, timing) of which leads the CRM has an answer."""
        rating = rate(self.card, columns)
        model, fallback, matrix = self._model(columns)
        mine = None if not overrides else [overrides.get(i) for i in lead_ids]
        decision = decide(rating, model, mine)
        return Answers(
            self, lead_ids, columns, matrix, rating, model, fallback, decision,
            actions(self.card, decision, columns, as_of), mine, known, as_of,
        )  # fmt: skip

    def reasons(self, columns: Mapping[str, Column], lang: Language) -> list[tuple[Told, ...]]:
        """The strongest reasons of the model's score for each lead. Needs a model."""
        assert self.judge is not None
        model, names = self.judge.model, self.judge.model.table.names
        values = [_plain(columns[name]) for name in names]
        told = []
        for row, contributions in enumerate(model.explain(model.encode(columns)).contributions):
            reasons = strongest(names, [v[row] for v in values], contributions)
            told.append(tuple(
                Told(r.feature, r.text(self.table, lang), round(r.contribution, 4), _known(r.value))
                for r in reasons
            ))  # fmt: skip
        return told

    def _model(
        self, columns: Mapping[str, Column]
    ) -> tuple[ModelSide | None, Fallback | None, Floats | None]:
        if self.judge is None:
            return None, self.fallback, None
        model = self.judge.model
        try:
            leads = model.encode(columns)
            probability = sigmoid(model.log_odds(leads))
        except MemoryError:  # passes, and would leave the list half by the model, half by the rules
            raise
        except Exception:  # whatever it is: the rules answer, and the answer says so
            return None, "model_error", None
        if not np.isfinite(probability).all():
            return None, "model_error", None
        return ModelSide.of(probability, self.judge.scale), None, leads.matrix


@dataclass(frozen=True)
class Answers:
    """The answers for n leads as columns; `score` writes one of them out."""

    scorer: Scorer
    lead_ids: Sequence[str]
    columns: Mapping[str, Column]
    matrix: Floats | None
    rating: Rating
    model: ModelSide | None
    fallback: Fallback | None
    decision: Decision
    actions: Actions
    overrides: Sequence[Override | None] | None
    known: Mapping[str, Bools]
    as_of: int | None

    def __len__(self) -> int:
        return len(self.rating)

    @cached_property
    def cautions(self) -> dict[str, Bools]:
        """By caution, the leads that it holds for; none where the model does not answer."""
        if self.scorer.judge is None or self.matrix is None:
            return {}
        looks = zip(CAUTIONS, (too_little_known, out_of_range), strict=True)
        return {name: look(self.scorer.judge.model, self.matrix) for name, look in looks}

    @cached_property
    def alike(self) -> tuple[Ints, Ints] | None:
        """Of how many leads that were scored like each one how many were won; None without a model."""
        if self.model is None or self.scorer.judge is None:
            return None
        return self.scorer.judge.alike(self.model.probability)

    def score(
        self, row: int, lang: Language, scored_at: int, explain: bool = True,
        request_id: str | None = None,
    ) -> Score:  # fmt: skip
        """The Score of one of the leads; `explain`: with the model's reasons."""
        decision, as_of = self.decision, None if self.as_of is None else iso(self.as_of)
        return Score(
            lead_id=self.lead_ids[row],
            score=int(decision.score[row]),
            stage=STAGES[decision.stage[row]],  # type: ignore[arg-type]
            decided_by=DECIDERS[decision.decided_by[row]],
            fallback=self.fallback,
            cautions=tuple(name for name, holds in self.cautions.items() if holds[row]),
            model=self._model_answer(row, lang, explain),
            rules=self.rules_answer(row, lang),
            person=self._person(row),
            action=self._action(row, lang, scored_at),
            hand_over=HAND_OVERS[decision.hand_over[row]],
            unknown=self.unknown(row),
            as_of=as_of,
            scored_at=iso(scored_at),
            request_id=request_id,
        )

    def unknown(self, row: int) -> tuple[str, ...]:
        """Which of budget, authority, need and timing the CRM has no answer to yet."""
        return tuple(role for role in BANT if role in self.known and not self.known[role][row])

    def _model_answer(self, row: int, lang: Language, explain: bool) -> ModelAnswer | None:
        judge = self.scorer.judge
        if self.model is None or judge is None or self.alike is None:
            return None
        return ModelAnswer(
            version=judge.model.version,
            score=int(self.model.score[row]),
            stage=STAGES[self.model.stage[row]],  # type: ignore[arg-type]
            probability=float(self.model.probability[row]),
            alike=int(self.alike[0][row]),
            alike_won=int(self.alike[1][row]),
            reasons=self._model_reasons(row, lang) if explain else None,
        )

    def _model_reasons(self, row: int, lang: Language) -> tuple[Told, ...]:
        one = {name: take(column, np.array([row])) for name, column in self.columns.items()}
        return self.scorer.reasons(one, lang)[0]

    def rules_answer(self, row: int, lang: Language) -> RulesAnswer:
        """The rules' side of one of the leads."""
        rating, card = self.rating, self.scorer.card
        return RulesAnswer(
            version=card.version,
            score=int(rating.score[row]),
            stage=STAGES[rating.stage[row]],  # type: ignore[arg-type]
            points=int(rating.points[row]),
            fit=int(rating.fit[row]),
            intent=int(rating.intent[row]),
            reasons=self.rules_reasons(row, lang),
            triggers=_told(card.triggers, rating.triggers[row], lang),
            exclusions=_told(card.exclusions, rating.exclusions[row], lang),
        )

    def rules_reasons(self, row: int, lang: Language) -> tuple[Told, ...]:
        """The card's rows that hold for a lead, most points first."""
        told = _told(self.scorer.card.rows, self.rating.fired[row], lang)
        return tuple(sorted(told, key=lambda reason: -abs(reason.weight)))

    def _person(self, row: int) -> PersonAnswer | None:
        said = None if self.overrides is None else self.overrides[row]
        if said is None:
            return None
        expires = None if said.expires == NEVER else iso(said.expires)
        return PersonAnswer(said.verdict, said.reason, said.by, expires)

    def _action(self, row: int, lang: Language, now: int) -> ActionAnswer:
        card, told = self.scorer.card, self.actions
        action, deadline = action_of(card, int(told.action[row])), int(told.deadline[row])
        return ActionAnswer(
            kind=action.kind,
            owner=action.owner,
            text=self.action_text(row, lang),
            content=None if action.content is None else action.content.text(lang),
            deadline=None if deadline == NEVER else iso(deadline),
            overdue=deadline < (now if self.as_of is None else self.as_of),
            prompt=None if told.prompt[row] < 0 else list(card.prompts)[told.prompt[row]],
        )

    def action_text(self, row: int, lang: Language) -> str:
        """What to do: the answer that waits, if any, then the stage's action."""
        card, told = self.scorer.card, self.actions
        texts = [action_of(card, int(told.action[row])).text]
        if told.prompt[row] >= 0:
            texts.insert(0, list(card.prompts.values())[told.prompt[row]].text)
        return ("" if lang == "ja" else " ").join(text.text(lang) for text in texts)


def _told(rules: Mapping[str, Rule], fired: Bools, lang: Language) -> tuple[Told, ...]:
    return tuple(
        Told(name, rule.because.text(lang), float(getattr(rule, "points", 0)))
        for (name, rule), holds in zip(rules.items(), fired, strict=True)
        if holds
    )


def _plain(column: Column) -> list[float | str | None]:
    return list(column.plain()) if isinstance(column, Texts) else column.tolist()


def _known(value: float | str | None) -> float | str | None:
    """None for a missing number: JSON has no nan."""
    return None if value != value else value
