"""What to bear in mind with a model's answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import Bools, Column, encode_texts
from scoring.model.cautions import TrainingRange
from tests.helpers.evidence_builder import model_of

TRAINING_COLUMNS: dict[str, Column] = {
    "employees": np.array([5.0, 40.0, 300.0] * 10),
    "visits": np.array([0.0, 2.0, 7.0] * 10),
    "revenue": np.array([np.nan] * 20 + [5.0] * 10),  # mostly missing
    "channel": encode_texts(["referral", "ads", "fair"] * 9 + ["stand"] * 3),
    "region": encode_texts([None] * 20 + ["east"] * 10),  # mostly missing
}


MODEL = model_of(TRAINING_COLUMNS)
TRAINING_RANGE = TrainingRange.from_model(MODEL)
USUAL = {"employees": 40.0, "visits": 2.0, "revenue": np.nan, "channel": "ads", "region": None}


def lead(**changed: float | str | None) -> np.ndarray:
    """A usual lead, with some of its values changed."""
    values = {**USUAL, **changed}
    return MODEL.encode_one([values[name] for name in MODEL.table.names]).matrix


def holds(flags: Bools) -> bool:
    assert flags.dtype == bool
    assert flags.shape == (1,)
    return bool(flags[0])


def unknown(*names: str) -> np.ndarray:
    return lead(**{n: None if n in ("channel", "region") else np.nan for n in names})


def features_outside(**changed: float | str | None) -> tuple[str, ...]:
    """The features that are out of range; whether there are any is what the caution says."""
    (names,) = TRAINING_RANGE.features_out_of_range(lead(**changed))
    assert bool(names) == holds(TRAINING_RANGE.out_of_range(lead(**changed)))
    return names


def test_the_features_that_are_out_of_range_are_named() -> None:
    assert features_outside() == ()
    assert features_outside(employees=301.0) == ("employees",)
    assert features_outside(channel="radio") == ("channel",)
    assert features_outside(region="west", visits=-1.0, revenue=6.0) == ("visits", "revenue", "region")
    assert features_outside(employees=None, visits=None, revenue=None, channel=None, region=None) == ()


# -- too little is known -------------------------------------------------------------------------


def test_of_a_lead_with_nothing_known_too_little_is_known() -> None:
    nothing = unknown(*USUAL)
    assert holds(TRAINING_RANGE.too_little_known(nothing))
    assert not holds(TRAINING_RANGE.out_of_range(nothing))


def test_of_a_usual_lead_enough_is_known_though_rare_answers_are_missing() -> None:
    assert not holds(TRAINING_RANGE.too_little_known(lead()))


def test_more_than_half_of_what_is_mostly_known_must_be_missing() -> None:
    """Three features are mostly known: one missing is not half, two are more."""
    assert not holds(TRAINING_RANGE.too_little_known(unknown("channel")))
    assert not holds(TRAINING_RANGE.too_little_known(unknown("employees")))
    assert holds(TRAINING_RANGE.too_little_known(unknown("employees", "visits")))
    assert holds(TRAINING_RANGE.too_little_known(unknown("employees", "channel")))


def test_where_nothing_was_ever_known_nothing_is_too_little() -> None:
    empty = model_of({"a": np.full(30, np.nan), "b": encode_texts([None] * 30)})
    assert not TrainingRange.from_model(empty).too_little_known(empty.encode_one([np.nan, None]).matrix).any()


# -- out of range --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "outside"),
    [
        ({}, False),
        ({"employees": 5}, False),
        ({"employees": 300}, False),
        ({"employees": 4}, True),
        ({"employees": 301}, True),
        ({"employees": 1e9}, True),
        ({"employees": -1e9}, True),
        ({"revenue": 5}, False),
        ({"revenue": 6}, True),
        ({"channel": "stand"}, False),  # rare, but seen
        ({"channel": "skywriting"}, True),
        ({"channel": "Ads"}, False),  # another spelling of ads
        ({"region": "east"}, False),
        ({"region": "west"}, True),
        ({"channel": None}, False),  # nothing said is no strange value: too little may be known
    ],
)
def test_a_value_that_training_never_saw_is_out_of_range(
    changed: dict[str, float | str | None], outside: bool
) -> None:
    assert holds(TRAINING_RANGE.out_of_range(lead(**changed))) is outside


def test_each_lead_is_looked_at_for_itself() -> None:
    rows = np.vstack([lead(), lead(employees=1e9), unknown(*USUAL), lead(channel="?")])
    assert TRAINING_RANGE.out_of_range(rows).tolist() == [False, True, False, True]
    assert TRAINING_RANGE.too_little_known(rows).tolist() == [False, False, True, False]


def test_no_lead_of_the_training_is_out_of_range() -> None:
    assert not TRAINING_RANGE.out_of_range(MODEL.encode(TRAINING_COLUMNS).matrix).any()


numbers = st.floats(-1e12, 1e12) | st.integers(-5, 5).map(float) | st.just(float("nan"))


@given(st.lists(st.tuples(numbers, st.none() | st.sampled_from("abcdef")), min_size=2, max_size=30))
def test_no_lead_at_the_extremes_of_the_training_is_out_of_range(
    rows: list[tuple[float, str | None]],
) -> None:
    columns: dict[str, Column] = {
        "number": np.array([number for number, _ in rows]),
        "text": encode_texts([text for _, text in rows]),
    }
    model = model_of(columns)
    assert not TrainingRange.from_model(model).out_of_range(model.encode(columns).matrix).any()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.floats(1e-3, 1e6))
def test_a_number_beyond_the_extremes_is(values: list[float], margin: float) -> None:
    margin = max(margin, 1e-6 * (max(values) - min(values)))
    model = model_of({"number": np.array(values)})
    beyond = np.array([[min(values) - margin], [max(values) + margin]])
    assert TrainingRange.from_model(model).out_of_range(beyond).all()
