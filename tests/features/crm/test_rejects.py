from pathlib import Path

import pytest

from features.crm.rejects import Reject, Rejects
from features.crm.sources.rows import cell_count
from features.errors import DataError, OutsideError
from features.messages import Message
from tests.helpers.builders import read_rejects


def bad(row: int, value: str = "x", column: str = "at", file: str = "a.csv") -> Reject:
    return Reject("leads", file, row, column, value, Message("is not a date"))


def test_a_row_with_two_faults_is_left_out_once() -> None:
    rejects = Rejects([bad(1), bad(1, column="type"), bad(1, file="b.csv"), bad(2)])
    assert rejects.count_left_out("leads") == 3
    assert rejects.count_left_out("deals") == 0


def test_the_share_may_be_reached_but_not_passed(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    rejects = Rejects([bad(1)])
    rejects.read["leads"] = 20
    rejects.check(0.05, path)
    assert not path.exists()
    rejects.read["leads"] = 19
    with pytest.raises(DataError) as problem:
        rejects.check(0.05, path)
    assert "leads: 1 of 19 rows cannot be used, more than max_reject_share = 0.05" in str(problem.value)
    assert f"Each is named in {path}." in str(problem.value)
    assert [row["row"] for row in read_rejects(tmp_path)] == ["1"]


def test_values_that_are_emptied_stop_nothing(tmp_path: Path) -> None:
    rejects = Rejects(values=[bad(n) for n in range(9)])
    rejects.read["leads"] = 9
    rejects.check(0, tmp_path / "rejects.csv")


def test_the_summary_counts_reasons_and_shows_the_commonest_values() -> None:
    rows = [bad(n, value) for n, value in enumerate(["x", "x", "y", "z", "w", "x"])]
    summary = Rejects(rows, [Reject("deals", "d.csv", 1, "sum", "?", Message("is not a number"))]).summary()
    assert str(summary).splitlines() == [
        "  leads, column at: 6 rows left out, is not a date: 'x' (3), 'y' (1), 'z' (1) and 1 more values",
        "  deals, column sum: 1 values emptied, is not a number: '?' (1)",
    ]


def test_the_file_holds_every_row_and_value_with_its_reason(tmp_path: Path) -> None:
    value = Reject("deals", "d.csv", 3, "金額", '改\n行, "x"', Message("is not a number"))
    Rejects([bad(7)], [value]).write(tmp_path / "rejects.csv")
    keys = ("table", "file", "row", "column", "value", "reason", "left_out")
    assert [tuple(row[k] for k in keys) for row in read_rejects(tmp_path)] == [
        ("leads", "a.csv", "7", "at", "x", "is not a date", "row"),
        ("deals", "d.csv", "3", "金額", '改\n行, "x"', "is not a number", "value"),
    ]


def test_reasons_are_written_in_the_language(tmp_path: Path) -> None:
    rejects = Rejects([bad(1), Reject("leads", "a.csv", 2, "", cell_count(3), Message("a lead needs an id"))])
    rejects.write(tmp_path / "rejects.csv", "ja")
    rows = [(row["value"], row["reason"]) for row in read_rejects(tmp_path)]
    assert rows[1] == ("3個のセル", "リードにはIDが必要です")
    assert "列「at」" in rejects.summary().text("ja")


def test_a_rejects_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutsideError, match=r"rejects\.csv: cannot be written"):
        Rejects([bad(1)]).write(tmp_path / "file" / "rejects.csv")
