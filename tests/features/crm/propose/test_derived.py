"""Columns of mail addresses, titles, lists and inquiries are proposed as what is derived from them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from features.crm.propose import propose
from tests.helpers.builders import write_csv
from tests.helpers.exports.derived_crm import write_leads


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("propose")
    return propose([str(write_leads(folder, 600))], folder).text


def test_each_column_is_proposed_by_its_values(text: str) -> None:
    features = tomllib.loads(text)["features"]
    derived = {f["column"]: f["kind"] for f in features.values() if f["kind"] not in ("attribute", "age")}
    assert derived == {
        "mail": "mail_domain",
        "title": "department",
        "interests": "multi_select",
        "inquiry": "free_text",
    }
    assert {"kind": "job_rank", "column": "title", "known": "today"} in features.values()
    assert features["interests"]["separator"] == ";"


def test_the_comment_says_what_is_kept(text: str) -> None:
    assert "# 'mail' is used as the kind of its mail domain only; no address is kept." in text
    assert "gmail.com" not in text


def lead_rows(header: str, values: list[str]) -> list[list[object]]:
    rng = np.random.default_rng(1)
    rows: list[list[object]] = [["id", "created", "outcome", "closed", header]]
    for number in range(400):
        day, won = f"2025-{1 + number // 40:02d}-{1 + number % 28:02d}", rng.random() < 0.4
        rows.append([f"L{number}", day, "won" if won else "lost", day, values[number % len(values)]])
    return rows


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        ("Place", [f"City {n}, TX" for n in range(40)], None),
        ("Products", [f"{a},{b}" for a in "ABC" for b in "DEFGH"], "multi_select"),
        ("製品", ["甲、乙", "甲", "乙、丙", "甲、乙、丙", "丙"], "multi_select"),
        ("Title", ["Mr", "Ms", "Dr", "Prof", "Mx"], None),
        ("役職", ["部長", "課長", "主任", "代表取締役", "担当"], "job_rank"),
        ("Contact", [f"person{n}@gmail.com" for n in range(400)], None),
    ],
)
def test_values_decide(tmp_path: Path, header: str, values: list[str], expected: str | None) -> None:
    path = write_csv(tmp_path / "leads.csv", lead_rows(header, values))
    features = tomllib.loads(propose([str(path)], tmp_path).text)["features"]
    kinds = {f["kind"] for f in features.values() if f.get("column") == header} - {"attribute"}
    assert kinds == ({expected} if expected else set())


def test_a_free_text_that_sales_may_write_is_left_to_a_person(tmp_path: Path) -> None:
    values = [f"Called number {n}, they think about it and will answer later." for n in range(400)]
    path = write_csv(tmp_path / "leads.csv", lead_rows("Notes", values))
    text = propose([str(path)], tmp_path).text
    assert '# notes_words = {kind = "free_text", column = "Notes"' in text
    assert "notes_words" not in tomllib.loads(text)["features"]
