from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import DataError
from serving.review.kpis.costs import Cost, CostFileError, cost_by_value, read_costs


def costs(folder: Path, text: str) -> Path:
    path = folder / "costs.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_costs_are_summed_by_what_they_tell(tmp_path: Path) -> None:
    parsed = read_costs(
        costs(
            tmp_path,
            'month,channel,campaign,amount\n2026-09,webinar,a,"1,000"\n'
            "2026-09,webinar,b,50\n2026-08,webinar,b,7\n2026-09,,c,9\n",
        )
    )
    assert cost_by_value(parsed, "channel", ["2026-09"]) == {"webinar": 1050.0}
    assert cost_by_value(parsed, "campaign", ["2026-08", "2026-09"]) == {"a": 1000.0, "b": 57.0, "c": 9.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("month,amount\n2026-13,1\n", "row 2, month: “2026-13”"),
        ("month,amount\n2026-09,-1\n", "row 2, amount"),
        ("month,amount\n2026-09,free\n", "“free”"),
        ("month,cost\n", "lacks the column amount"),
        ("month,amount,chanel\n", "a column chanel"),
        ("month,amount\n2026-09,nan\n", "row 2, amount"),
        ("month,amount\n\n2026-09,1\n2026-09,1,000\n", "row 4: more cells"),
        ("month,amount\n2026-09\n", "row 2, amount"),
        ('month,amount\n2026-09,"1,5"\n', "“1,5”"),
        ("", "lacks the column amount"),
        ("month,amount\n2026-9,1\n", "“2026-9”"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataError, match=r"costs\.csv") as problem:
        read_costs(costs(tmp_path, text))
    assert expected in str(problem.value)
    assert str(tmp_path) not in str(problem.value)  # reviewers need not know where it lies


@pytest.mark.parametrize("text", ["month,cost\n", "month,amount\nx,1\n", "month,amount\n2026-09,x\n"])
def test_what_is_wrong_is_told_in_japanese_too(tmp_path: Path, text: str) -> None:
    with pytest.raises(CostFileError) as problem:
        read_costs(costs(tmp_path, text))
    assert "costs.csvの" in problem.value.describe("ja") or "costs.csvに" in problem.value.describe("ja")


def test_empty_rows_of_a_spreadsheet_are_passed_over(tmp_path: Path) -> None:
    parsed = read_costs(costs(tmp_path, "month,channel,amount\n,,\n2026-09, fair ,5\n\n,,\n"))
    assert parsed == (Cost("2026-09", (("channel", "fair"),), 5.0),)


def test_a_file_that_excel_saved_in_another_code_is_told(tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    path.write_bytes("month,channel,amount\n2026-09,展示会,1\n".encode("cp932"))
    with pytest.raises(CostFileError, match="CSV UTF-8"):
        read_costs(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_costs(tmp_path / "none.csv")
