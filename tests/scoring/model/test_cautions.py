"""What to bear in mind with a model's answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import Bools, Column, texts
from scoring.model.cautions import Seen
from tests.helpers.evidence_builder import model_of

SEEN: dict[str, Column] = {
    "employees": np.array([5.0, 40.0, 300.0] * 10),
    "visits": np.array([0.0, 2.0, 7.0] * 10),
    "revenue": np.array([np.nan] * 20 + [5.0] * 10),  # mostly missing
    "channel": texts(["referral", "ads", "fair"] * 9 + ["stand"] * 3),
    "region": texts([None] * 20 + ["east"] * 10),  # mostly missing
}


MODEL = model_of(SEEN)
SEEN_BY_MODEL = Seen.of(MODEL)
USUAL = {"employees": 40.0, "visits": 2.0, "revenue": np.nan, "channel": "ads", "region": None}


def lead(**changed: float | str | None) -> np.ndarray:
    """A usual lead, with some of its values changed."""
    values = {**USUAL, **changed}
    return MODEL.encode_one([values[name] for name in MODEL.table.names]).matrix


def holds(told: Bools) -> bool:
    assert told.dtype == bool
    assert told.shape == (1,)
    return bool(told[0])


def unknown(*names: str) -> np.ndarray:
    return lead(**{n: None if n in ("channel", "region") else np.nan for n in names})


def outside(**changed: float | str | None) -> tuple[str, ...]:
    """The features that are out of range; whether there are any is what the caution says."""
    (told,) = SEEN_BY_MODEL.features_out_of_range(lead(**changed))
    assert bool(told) == holds(SEEN_BY_MODEL.out_of_range(lead(**changed)))
    return told


def test_the_features_that_are_out_of_range_are_named() -> None:
    assert outside() == ()
    assert outside(employees=301.0) == ("employees",)
    assert outside(channel="radio") == ("channel",)
    assert outside(region="west", visits=-1.0, revenue=6.0) == ("visits", "revenue", "region")
    assert outside(employees=None, visits=None, revenue=None, channel=None, region=None) == ()


# -- too little is known -------------------------------------------------------------------------


def test_of_a_lead_with_nothing_known_too_little_is_known() -> None:
    nothing = unknown(*USUAL)
    assert holds(SEEN_BY_MODEL.too_little_known(nothing))
    assert not holds(SEEN_BY_MODEL.out_of_range(nothing))


def test_of_a_usual_lead_enough_is_known_though_rare_answers_are_missing() -> None:
    assert not holds(SEEN_BY_MODEL.too_little_known(lead()))


def test_more_than_half_of_what_is_mostly_known_must_be_missing() -> None:
    """Three features are mostly known: one missing is not half, two are more."""
    assert not holds(SEEN_BY_MODEL.too_little_known(unknown("channel")))
    assert not holds(SEEN_BY_MODEL.too_little_known(unknown("employees")))
    assert holds(SEEN_BY_MODEL.too_little_known(unknown("employees", "visits")))
    assert holds(SEEN_BY_MODEL.too_little_known(unknown("employees", "channel")))


def test_where_nothing_was_ever_known_nothing_is_too_little() -> None:
    empty = model_of({"a": np.full(30, np.nan), "b": texts([None] * 30)})
    assert not Seen.of(empty).too_little_known(empty.encode_one([np.nan, None]).matrix).any()


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
        ({"channel": "Ads"}, True),
        ({"region": "east"}, False),
        ({"region": "west"}, True),
        ({"channel": None}, False),  # nothing said is no strange value: too little may be known
    ],
)
def test_a_value_that_training_never_saw_is_out_of_range(
    changed: dict[str, float | str | None], outside: bool
) -> None:
    assert holds(SEEN_BY_MODEL.out_of_range(lead(**changed))) is outside


def test_each_lead_is_looked_at_for_itself() -> None:
    rows = np.vstack([lead(), lead(employees=1e9), unknown(*USUAL), lead(channel="?")])
    assert SEEN_BY_MODEL.out_of_range(rows).tolist() == [False, True, False, True]
    assert SEEN_BY_MODEL.too_little_known(rows).tolist() == [False, False, True, False]


def test_no_lead_of_the_training_is_out_of_range() -> None:
    assert not SEEN_BY_MODEL.out_of_range(MODEL.encode(SEEN).matrix).any()


numbers = st.floats(-1e12, 1e12) | st.integers(-5, 5).map(float) | st.just(float("nan"))


@given(st.lists(st.tuples(numbers, st.none() | st.sampled_from("abcdef")), min_size=2, max_size=30))
def test_no_lead_at_the_extremes_of_the_training_is_out_of_range(
    rows: list[tuple[float, str | None]],
) -> None:
    columns: dict[str, Column] = {
        "number": np.array([number for number, _ in rows]),
        "text": texts([text for _, text in rows]),
    }
    model = model_of(columns)
    assert not Seen.of(model).out_of_range(model.encode(columns).matrix).any()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.floats(1e-3, 1e6))
def test_a_number_beyond_the_extremes_is(seen: list[float], by: float) -> None:
    by = max(by, 1e-6 * (max(seen) - min(seen)))
    model = model_of({"number": np.array(seen)})
    beyond = np.array([[min(seen) - by], [max(seen) + by]])
    assert Seen.of(model).out_of_range(beyond).all()
