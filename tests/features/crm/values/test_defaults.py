"""Values that nobody chose: defaults, placeholders and many rows of one sender in a day."""

import numpy as np
import pytest

from features.clock import MS_PER_DAY, NEVER
from features.columns import Column, Texts
from features.crm.values.defaults import count_most_in_a_day, count_placeholders, find_default


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (np.array([1.0] * 180 + [*map(float, range(2, 22))]), ("1", 0.9)),
        (np.array([*map(float, range(100))]), None),
        (np.array([0.0] * 99 + [1.0]), None),
        (np.full(5, np.nan), None),
        (
            Texts(np.array([0] * 90 + [1] * 5 + [2] * 5 + [-1] * 9, np.int32), ("Red", "Blue", "Green")),
            ("Red", 0.9),
        ),
        (Texts(np.array([0] * 99 + [1], np.int32), ("No", "Yes")), None),
    ],
    ids=["number", "spread", "flag as number", "empty", "text", "flag"],
)
def test_a_default_is_one_value_of_many_that_fills_a_column(
    column: Column, expected: tuple[str, float] | None
) -> None:
    assert find_default(column) == expected


def test_placeholders_stand_for_no_value() -> None:
    values = ("000000000", "none@none", "0001", "test@example.com", "anna@example.com", "xxx", "Max")
    column = Texts(np.array([0, 0, 1, 2, 3, 4, 5, 6, -1], np.int32), values)
    assert count_placeholders(column) == {"000000000": 2, "none@none": 1, "test@example.com": 1, "xxx": 1}


def test_rows_of_one_group_within_a_day_are_counted() -> None:
    groups = np.array([0, 0, 0, 1, -1, -1, -1, -1, 0])
    times = np.array([1, 2, MS_PER_DAY + 1, 1, 1, 1, 1, 1, NEVER])
    assert count_most_in_a_day(groups, times) == 2
    assert count_most_in_a_day(groups[4:8], times[4:8]) == 0
