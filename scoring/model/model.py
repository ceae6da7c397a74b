"""The model: a calibrated sum of parts in log-odds, with exact reasons.

log-odds = intercept + slope * (sum over parts of weight * part). Everything that a score needs is stored
in one folder of JSON and LightGBM text; nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from features.columns import Column, Floats
from features.derived.text_words import TextWords
from features.errors import DataError
from features.settings import parse_features
from features.table import FeatureTable, Vocabulary
from scoring.model.encoding import Encoding
from scoring.model.linear import LinearPart
from scoring.model.points import PointsPart
from scoring.model.time_to_win import TimeToWin
from scoring.model.trees import TreesPart
from scoring.scorecard.rating import OneRater, Rating, rate
from scoring.scorecard.scorecard import Scorecard

MODEL_FILE, TREES_FILE, EVIDENCE_FILE = "model.json", "trees.txt", "evidence.parquet"


class ColumnsPart(Protocol):
    """A part of the sum that is computed from the encoded columns."""

    def log_odds(self, matrix: Floats) -> Floats: ...
    def contributions(self, matrix: Floats) -> tuple[float, Floats]: ...


@dataclass(frozen=True)
class Encoded:
    """Leads encoded for every part: one row of columns per lead, and the card's rating."""

    matrix: Floats
    rating: Rating

    def __len__(self) -> int:
        return len(self.matrix)

    def take(self, rows: NDArray[np.integer] | slice) -> Encoded:
        return Encoded(self.matrix[rows], self.rating.take(rows))


@dataclass(frozen=True)
class Calibration:
    """A linear function of the weighted sum of the parts (Platt scaling, in log-odds)."""

    intercept: float = 0.0
    slope: float = 1.0


