"""docs/python.md has the docstrings as they are; their examples are run by tests/hotlead."""

from __future__ import annotations

import re
from pathlib import Path

import hotlead
from hotlead.reference import FUNCTIONS, with_reference
from training.registry.registration import HEADLINES

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_reference_is_current() -> None:
    assert with_reference(PAGE) == PAGE, "run `make reference`"
    assert ">>> import hotlead" in PAGE


def test_every_public_function_is_documented() -> None:
    named = {name for name in hotlead.__all__ if name.islower()}
    assert {function.__name__ for function in FUNCTIONS} == named
    assert set(re.findall(r"^### `([a-z_]+)`", PAGE, re.MULTILINE)) == named


def test_headline_metrics_are_named() -> None:
    assert [name for name in HEADLINES if f"`{name}`" not in PAGE] == []
