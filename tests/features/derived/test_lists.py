from __future__ import annotations

import pytest

from features.columns import split_levels
from features.derived.bands import find_band
from features.derived.lists import to_levels_text


@pytest.mark.parametrize(
    ("text", "separator", "levels"),
    [
        ("A; B;C", ";", ["A", "B", "C"]),
        ("A；B", ";", ["A", "B"]),
        ("^a^,^b^", ",", ["a", "b"]),
        ("東京、大阪, 東京", ",", ["東京", "大阪"]),
        ("A\nB", "\n", ["A", "B"]),
        ("A | B", "|", ["A", "B"]),
        ("one", ";", ["one"]),
    ],
)
def test_separators_as_crms_write_them(text: str, separator: str, levels: list[str]) -> None:
    joined = to_levels_text(text, separator)
    assert joined is not None
    assert list(split_levels(joined)) == levels
    assert to_levels_text(joined, separator) == joined


def test_a_list_of_nothing_is_missing() -> None:
    assert to_levels_text(" ; ", ";") is None


@pytest.mark.parametrize(
    ("number", "band"),
    [
        (0, "0-9"),
        (9.5, "0-9"),
        (10, "10-49"),
        (4999, "1000-4999"),
        (5000, "5000+"),
        (-1, None),
        (float("nan"), None),
    ],
)
def test_bands(number: float, band: str | None) -> None:
    assert find_band(number) == band
