"""The one function that scores leads: features in, model and rules, decision, answers out.

`hotlead score`, the comparison and the service all go this way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.columns import Bools, Column, MadeColumns, texts
from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.actions import actions
from scoring.decision.batch_scores import Answers, Fallback
from scoring.decision.decision import ModelSide, decide
from scoring.decision.overrides import Override
from scoring.decision.sales_status import Standing
from scoring.decision.score import Told
from scoring.decision.wording import Wording
from scoring.model.calibrated_model import Judge
from scoring.model.model import Encoded, Explanation, sigmoid
from scoring.scorecard.rating import OneRater, Rating, rate
from scoring.scorecard.scorecard import Scorecard

__all__ = ["Answers", "Fallback", "Judge", "Scorer"]

Value = float | str | None
_Encode = Callable[[Judge, Rating | None], Encoded]


@dataclass(frozen=True)
class Scorer:
    """A scorecard and, where there is one, a model: all that a score needs.

    `table` names the features, with the words for reasons; `fallback` says why there is no model.
    """

    card: Scorecard
    table: FeatureTable
    judge: Judge | None
    fallback: Fallback | None = "no_model"

    @property
    def versions(self) -> tuple[str | None, str]:
        """Of the model (None: there is none) and of the card: what differs where either changes."""
        return None if self.judge is None else self.judge.model.version, self.card.version

    def answers(
        self,
        lead_ids: Sequence[str],
        columns: Mapping[str, Column],
        as_of: int | None,
        known: Mapping[str, Bools],
        overrides: Mapping[str, Override] | None = None,
        explain: bool = False,
        standings: Mapping[str, Standing] | None = None,
    ) -> Answers:
        """Score leads by their feature values. `as_of` in ms UTC (None: no dates); `known` says by
        role (budget, authority, need, timing) of which leads the CRM has an answer. `explain`: the
        model's reasons will be asked for, so its log-odds are the sum of them."""

        def encode(judge: Judge, rating: Rating | None) -> Encoded:
            return judge.model.encode(columns, rating)

        said = None if not overrides else [overrides.get(lead_id) for lead_id in lead_ids]
        stands = None if not standings else [standings.get(lead_id) for lead_id in lead_ids]
        rating = rate(self.card, columns)
        return self._answers(lead_ids, columns, rating, encode, as_of, known, said, explain, stands)

    def one(
        self,
        lead_id: str,
        values: Sequence[Value],
        as_of: int | None,
        known: Mapping[str, bool],
        override: Override | None = None,
        explain: bool = False,
        standing: Standing | None = None,
    ) -> Answers:
        """Score one lead by its feature values in the order of `table`: as `answers` does, and cheaper."""
        named = dict(zip(self.table.names, values, strict=True))

        def encode(judge: Judge, rating: Rating | None) -> Encoded:
            return judge.model.encode_one([values[i] for i in self._places], rating)

        columns = MadeColumns(named, lambda name: self._column(name, named[name]))
        told = {role: np.array([answered]) for role, answered in known.items()}
        said = None if override is None else [override]
        stands = None if standing is None else [standing]
        rating = self._rater(named)
        return self._answers([lead_id], columns, rating, encode, as_of, told, said, explain, stands)

    def reasons(self, columns: Mapping[str, Column], lang: Language) -> list[tuple[Told, ...]]:
        """The strongest reasons of the model's score for each lead. Needs a model."""
        assert self.judge is not None
        model = self.judge.model
        told = model.explain(model.encode(columns))
        return self.wordings[lang].model_reasons(told.features, told.contributions, columns)

    @cached_property
    def wordings(self) -> dict[Language, Wording]:
        """What is said to people, by language."""
        languages: tuple[Language, ...] = ("en", "ja")
        return {lang: Wording(self.card, self.table, lang) for lang in languages}

    def _answers(
        self,
        lead_ids: Sequence[str],
        columns: Mapping[str, Column],
        rating: Rating,
        encode: _Encode,
        as_of: int | None,
        known: Mapping[str, Bools],
        said: Sequence[Override | None] | None,
        explain: bool,
        standings: Sequence[Standing | None] | None,
    ) -> Answers:
        encoded, model, fallback, explained = self._model(rating, encode, explain)
        decision = decide(rating, model, said)
        return Answers(
            self.card,
            self.wordings,
            lead_ids,
            columns,
            rating,
            self.judge,
            encoded,
            model,
            fallback,
            decision,
            actions(self.card, decision, columns, as_of, standings),
            said,
            known,
            as_of,
            explained,
            standings,
        )

    def _model(
        self, rating: Rating, encode: _Encode, explain: bool
    ) -> tuple[Encoded | None, ModelSide | None, Fallback | None, Explanation | None]:
        if self.judge is None:
            return None, None, self.fallback, None
        model = self.judge.model
        try:
            leads = encode(self.judge, rating if self._same_card else None)
            explained = model.explain(leads) if explain else None
            probability = sigmoid(explained.log_odds if explained else model.log_odds(leads))
        except MemoryError:  # passes, and would leave the list half by the model, half by the rules
            raise
        except Exception:  # whatever it is: the rules answer, and the answer says so
            return None, None, "model_error", None
        if not np.isfinite(probability).all():
            return None, None, "model_error", None
        return leads, ModelSide.of(probability, self.judge.scale), None, explained

    @cached_property
    def _same_card(self) -> bool:
        """Whether the model was trained with the card of the day, so that one rating serves both."""
        return self.judge is not None and self.judge.model.card.version == self.card.version

    @cached_property
    def _rater(self) -> OneRater:
        return OneRater(self.card)

    @cached_property
    def _places(self) -> list[int]:
        """Where the model's features stand in `table`."""
        place = {name: i for i, name in enumerate(self.table.names)}
        return [place[name] for name in self.judge.model.table.names] if self.judge else []

    def _column(self, name: str, value: Value) -> Column:
        """The column of one lead."""
        if name in self.table.texts:
            return texts([value])  # type: ignore[list-item]
        return np.array([math.nan if value is None else value], dtype=np.float64)
