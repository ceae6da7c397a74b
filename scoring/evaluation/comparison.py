"""Model against rules on the newest closed deals, from the evidence table alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from features.clock import iso
from features.columns import Bools, Floats, Ints, Texts
from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.decision import Codes, Decision, ModelSide, decide
from scoring.decision.reasons import strongest
from scoring.decision.score import Told
from scoring.model.evidence import MODEL, Evidence
from scoring.model.model import sigmoid
from scoring.scorecard.rating import Rating, rate
from scoring.scorecard.scale import BANDS, Scale, bands_of
from scoring.scorecard.scorecard import HOT, STAGES, Scorecard
from scoring.statistics.paired_differences import Difference, differences, volume
from scoring.statistics.rates import Rate, Rates
from scoring.to_json import plain

SIDES = ("model", "rules", "decision")
_LEAST, _MOST_VALUES, _MOST_DISPUTES, _PART_DRAWS = 50, 8, 20, 100


@dataclass(frozen=True)
class Part:
    """Model against rules on some of the leads: of one segment, or of one month."""

    name: str
    value: str
    all: Rate
    differences: Mapping[str, Difference]


@dataclass(frozen=True)
class Dispute:
    """A closed deal on which model and rules disagree, at the moment when they did so most.

    `lead` is its hashed id; `model_reasons` is None where they were not kept.
    """

    lead: str
    moment: int
    row: int
    won: bool
    amount: float
    probability: float
    model_score: int
    rules_score: int
    model_stage: int
    rules_stage: int


@dataclass(frozen=True)
class Compared:
    """What both sides say of the evidence, and what became of it. Scores are as of each moment."""

    evidence: Evidence
    card: Scorecard
    rating: Rating
    model: ModelSide
    decision: Decision

    @staticmethod
    def of(evidence: Evidence, card: Scorecard, scale: Scale) -> Compared:
        """Both sides under a card; `scale` is the model's (see `thresholds`)."""
        rating = rate(card, evidence.features)
        model = ModelSide.of(sigmoid(evidence.scores[MODEL]), scale)
        return Compared(evidence, card, rating, model, decide(rating, model))

    @cached_property
    def rates(self) -> Rates:
        return Rates(self.evidence.won, self.evidence.group)

    @cached_property
    def called(self) -> Bools:
        """The leads that the rules call hot: they set the volume."""
        return np.asarray(self.rating.stage == HOT)

    @cached_property
    def all(self) -> Rate:
        return self.rates.rate(np.ones(len(self.evidence), dtype=np.bool_))

    @property
    def leads(self) -> tuple[int, int]:
        """How many different leads there are, and how many of them were won."""
        lead = self.evidence.lead
        return len(set(lead.tolist())), len(set(lead[self.evidence.won].tolist()))

    @cached_property
    def differences(self) -> Mapping[str, Difference]:
        """Model less rules, over all."""
        return differences(self.evidence.judged, self.evidence.scores[MODEL], self.rating.rank, self.called)

    @cached_property
    def stages(self) -> dict[str, list[Rate]]:
        """By side, the win rate of each stage."""
        return {
            side: [self.rates.rate(stage == code) for code in range(len(STAGES))]
            for side, (_, stage) in self._sides.items()
        }

    @cached_property
    def agreement(self) -> list[list[Rate]]:
        """Rows: the rules' stage, columns: the model's."""
        rules, model = self.rating.stage, self.model.stage
        codes = range(len(STAGES))
        return [[self.rates.rate((rules == r) & (model == m)) for m in codes] for r in codes]

    @cached_property
    def bands(self) -> dict[str, list[Rate]]:
        """By side, the win rate of each band of ten points."""
        told = {}
        for side, (score, _) in self._sides.items():
            told[side] = [self.rates.rate(bands_of(score) == band) for band in range(BANDS)]
        return told

    @cached_property
    def segments(self) -> list[Part]:
        """By segment and value, the commonest values first."""
        return [
            part for name, column in self.evidence.segments.items() for part in self._values(name, column)
        ]

    @cached_property
    def months(self) -> list[Part]:
        """By month of the moment; empty where moments have no dates."""
        if not self.evidence.dated:
            return []
        month = np.array([iso(int(at))[:7] for at in self.evidence.moment])
        return [p for m in np.unique(month) if (p := self._part("month", str(m), month == m))]

    @cached_property
    def disputes(self) -> list[Dispute]:
        """The leads of different stages on which the sides' scores lie furthest apart, each once."""
        apart = np.abs(self.model.score - self.rating.score)
        differ = np.flatnonzero(self.model.stage != self.rating.stage)
        told: dict[str, Dispute] = {}
        for row in differ[np.argsort(-apart[differ], kind="stable")]:
            lead = str(self.evidence.lead[row])
            if lead not in told:
                told[lead] = self._dispute(int(row))
            if len(told) == _MOST_DISPUTES:
                break
        return list(told.values())

    def model_reasons(self, row: int, table: FeatureTable, lang: Language) -> list[Told]:
        """Why the model said so; empty where its reasons were not kept for this row."""
        names = list(self.evidence.reasons)
        told = np.array([self.evidence.reasons[name][row] for name in names], dtype=np.float64)
        if not len(told) or np.isnan(told).any():
            return []
        values = [self._value(name, row) for name in names]
        return [
            Told(r.feature, r.text(table, lang), round(r.contribution, 4))
            for r in strongest(names, values, told)
        ]

    def rules_reasons(self, row: int, lang: Language) -> list[Told]:
        """Why the rules said so: exclusions, triggers, and the rows that hold."""
        card, at = self.card, self.rating
        groups = ((card.exclusions, at.exclusions), (card.triggers, at.triggers), (card.rows, at.fired))
        return [
            Told(name, rule.because.text(lang), float(getattr(rule, "points", 0)))
            for rules, fired in groups
            for (name, rule), holds in zip(rules.items(), fired[row], strict=True)
            if holds
        ]

    def plain(self, table: FeatureTable, lang: Language) -> dict[str, Any]:
        """All figures as JSON can hold them; in `differences` new is the model, old the rules."""
        told = {
            "leads": self.leads[0],
            "won_leads": self.leads[1],
            "all": self.all,
            "better": self.differences["win_rate"].better,
            "volume": volume(self.called),
            "differences": self.differences,
            "stages": self.stages,
            "agreement": self.agreement,
            "bands": self.bands,
            "segments": self.segments,
            "months": self.months,
            "disputes": [
                plain(d)
                | {
                    "model_reasons": self.model_reasons(d.row, table, lang),
                    "rules_reasons": self.rules_reasons(d.row, lang),
                }
                for d in self.disputes
            ],
        }
        return {name: plain(value) for name, value in told.items()}

    @property
    def _sides(self) -> dict[str, tuple[Ints, Codes]]:
        """Score and stage by side, and by the decision that is made of both."""
        model, rating, decision = self.model, self.rating, self.decision
        told = ((model.score, model.stage), (rating.score, rating.stage), (decision.score, decision.stage))
        return dict(zip(SIDES, told, strict=True))

    def _values(self, name: str, column: Texts) -> Iterator[Part]:
        count = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
        for code in np.argsort(-count, kind="stable")[:_MOST_VALUES]:
            part = self._part(name, column.categories[code], column.codes == code)
            if part is not None:
                yield part

    def _part(self, name: str, value: str, where: Bools) -> Part | None:
        """None where there are too few to tell."""
        if where.sum() < _LEAST or not self.evidence.won[where].any():
            return None
        at = self.evidence
        told = differences(
            at.judged.take(where),
            at.scores[MODEL][where],
            self.rating.rank[where],
            self.called[where],
            _PART_DRAWS,
        )
        return Part(name, value, self.rates.rate(where), told)

    def _dispute(self, row: int) -> Dispute:
        evidence = self.evidence
        return Dispute(
            str(evidence.lead[row]),
            int(evidence.moment[row]),
            row,
            bool(evidence.won[row]),
            float(evidence.amount[row]),
            float(self.model.probability[row]),
            int(self.model.score[row]),
            int(self.rating.score[row]),
            int(self.model.stage[row]),
            int(self.rating.stage[row]),
        )

    def _value(self, name: str, row: int) -> float | str | None:
        column = self.evidence.features[name]
        if isinstance(column, Texts):
            return column.take(np.array([row])).plain()[0]
        value: Floats = column
        return float(value[row])
