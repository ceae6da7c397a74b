"""The CRMs and scorecards in TOML that many tests share: the files of tests/data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

DATA = Path(__file__).parents[1] / "data"

TomlFile = Literal[
    "small_crm",  # the CSV files of tests.helpers.small_crm
    "small_scorecard",
    "service_crm",  # the company of tests.helpers.service.service_app, with BANT fields and changes
    "service_scorecard",
    "suggest_scorecard",  # rules of every kind, for suggestions
]


def toml_text(name: TomlFile) -> str:
    """The text of a CRM or scorecard."""
    return (DATA / f"{name}.toml").read_text(encoding="utf-8")
