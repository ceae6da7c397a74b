"""The scorer: from feature values through model, rules and decision to answers.

`hotlead score`, the comparison and the service all score through it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.columns import Bools, Column, Floats, LazyColumns, encode_texts
from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.actions import choose_actions
from scoring.decision.batch_scores import BatchScores
from scoring.decision.decision import ModelSide, decide
from scoring.decision.overrides import Override
from scoring.decision.sales_status import SalesStatus
from scoring.decision.score import Fallback, Reason
from scoring.decision.wording import Wording
from scoring.model.calibrated_model import CalibratedModel
from scoring.model.model import Encoded, Explanation, sigmoid
from scoring.scorecard.rating import OneRater, Rating, rate
from scoring.scorecard.scorecard import Scorecard

__all__ = ["BatchScores", "CalibratedModel", "Fallback", "Scorer"]

LeadValue = float | str | None
_Encode = Callable[[CalibratedModel, Rating | None], Encoded]


@dataclass(frozen=True)
class Scorer:
    """A scorecard and optionally a model: everything that a score needs.

    `table` names the features, with the words for reasons; `fallback` is the cause of a missing model.
    """

    card: Scorecard
    table: FeatureTable
    calibrated_model: CalibratedModel | None
    fallback: Fallback | None = "no_model"

    @property
    def versions(self) -> tuple[str | None, str]:
        """The versions of the model (None: no model) and of the card; they change if either changes."""
        calibrated = self.calibrated_model
        return None if calibrated is None else calibrated.model.version, self.card.version

    def score_batch(
        self,
        lead_ids: Sequence[str],
        columns: Mapping[str, Column],
        as_of: int | None,
        answered_roles: Mapping[str, Bools],
        overrides: Mapping[str, Override] | None = None,
        explain: bool = False,
        sales_statuses: Mapping[str, SalesStatus] | None = None,
        amounts: Floats | None = None,
    ) -> BatchScores:
        """Score leads by their feature values.

        `as_of` is ms UTC (None: no dates). `answered_roles` has by role (budget, authority, need,
        timing) a mask of the leads whose answer the CRM holds. `amounts` are what the open deals are
        expected to bring (nan: unknown). With `explain` the log-odds are summed
        from the model's reasons, which are needed later anyway.
        """

        def encode(calibrated_model: CalibratedModel, rating: Rating | None) -> Encoded:
            return calibrated_model.model.encode(columns, rating)

        return self._score(
            lead_ids=lead_ids,
            columns=columns,
            rating=rate(self.card, columns),
            encode=encode,
            as_of=as_of,
            answered_roles=answered_roles,
            overrides=[overrides.get(lead_id) for lead_id in lead_ids] if overrides else None,
            explain=explain,
            sales_statuses=[sales_statuses.get(lead) for lead in lead_ids] if sales_statuses else None,
            amounts=amounts,
        )

    def score_one(
        self,
        lead_id: str,
        values: Sequence[LeadValue],
        as_of: int | None,
        answered_roles: Mapping[str, bool],
        override: Override | None = None,
        explain: bool = False,
        sales_status: SalesStatus | None = None,
        amount: float | None = None,
    ) -> BatchScores:
        """Score one lead by its feature values in the order of `table`; faster than `score_batch`."""
        named = dict(zip(self.table.names, values, strict=True))

        def encode(calibrated_model: CalibratedModel, rating: Rating | None) -> Encoded:
            return calibrated_model.model.encode_one([values[i] for i in self._places], rating)

        return self._score(
            lead_ids=[lead_id],
            columns=LazyColumns(named, lambda name: self._column(name, named[name])),
            rating=self._rater(named),
            encode=encode,
            as_of=as_of,
            answered_roles={role: np.array([answered]) for role, answered in answered_roles.items()},
            overrides=None if override is None else [override],
            explain=explain,
            sales_statuses=None if sales_status is None else [sales_status],
            amounts=None if amount is None else np.array([amount], dtype=np.float64),
        )

    def model_reasons(self, columns: Mapping[str, Column], lang: Language) -> list[tuple[Reason, ...]]:
        """The strongest reasons of the model's score of each lead. Needs a model."""
        assert self.calibrated_model is not None
        model = self.calibrated_model.model
        explanation = model.explain(model.encode(columns))
        return self.wordings[lang].model_reasons(explanation.features, explanation.contributions, columns)

    @cached_property
    def wordings(self) -> dict[Language, Wording]:
        languages: tuple[Language, ...] = ("en", "ja")
        return {lang: Wording(self.card, self.table, lang) for lang in languages}

    def _score(
        self,
        *,
        lead_ids: Sequence[str],
        columns: Mapping[str, Column],
        rating: Rating,
        encode: _Encode,
        as_of: int | None,
        answered_roles: Mapping[str, Bools],
        overrides: Sequence[Override | None] | None,
        explain: bool,
        sales_statuses: Sequence[SalesStatus | None] | None,
        amounts: Floats | None,
    ) -> BatchScores:
        encoded = model = explained = None
        fallback = self.fallback
        if self.calibrated_model is not None:
            encoded, model, fallback, explained = self._run_model(
                self.calibrated_model, rating, encode, explain
            )
        decision = decide(rating, model, overrides)
        return BatchScores(
            card=self.card,
            wordings=self.wordings,
            lead_ids=lead_ids,
            columns=columns,
            rating=rating,
            calibrated_model=self.calibrated_model,
            encoded=encoded,
            model=model,
            fallback=fallback,
            decision=decision,
            actions=choose_actions(self.card, decision, columns, as_of, sales_statuses),
            overrides=overrides,
            answered_roles=answered_roles,
            as_of=as_of,
            explained=explained,
            sales_statuses=sales_statuses,
            amounts=amounts,
        )

    def _run_model(
        self, calibrated_model: CalibratedModel, rating: Rating, encode: _Encode, explain: bool
    ) -> tuple[Encoded | None, ModelSide | None, Fallback | None, Explanation | None]:
        model = calibrated_model.model
        try:
            leads = encode(calibrated_model, rating if self._same_card else None)
            explained = model.explain(leads) if explain else None
            probability = sigmoid(explained.log_odds if explained else model.log_odds(leads))
        except MemoryError:  # temporary; going on would score half a list by the model, half by the rules
            raise
        except Exception:  # of any kind: the rules answer, and the answer names the fallback
            return None, None, "model_error", None
        if not np.isfinite(probability).all():
            return None, None, "model_error", None
        return leads, ModelSide.from_probability(probability, calibrated_model.scale), None, explained

    @cached_property
    def _same_card(self) -> bool:
        """Whether the model was trained with the present card, so that one rating serves both."""
        calibrated = self.calibrated_model
        return calibrated is not None and calibrated.model.card.version == self.card.version

    @cached_property
    def _rater(self) -> OneRater:
        return OneRater(self.card)

    @cached_property
    def _places(self) -> list[int]:
        place = {name: i for i, name in enumerate(self.table.names)}
        assert self.calibrated_model is not None  # its leads are encoded by these places
        return [place[name] for name in self.calibrated_model.model.table.names]

    def _column(self, name: str, value: LeadValue) -> Column:
        if name in self.table.texts:
            return encode_texts([value])  # type: ignore[list-item]
        return np.array([math.nan if value is None else value], dtype=np.float64)
