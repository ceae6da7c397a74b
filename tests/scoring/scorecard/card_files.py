"""Scorecard files written for tests, and their error messages."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from features.errors import SettingsError
from features.settings import parse_features
from features.table import FeatureTable
from scoring.scorecard.load import SCORECARD_FILE, load_card, parse_card, profile_features
from scoring.scorecard.scorecard import Scorecard

B2B = 'profile = "b2b_saas"\n'
PROFILE_FEATURES = profile_features("b2b_saas")["features"]
TABLE = FeatureTable(parse_features(PROFILE_FEATURES))
ROW = '[intent.rows.own]\npoints = 5\nbecause = { en = "Own", ja = "自社" }\n'


def write(folder: Path, text: str) -> Path:
    path = folder / SCORECARD_FILE
    path.write_text(text, encoding="utf-8")
    return path


def collect_errors(path: Path, table: FeatureTable = TABLE) -> list[str]:
    """What a wrong card says, a line a problem, without the file's name at its beginning."""
    with pytest.raises(SettingsError) as problem:
        load_card(path, table)
    lines = str(problem.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def card(text: str) -> Scorecard:
    return parse_card(tomllib.loads(text), SCORECARD_FILE)
