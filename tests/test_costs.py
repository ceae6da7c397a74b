from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import DataError
from serving.review.costs import cost_by, read_costs


def costs(folder: Path, text: str) -> Path:
    path = folder / "costs.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_costs_are_summed_by_what_they_tell(tmp_path: Path) -> None:
    told = read_costs(costs(tmp_path, "month,channel,campaign,amount\n2026-09,webinar,a,\"1,000\"\n"
                                      "2026-09,webinar,b,50\n2026-08,webinar,b,7\n2026-09,,c,9\n"))  # fmt: skip
    assert cost_by(told, "channel", ["2026-09"]) == {"webinar": 1050.0}
    assert cost_by(told, "campaign", ["2026-08", "2026-09"]) == {"a": 1000.0, "b": 57.0, "c": 9.0}


@pytest.mark.parametrize(
    ("text", "told"),
    [("month,amount\n2026-13,1\n", "row 2, month: '2026-13'"), ("month,amount\n2026-09,-1\n", "row 2, amount"),
     ("month,amount\n2026-09,free\n", "'free'"), ("month,cost\n", "lacks the column amount"),
     ("month,amount,chanel\n", "no column 'chanel'"), ("month,amount\n2026-09,nan\n", "row 2, amount")],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DataError, match=r"costs\.csv") as problem:
        read_costs(costs(tmp_path, text))
    assert told in str(problem.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_costs(tmp_path / "none.csv")