@dataclass(frozen=True)
class Explanation:
    """The reasons: `prior` (log-odds of an average lead) + the sum of a row of `contributions` = log-odds.

    `contributions` has one row per lead and one column per feature, in the order of `features`.
    """

    features: tuple[str, ...]
    prior: float
    contributions: Floats

    @property
    def log_odds(self) -> Floats:
        return np.asarray(self.prior + self.contributions.sum(axis=1))

    def take_row(self, row: int) -> Explanation:
        return replace(self, contributions=self.contributions[row : row + 1])


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained model. `about` describes its training data and its figures, for people.

    `card` is the scorecard that it was trained with; `points` is None if that has no rows, and `time_to_win`
    if closes have no dates or too few leads are won.
    """

    table: FeatureTable
    encoding: Encoding
    card: Scorecard
    points: PointsPart | None
    linear: LinearPart
    trees: TreesPart
    weights: Mapping[str, float]
    calibration: Calibration
    time_to_win: TimeToWin | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def encode(self, columns: Mapping[str, Column], rating: Rating | None = None) -> Encoded:
        """Encode many leads: feature values by name. `rating` is that of the card, if already computed."""
        return Encoded(self.encoding.matrix(columns), rate(self.card, columns) if rating is None else rating)

    def encode_one(self, values: Sequence[float | str | None], rating: Rating | None = None) -> Encoded:
        """Encode one lead: its feature values in the order of the table; `rating` as in `encode`."""
        if rating is None:
            rating = self._rater(dict(zip(self.table.names, values, strict=True)))
        return Encoded(self.encoding.row(values), rating)

    def log_odds(self, leads: Encoded) -> Floats:
        """(rows,) calibrated log-odds of encoded leads."""
        scores = {name: part.log_odds(leads.matrix) for name, (_, part) in self._parts().items()}
        if self.points and self._points_weight:
            scores["points"] = self.points.log_odds(leads.rating)
        return self.add_parts(scores, len(leads))

    def score_parts(self, leads: Encoded) -> dict[str, Floats]:
        """(rows,) the log-odds of encoded leads by each part, also by those without a weight."""
        scores = {"linear": self.linear.log_odds(leads.matrix), "trees": self.trees.log_odds(leads.matrix)}
        return scores if self.points is None else scores | {"points": self.points.log_odds(leads.rating)}

    def add_parts(self, scores: Mapping[str, Floats], rows: int) -> Floats:
        """(rows,) the calibrated sum of the log-odds by part."""
        total = np.zeros(rows)
        for name, log_odds in scores.items():
            total += self.weights[name] * log_odds
        return np.asarray(self.calibration.intercept + self.calibration.slope * total)

    def probability(self, columns: Mapping[str, Column]) -> Floats:
        """(rows,) probability to win of many leads."""
        return sigmoid(self.log_odds(self.encode(columns)))

    def explain(self, leads: Encoded) -> Explanation:
        """Exact reasons of encoded leads."""
        prior, by_column = 0.0, np.zeros(leads.matrix.shape)
        for weight, part in self._parts().values():
            base, contributions = part.contributions(leads.matrix)
            prior, by_column = prior + weight * base, by_column + weight * contributions
        by_feature = self.encoding.by_feature(by_column)
        if self.points and self._points_weight:
            base, contributions = self.points.contributions(leads.rating)
            prior += self._points_weight * base
            by_feature += self._points_weight * contributions
        slope = self.calibration.slope
        prior = self.calibration.intercept + slope * prior
        return Explanation(self.table.names, prior, slope * by_feature)

    @cached_property
    def version(self) -> str:
        """A hash of everything that determines a score: equal models have equal versions."""
        content = json.dumps(self._to_dict(), sort_keys=True) + self.trees.text
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def with_about(self, **about: Any) -> Model:
        return replace(self, about={**self.about, **about})

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder."""
        content = {"version": self.version, **self._to_dict(), "about": dict(self.about)}
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (folder / MODEL_FILE).write_text(text, encoding="utf-8")
        (folder / TREES_FILE).write_text(self.trees.text, encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> Model:
        """Read a model folder. Raises DataError if it is damaged."""
        try:
            content = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
            trees = TreesPart((folder / TREES_FILE).read_text(encoding="utf-8"))
            model = _model_from_dict(content, trees)
            expected, actual = content["version"], model.version
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as problem:
            why = f"{type(problem).__name__}: {problem}".splitlines()[0]
            raise DataError(
                "{folder}: is no whole model folder ({why}). Train again.", folder=folder, why=why
            ) from None
        if actual != expected:
            raise DataError(
                "{folder}: the model is not the one that was written (version {expected}, "
                "contents {actual}). Restore the folder or train again.",
                folder=folder,
                expected=expected,
                actual=actual,
            )
        return model

    @cached_property
    def _rater(self) -> OneRater:
        return OneRater(self.card)

    @property
    def is_scorecard(self) -> bool:
        """Whether the learnt parts have no weight: it is the scorecard with calibrated probabilities."""
        return self.points is not None and not self._parts() and self._points_weight > 0

    @property
    def _points_weight(self) -> float:
        return self.weights.get("points", 0.0)

    def _parts(self) -> dict[str, tuple[float, ColumnsPart]]:
        """The parts that are computed from columns and have a weight, with that weight."""
        parts: dict[str, ColumnsPart] = {"linear": self.linear, "trees": self.trees}
        return {name: (self.weights[name], part) for name, part in parts.items() if self.weights[name]}

    def _to_dict(self) -> dict[str, Any]:
        words = {name: dict(texts.weights) for name, texts in self.table.text_words.items()}
        return {
            "features": self.table.to_dict(),
            "fingerprint": self.table.fingerprint,
            "words": {k: dict(v) for k, v in self.table.vocabulary.words.items()},
            "encoding": self.encoding.to_dict(),
            "scorecard": self.card.to_dict(),
            "points": None if self.points is None else self.points.to_dict(),
            "linear": self.linear.to_dict(),
            "weights": dict(self.weights),
            "calibration": {"intercept": self.calibration.intercept, "slope": self.calibration.slope},
            **({"text_words": words} if words else {}),
            **({"time_to_win": self.time_to_win.to_dict()} if self.time_to_win else {}),
        }


def _model_from_dict(data: dict[str, Any], trees: TreesPart) -> Model:
    words = {name: TextWords(weights) for name, weights in data.get("text_words", {}).items()}
    table = FeatureTable(parse_features(data["features"]), Vocabulary(data["words"]), words)
    encoding, linear = Encoding.from_dict(data["encoding"]), LinearPart.from_dict(data["linear"])
    if encoding.width != len(linear.weights):
        raise ValueError("it was written by another version of Hotlead")
    card = Scorecard.model_validate(data["scorecard"])
    points = data["points"] and PointsPart.from_dict(data["points"], card, table.names)
    return Model(
        table=table,
        encoding=encoding,
        card=card,
        points=points,
        linear=linear,
        trees=trees,
        weights=data["weights"],
        calibration=Calibration(**data["calibration"]),
        time_to_win=_read_time_to_win(data, encoding),
        about=data["about"],
    )


def _read_time_to_win(data: dict[str, Any], encoding: Encoding) -> TimeToWin | None:
    """None in a model of before it; ValueError if it was learnt from other columns."""
    if "time_to_win" not in data:
        return None
    time_to_win = TimeToWin.from_dict(data["time_to_win"])
    if time_to_win.linear and encoding.width != len(time_to_win.linear.weights):
        raise ValueError("the columns of the time to win are not those of the model")
    return time_to_win


def sigmoid(log_odds: Floats) -> Floats:
    """The probability of log-odds."""
    within = np.minimum(np.maximum(log_odds, -700.0), 700.0)
    return np.asarray(1.0 / (1.0 + np.exp(-within)))
