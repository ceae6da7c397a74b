"""Codes that are written in digits are categories: half of two branches is no branch."""

from __future__ import annotations

import csv
import random
import tomllib
from pathlib import Path

import pytest

from features.crm.propose import propose

ROWS = 600


def read_features(folder: Path, header: str, different: int) -> dict[str, dict[str, str]]:
    """The proposed features of an export with one column of so many different whole numbers."""
    with (folder / "leads.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("lead_id", "status", header))
        draw = random.Random(3)
        for i in range(ROWS):
            status = draw.choice(["won", "lost", "lost"])
            writer.writerow((f"L{i:04d}", status, 100 + 7 * i % different))
    features = tomllib.loads(propose(["leads.csv"], folder).text)["features"]
    return {feature["column"]: feature for feature in features.values()}


@pytest.mark.parametrize("header", ["branch code", "Region_Code", "zip", "StoreId", "地域コード"])
def test_numbers_named_like_codes_are_categories(tmp_path: Path, header: str) -> None:
    assert "values" not in read_features(tmp_path, header, different=30)[header]


@pytest.mark.parametrize(("header", "different"), [("visits", 30), ("branch code", 200)])
def test_measures_and_codes_that_hardly_repeat_are_numbers(
    tmp_path: Path, header: str, different: int
) -> None:
    assert read_features(tmp_path, header, different)[header]["values"] == "number"
