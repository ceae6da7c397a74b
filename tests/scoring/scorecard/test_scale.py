"""The one scale: exact at the thresholds, whole, never falling, for points and for probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import Ints
from scoring.model.thresholds import UNREACHABLE
from scoring.scorecard.load import parse_card
from scoring.scorecard.rating import scale_of
from scoring.scorecard.scale import Scale
from scoring.scorecard.scorecard import COLD, HOT, WARM


def score(scale: Scale, *values: float) -> list[int]:
    return [int(s) for s in scale.score(np.array(values, dtype=np.float64))]


def stage(scale: Scale, *values: float) -> list[int]:
    return [int(s) for s in scale.stage(np.array(values, dtype=np.float64))]


def below(value: float) -> float:
    return float(np.nextafter(value, -np.inf))


def above(value: float) -> float:
    return float(np.nextafter(value, np.inf))


@st.composite
def probability_scales(draw: st.DrawFn) -> Scale:
    """Thresholds of a model: they may lie together, on 1, or next to each other."""
    chance = st.floats(1e-12, 1.0) | st.sampled_from([0.1, 0.5, below(1.0), UNREACHABLE])
    warm, hot = sorted((draw(chance), draw(chance)))
    spacing = draw(st.sampled_from(["free", "equal", "next"]))
    if spacing != "free":
        warm = hot if spacing == "equal" else below(hot)
    return Scale(warm, hot, 1.0)


@st.composite
def point_scales(draw: st.DrawFn) -> Scale:
    """Bands of a card, and the most points that it gives."""
    warm = draw(st.integers(1, 200))
    hot = draw(st.integers(warm + 1, 400))
    return Scale(warm, hot, draw(st.integers(hot, 2000)))


in_its_own_time = settings(deadline=None)
scales = probability_scales() | point_scales()


@in_its_own_time
@given(scales)
def test_exact_at_the_thresholds(scale: Scale) -> None:
    if scale.warm < scale.hot:
        assert score(scale, scale.warm) == [40]
    if scale.hot < scale.top:
        assert score(scale, scale.hot) == [80]
    assert score(scale, scale.top) == [100]
    assert score(scale, 0.0, -1e-300, -5.0, -np.inf) == [0, 0, 0, 0]


@in_its_own_time
@given(scales)
def test_just_below_a_threshold_the_mark_is_not_reached(scale: Scale) -> None:
    warm, hot = score(scale, below(scale.warm), below(scale.hot))
    assert warm == 39 or scale.warm < 1e-300
    assert hot == 79 if scale.warm < below(scale.hot) else hot in (39, 40, 79)


@in_its_own_time
@given(scales, st.lists(st.floats(-1e4, 1e4) | st.floats(0, 1), min_size=2))
def test_never_falling_and_whole(scale: Scale, values: list[float]) -> None:
    marks = [v for t in (scale.warm, scale.hot, scale.top) for v in (below(t), t, above(t))]
    scores = scale.score(np.array(sorted([*values, *marks])))
    assert scores.dtype == np.int64
    assert (np.diff(scores) >= 0).all()
    assert scores.min() >= 0
    assert scores.max() == 100


@in_its_own_time
@given(scales, st.lists(st.floats(-10, 2500) | st.floats(0, 1), min_size=1))
def test_score_and_stage_say_the_same(scale: Scale, values: list[float]) -> None:
    numbers = [*values, scale.warm, scale.hot, scale.top, below(scale.hot), below(scale.warm)]
    for number, code in zip(score(scale, *numbers), stage(scale, *numbers), strict=True):
        assert code == (HOT if number >= 80 else WARM if number >= 40 else COLD)


@in_its_own_time
@given(point_scales(), st.data())
def test_points_may_be_whole_numbers_or_floats(scale: Scale, data: st.DataObject) -> None:
    points = data.draw(st.lists(st.integers(-300, 3000), min_size=1))
    integers: Ints = np.array(points, dtype=np.int64)
    assert scale.score(integers).tolist() == score(scale, *points)
    assert scale.stage(integers).tolist() == stage(scale, *points)


@in_its_own_time
@given(point_scales(), st.integers(0, 2000))
def test_points_are_piecewise_linear_and_rounded_down(scale: Scale, points: int) -> None:
    """Against the same in whole numbers, where nothing is rounded by accident."""
    warm, hot, top = int(scale.warm), int(scale.hot), int(scale.top)
    expected = 100
    if points < warm:
        expected = 40 * points // warm
    elif points < hot:
        expected = 40 + 40 * (points - warm) // (hot - warm)
    elif points < top:
        expected = 80 + 20 * (points - hot) // (top - hot)
    assert score(scale, points) == [expected]


@pytest.mark.parametrize(
    ("scale", "values", "expected"),
    [
        (Scale(0.25, 0.5, 1.0), (0, 0.125, 0.25, 0.375, 0.5, 0.75, 1), [0, 20, 40, 60, 80, 90, 100]),
        (Scale(0.5, 0.5, 1.0), (0.25, below(0.5), 0.5, 0.75, 1.0), [20, 39, 80, 90, 100]),
        (Scale(0.5, UNREACHABLE, UNREACHABLE), (0.25, 0.5, 0.75, below(1.0), 1.0), [20, 40, 60, 79, 100]),
        (Scale(UNREACHABLE, UNREACHABLE, UNREACHABLE), (0.0, 0.5, below(1.0), 1.0), [0, 20, 39, 100]),
        (Scale(10, 50, 50), (5, 10, 49, 50, 70), [20, 40, 79, 100, 100]),
    ],
)
def test_scales_by_hand(scale: Scale, values: tuple[float, ...], expected: list[int]) -> None:
    assert score(scale, *values) == expected


@pytest.mark.parametrize(
    "limits", [(0.5, 0.4, 1.0), (0.1, 1.1, 1.0), (-0.1, 0.5, 1.0), (float("nan"), 0.5, 1.0)]
)
def test_thresholds_must_rise(limits: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="thresholds must rise"):
        Scale(*limits)


def test_the_scale_of_a_card_ends_at_its_most_points() -> None:
    assert scale_of(parse_card({"profile": "b2b_saas"}, "card")) == Scale(10, 50, 100)


def test_a_card_without_rows_has_a_scale_too() -> None:
    document: dict[str, Any] = parse_card({"profile": "b2b_saas"}, "card").to_dict()
    del document["fit"], document["intent"]
    assert scale_of(parse_card(document, "card")) == Scale(10, 50, 50)
