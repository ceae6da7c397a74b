from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from scoring.to_json import to_jsonable


@dataclass(frozen=True)
class Inner:
    share: float
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    by_week: dict[int, Inner]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("成約", "成約"),
        (True, True),
        (3, 3),
        (0.25, 0.25),
        (float("nan"), None),
        (np.float64("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int8(2), 2),
        (np.bool_(False), False),
        ((1, "a"), [1, "a"]),
        ([float("nan"), 1.0], [None, 1.0]),
        (np.array([1, 2], dtype=np.int8), [1, 2]),
        (np.array([[0.5, np.nan]]), [[0.5, None]]),
        ({2: np.int64(1), "b": {"c": np.nan}}, {"2": 1, "b": {"c": None}}),
    ],
)
def test_what_json_can_hold(value: object, expected: object) -> None:
    result = to_jsonable(value)
    assert result == expected
    assert type(result) is type(expected)
    assert json.loads(json.dumps(result, allow_nan=False)) == expected


def test_dataclasses_become_dicts_however_deep() -> None:
    inner = Inner(float("nan"), (1, 2))
    result: dict[str, Any] = to_jsonable([Outer("x", inner, {7: inner})])[0]
    expected_inner = {"share": None, "rows": [1, 2]}
    assert result == {"name": "x", "inner": expected_inner, "by_week": {"7": expected_inner}}
    json.dumps(result, allow_nan=False)


def test_a_class_is_left_as_it_is() -> None:
    assert to_jsonable(Inner) is Inner
