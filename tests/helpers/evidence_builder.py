"""Evidence tables and scorecards made by hand, for tests of what is computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from features.columns import Bools, Column, Floats
from features.settings import parse_features
from features.table import FeatureTable
from scoring.model.encoding import Encoding
from scoring.model.evidence import MODEL, Evidence
from scoring.model.linear import LinearPart
from scoring.model.model import Calibration, Model, sigmoid
from scoring.model.trees import TreesPart
from scoring.scorecard.load import blank_card
from scoring.scorecard.scorecard import Scorecard
from tests.helpers.builders import DAY, ms
from training.fitting.parts.line import learn_scaling

START = ms(2026, 1, 5)
"""A Monday."""

_JAPANESE = {"visit": "来店", "quote": "見積", "mail": "メール", "rival": "競合"}


def evidence(
    won: Sequence[bool] | Bools, features: Mapping[str, Column] | None = None, **overrides: Any
) -> Evidence:
    """Rows of as many leads, a day apart and one day old, unless `told` says otherwise."""
    count = len(won)
    lead = np.array(overrides.pop("lead", [f"L{i:05d}" for i in range(count)]), dtype=object)
    columns: dict[str, Any] = {
        "group": np.unique(lead.astype(str), return_inverse=True)[1].astype(np.int32),
        "moment": START + DAY * np.arange(count, dtype=np.int64),
        "landmark": np.zeros(count, dtype=np.float32),
        "amount": np.full(count, np.nan),
        "scores": {MODEL: np.zeros(count)},
        "segments": {},
    }
    columns |= overrides
    return Evidence(lead=lead, won=np.array(won, dtype=np.bool_), features=features or {}, **columns)


def rule(feature: str, minimum: float = 1, **more: Any) -> dict[str, Any]:
    """A rule that holds where a number is at least so much."""
    because = {"en": f"{feature} counts", "ja": f"{_JAPANESE.get(feature, feature)}が該当"}
    return {"when": [{"feature": feature, "at_least": minimum}], "because": because, **more}


def card(
    points: Mapping[str, int] | None = None,
    warm: int = 10,
    hot: int = 20,
    triggers: Sequence[str] = (),
    exclusions: Sequence[str] = (),
    **fields: Any,
) -> Scorecard:
    """A card of rows, triggers and exclusions that hold where the feature of their name is 1."""
    rows = {name: rule(name, points=count) for name, count in (points or {}).items()}
    parts: dict[str, Any] = {"intent": {"rows": rows}} if rows else {}
    parts["triggers"] = {name: rule(name) for name in triggers}
    parts["exclusions"] = {name: rule(name) for name in exclusions}
    plain = {**blank_card().to_dict(), "thresholds": {}, "bands": {"warm": warm, "hot": hot}}
    return Scorecard.model_validate({**plain, **parts, **fields})


def flags(**values_by_name: Sequence[int]) -> dict[str, Column]:
    """Features that are 0 or 1."""
    return {name: np.array(values, dtype=np.float64) for name, values in values_by_name.items()}


def draw_outcomes(seed: int, count: int = 400, signal: float = 1.0) -> tuple[Bools, Floats, Floats]:
    """Outcomes, the log-odds that they were drawn from, and a worse guess at these."""
    rng = np.random.default_rng(seed)
    true = -1.5 + signal * rng.normal(size=count)
    return rng.random(count) < sigmoid(true), true, true + 1.5 * rng.normal(size=count)


def model_of(
    columns: Mapping[str, Column], card: Scorecard | None = None, weight: float = 0.0, **about: Any
) -> Model:
    """A model that saw these values: `weight` times the sum of all columns, scaled."""
    encoding = Encoding.learn(columns)
    scaling = learn_scaling(encoding.matrix(columns))
    gaps = np.zeros(int((scaling.missing > 0).sum()))
    linear = LinearPart(scaling, 0.0, np.full(encoding.width, weight), gaps)
    return Model(
        table=table_of(columns),
        encoding=encoding,
        card=card or blank_card(),
        points=None,
        linear=linear,
        trees=TreesPart(""),
        weights={"points": 0.0, "linear": 1.0, "trees": 0.0},
        calibration=Calibration(),
        about=about,
    )


def table_of(columns: Mapping[str, Column], known_kind: str = "at_creation") -> FeatureTable:
    """An attribute for each column."""
    definitions: dict[str, Any] = {}
    for name, column in columns.items():
        definitions[name] = {"kind": "attribute", "column": name, "known": known_kind}
        if isinstance(column, np.ndarray):
            definitions[name]["values"] = "number"
    return FeatureTable(parse_features(definitions))
