"""Model against rules on the newest closed deals, from the evidence table alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np

from features.clock import iso
from features.columns import Bools, Floats, Ints, Texts
from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.decision import Codes, Decision, ModelSide, decide
from scoring.decision.reasons import Contribution, rank_contributions, rule_reasons
from scoring.decision.score import Reason
from scoring.evaluation.segments import SegmentQuality, frequent_values, measure_segments
from scoring.model.evidence import MODEL, POINTS, Evidence
from scoring.model.model import sigmoid
from scoring.scorecard.rating import Rating, rate
from scoring.scorecard.scale import BANDS, Scale, bands_of
from scoring.scorecard.scorecard import HOT, STAGES, Scorecard
from scoring.statistics.paired_differences import Difference, count_calls, differences
from scoring.statistics.rates import Rate, Rates
from scoring.to_json import to_jsonable

SIDES = ("model", "rules", "decision")
_MIN_LEADS, _MAX_DISPUTES, _PART_DRAWS = 50, 20, 100


@dataclass(frozen=True)
class SegmentComparison:
    """Model against rules on some of the leads: of one segment, or of one month."""

    name: str
    value: str
    all: Rate
    differences: Mapping[str, Difference]


@dataclass(frozen=True, kw_only=True)
class DisputedDeal:
    """A closed deal on which model and rules disagree, at the moment of their largest disagreement.

    `lead` is its pseudonym, `moment` ms UTC, `row` its row in the evidence; stages are codes.
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
class ModelVsRules:
    """Scores of both sides on the evidence, as of each row's moment, with the outcomes."""

    evidence: Evidence
    card: Scorecard
    rating: Rating
    model: ModelSide
    decision: Decision

    @staticmethod
    def from_evidence(evidence: Evidence, card: Scorecard, scale: Scale) -> ModelVsRules:
        """Both sides under a card; `scale` is the model's (see `find_thresholds`)."""
        rating = rate(card, evidence.features)
        model = ModelSide.from_probability(sigmoid(evidence.scores[MODEL]), scale)
        return ModelVsRules(evidence, card, rating, model, decide(rating, model))

    @cached_property
    def is_scorecard(self) -> bool:
        """Whether the measured model is this card with calibrated probabilities, in the same order."""
        return is_calibrated_scorecard(self.evidence, self.rating)

    @cached_property
    def rates(self) -> Rates:
        return Rates(self.evidence.won, self.evidence.group)

    @cached_property
    def called(self) -> Bools:
        """The leads that the rules call hot; their number is the volume of the comparison."""
        return np.asarray(self.rating.stage == HOT)

    @cached_property
    def all(self) -> Rate:
        return self.rates.rate(np.ones(len(self.evidence), dtype=np.bool_))

    @property
    def leads(self) -> tuple[int, int]:
        """The number of different leads, and of won ones."""
        lead = self.evidence.lead
        return len(set(lead.tolist())), len(set(lead[self.evidence.won].tolist()))

    @cached_property
    def differences(self) -> Mapping[str, Difference]:
        """Model less rules, over all rows."""
        return differences(self.evidence.judged, self.evidence.scores[MODEL], self.rating.rank, self.called)

    @cached_property
    def stages(self) -> dict[str, list[Rate]]:
        """By side, the win rate of each stage."""
        stages = {side: stage for side, (_, stage) in self._sides.items()}
        codes = range(len(STAGES))
        return {side: [self.rates.rate(stage == code) for code in codes] for side, stage in stages.items()}

    @cached_property
    def agreement(self) -> list[list[Rate]]:
        """Rows: the rules' stage, columns: the model's."""
        rules, model = self.rating.stage, self.model.stage
        codes = range(len(STAGES))
        return [[self.rates.rate((rules == r) & (model == m)) for m in codes] for r in codes]

    @cached_property
    def bands(self) -> dict[str, list[Rate]]:
        """By side, the win rate of each band of ten points."""
        bands = {side: bands_of(score) for side, (score, _) in self._sides.items()}
        return {side: [self.rates.rate(band == i) for i in range(BANDS)] for side, band in bands.items()}

    @cached_property
    def segments(self) -> list[SegmentComparison]:
        """By segment and value, most frequent values first."""
        columns = self.evidence.segments.items()
        return [part for name, column in columns for part in self._compare_values(name, column)]

    @cached_property
    def segment_quality(self) -> list[SegmentQuality]:
        """The model by segment and value: predicted against observed win rate, and its ranking."""
        return measure_segments(self.evidence)

    @cached_property
    def months(self) -> list[SegmentComparison]:
        """By month of the moment; empty without dates."""
        if not self.evidence.dated:
            return []
        month = np.array([iso(int(moment_ms))[:7] for moment_ms in self.evidence.moment])
        return [p for m in np.unique(month) if (p := self._compare_part("month", str(m), month == m))]

    @cached_property
    def disputes(self) -> list[DisputedDeal]:
        """Leads with different stages whose scores lie furthest apart, each lead once."""
        apart = np.abs(self.model.score - self.rating.score)
        differ = np.flatnonzero(self.model.stage != self.rating.stage)
        by_lead: dict[str, DisputedDeal] = {}
        for row in differ[np.argsort(-apart[differ], kind="stable")]:
            lead = str(self.evidence.lead[row])
            if lead not in by_lead:
                by_lead[lead] = self._disputed_deal(int(row))
            if len(by_lead) == _MAX_DISPUTES:
                break
        return list(by_lead.values())

    def model_reasons(self, row: int, table: FeatureTable, lang: Language) -> list[Reason]:
        """The strongest reasons of the model's score; empty if they were not computed for this row."""
        names = list(self.evidence.reasons)
        contributions = np.array([self.evidence.reasons[name][row] for name in names], dtype=np.float64)
        if not len(contributions) or np.isnan(contributions).any():
            return []

        def reason(name: str, weight: float) -> Reason:
            contribution = Contribution(name, self._feature_value(name, row), weight)
            return Reason(name, contribution.text(table, lang), round(weight, 4))

        return [reason(names[i], weight) for i, weight in rank_contributions(contributions[None, :])[0]]

    def rules_reasons(self, row: int, lang: Language) -> list[Reason]:
        """The rules that hold: exclusions, triggers and rows."""
        card, rating = self.card, self.rating
        reasons: list[Reason] = []
        for rules, fired in (
            (card.exclusions, rating.exclusions),
            (card.triggers, rating.triggers),
            (card.rows, rating.fired),
        ):
            reasons += compress(rule_reasons(rules, lang), fired[row].tolist())
        return reasons

    def to_dict(self, table: FeatureTable, lang: Language) -> dict[str, Any]:
        """All figures in plain JSON types; in `differences` new is the model, old the rules."""
        figures = {
            "leads": self.leads[0],
            "won_leads": self.leads[1],
            "all": self.all,
            "better": self.differences["win_rate"].better,
            "is_scorecard": self.is_scorecard,
            "volume": count_calls(self.called),
            "differences": self.differences,
            "stages": self.stages,
            "agreement": self.agreement,
            "bands": self.bands,
            "segments": self.segments,
            "segment_quality": [quality.to_dict() for quality in self.segment_quality],
            "months": self.months,
            "disputes": [self._dispute_to_dict(dispute, table, lang) for dispute in self.disputes],
        }
        return {name: to_jsonable(value) for name, value in figures.items()}

    def _dispute_to_dict(self, deal: DisputedDeal, table: FeatureTable, lang: Language) -> dict[str, Any]:
        model = self.model_reasons(deal.row, table, lang)
        rules = self.rules_reasons(deal.row, lang)
        return {**to_jsonable(deal), "model_reasons": model, "rules_reasons": rules}

    @property
    def _sides(self) -> dict[str, tuple[Ints, Codes]]:
        """Score and stage by side, and those of the decision."""
        model, rating, decision = self.model, self.rating, self.decision
        sides = ((model.score, model.stage), (rating.score, rating.stage), (decision.score, decision.stage))
        return dict(zip(SIDES, sides, strict=True))

    def _compare_values(self, name: str, column: Texts) -> Iterator[SegmentComparison]:
        for value, rows in frequent_values(column):
            if (part := self._compare_part(name, value, rows)) is not None:
                yield part

    def _compare_part(self, name: str, value: str, mask: Bools) -> SegmentComparison | None:
        """The comparison on some rows; None if these are too few."""
        if mask.sum() < _MIN_LEADS or not self.evidence.won[mask].any():
            return None
        judged, model = self.evidence.judged.take(mask), self.evidence.scores[MODEL][mask]
        part = differences(judged, model, self.rating.rank[mask], self.called[mask], _PART_DRAWS)
        return SegmentComparison(name, value, self.rates.rate(mask), part)

    def _disputed_deal(self, row: int) -> DisputedDeal:
        evidence = self.evidence
        return DisputedDeal(
            lead=str(evidence.lead[row]),
            moment=int(evidence.moment[row]),
            row=row,
            won=bool(evidence.won[row]),
            amount=float(evidence.amount[row]),
            probability=float(self.model.probability[row]),
            model_score=int(self.model.score[row]),
            rules_score=int(self.rating.score[row]),
            model_stage=int(self.model.stage[row]),
            rules_stage=int(self.rating.stage[row]),
        )

    def _feature_value(self, name: str, row: int) -> float | str | None:
        column = self.evidence.features[name]
        if isinstance(column, Texts):
            return column.take(np.array([row])).to_list()[0]
        value: Floats = column
        return float(value[row])


def is_calibrated_scorecard(evidence: Evidence, rating: Rating) -> bool:
    """Whether the evaluated scores are those of the calibrated card alone, and rank leads as its points do.

    `rating` is that of the evidence by the present card.
    """
    points = evidence.scores.get(POINTS)
    if points is None or not len(points) or not np.allclose(points, evidence.scores[MODEL], atol=1e-9):
        return False
    plain = ~(rating.triggered | rating.excluded)
    by_points = points[plain][np.lexsort((points[plain], rating.points[plain]))]
    return bool((np.diff(by_points) >= -1e-9).all())
