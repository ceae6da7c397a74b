"""What the values of an outcome mean."""

from __future__ import annotations

import pytest

from features.crm.propose.words import value_meaning


@pytest.mark.parametrize(("value", "meaning"), [("1", "yes"), ("1.0", "yes"), ("0.0", "no"), ("0.00", "no")])
def test_flags_that_a_spreadsheet_wrote_as_decimals_are_yes_and_no(value: str, meaning: str) -> None:
    assert value_meaning(value) == meaning


@pytest.mark.parametrize("value", ["10.0", "1.05", "2.0", "v1.0"])
def test_other_numbers_are_neither(value: str) -> None:
    assert value_meaning(value) == "open"
