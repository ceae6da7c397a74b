from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from features.crm.parsing import as_times
from features.crm.values.find_times import (
    TimeFinding,
    find_number_times,
    find_time_formats,
    sounds_like_a_date,
    sounds_like_a_time,
)

START = datetime(2025, 1, 3, 7, 5)


def find(values: list[str], is_named: bool = True) -> TimeFinding | None:
    texts = pa.chunked_array([values])
    iso_ms = np.asarray(as_times(texts, (), ZoneInfo("UTC"), None).values, dtype=np.int64)
    return find_time_formats(texts, iso_ms, is_named)


def series(form: str, n: int = 60, hours: int = 41) -> list[str]:
    return [(START + timedelta(hours=hours * i)).strftime(form) for i in range(n)]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("%Y-%m-%d %H:%M", ()),
        ("%Y/%m/%d", ()),
        ("%Y-%m-%d %I:%M %p", ("%Y-%m-%d",)),
        ("%d.%m.%Y %H:%M", ("%d.%m.%Y",)),
        ("%m/%d/%Y %I:%M %p", ("%m/%d/%Y",)),
        ("%d/%m/%Y", ("%d/%m/%Y",)),
        ("%d-%m-%Y %H:%M:%S", ("%d-%m-%Y",)),
        ("%y/%m/%d", ("%y/%m/%d",)),
        ("%d %b %Y", ("%d %b %Y",)),
        ("%B %d, %Y", ("%b %d %Y",)),
        ("%a, %d %b %Y %H:%M:%S +0100", ("%d %b %Y",)),
        ("%d-%b-%y", ("%d %b %y",)),
        ("%Y年%m月%d日", ("%Y年%m月%d日",)),
        ("令和7年%m月%d日", ("japanese",)),
    ],
)
def test_the_format_of_a_column_is_found_from_all_its_values(form: str, expected: tuple[str, ...]) -> None:
    finding = find(series(form))
    assert finding is not None
    assert (finding.formats, finding.is_settled) == (expected, True)


def test_one_value_among_thousands_decides_the_order() -> None:
    values = [f"0{1 + i % 9}/0{1 + i % 8}/2026" for i in range(5_000)]
    assert find(values).is_ambiguous  # type: ignore[union-attr]
    finding = find([*values, "25/03/2026"])
    assert finding is not None
    assert (finding.formats, finding.is_settled) == (("%d/%m/%Y",), True)


def test_two_orders_that_fit_are_a_question_that_columns_beside_may_answer() -> None:
    finding = find(["03/04/2026", "05/06/2026", "07/07/2026"])
    assert finding is not None
    assert not finding.is_settled
    question = str(finding.describe("Created On", "leads"))
    assert "03/04/2026 may be 2026-04-03 or 2026-03-04" in question
    assert '{ "Created On" = "%d/%m/%Y" }' in question
    assert '{ "Created On" = "%m/%d/%Y" }' in question
    settled = finding.settle("mdy")
    assert (settled.formats, settled.is_settled, settled.read_example()) == (
        ("%m/%d/%Y",),
        True,
        "2026-03-04",
    )


def test_where_all_orders_read_the_same_days_there_is_no_question() -> None:
    assert find(["01/01/2026", "02/02/2026", "03/03/2026 09:00"]).is_settled  # type: ignore[union-attr]


def test_two_orders_in_one_column_are_named_with_rows() -> None:
    finding = find(["25/03/2026", "04/05/2026", "03/26/2026", "27/03/2026", "03/28/2026"])
    assert finding is not None
    assert finding.is_mixed
    assert "'03/26/2026' (row 3)" in str(finding.describe("at", "leads"))
    assert "'25/03/2026' (row 1)" in str(finding.describe("at", "leads"))
    assert finding.locate(np.arange(10, 15)).strays[0] == ("03/26/2026", 12)


def test_one_stray_value_does_not_hide_the_format() -> None:
    finding = find([*series("%d/%m/%Y", 300), "03/26/2026"])
    assert finding is not None
    assert (finding.formats, finding.is_settled) == (("%d/%m/%Y",), True)
    assert finding.strays == (("03/26/2026", 301),)


def test_dates_of_zeros_are_missing() -> None:
    finding = find(["0000-00-00", *series("%d.%m.%Y", 3), "0000-00-00"])
    assert finding is not None
    assert finding.formats == ("%d.%m.%Y",)
    assert find(["0000-00-00"]) is None


def test_two_shapes_in_one_column_have_a_format_each() -> None:
    finding = find([*series("%d.%m.%Y"), *series("%Y-%m-%d"), *series("%b %d, %Y %I:%M %p")])
    assert finding is not None
    assert finding.formats == ("iso", "%d.%m.%Y", "%b %d %Y")


@pytest.mark.parametrize(
    "values",
    [
        ["24286:35:06", "12:05:00"],
        ["50-100", "1-49"],
        ["A-12-2026", "B-13-2026"],
        ["web", "fair", "24.11.2026"],
        ["1.2.3", "1.10.4"],
        ["week 3 2026", "week 4 2026"],
    ],
)
def test_what_is_no_date_has_no_format(values: list[str]) -> None:
    assert find(values, is_named=False) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["46261.32", "45899", "46052.438"], "excel"),
        (["20261124", "20250830"], "%Y%m%d"),
        (["1795529100", "1735689600"], "epoch_s"),
        (["1795529100000", "1735689600000"], "epoch_ms"),
        (["1795529100000000000", "1735689600000000000"], "epoch_ns"),
        (["20261124140500", "20250830120000"], "%Y%m%d"),
        (["50", "500"], None),
        (["20261324", "20269999"], None),
        (["2025", "2026"], None),
    ],
)
def test_numbers_are_times_where_name_and_range_support_it(values: list[str], expected: str | None) -> None:
    finding = find_number_times(pa.chunked_array([values]), is_named=True)
    assert (finding.formats[0] if finding else None) == expected
    assert find_number_times(pa.chunked_array([values]), is_named=False) is None


def test_many_different_days_without_separators_need_no_name() -> None:
    assert find_number_times(pa.chunked_array([series("%Y%m%d")]), is_named=False) is not None
    codes = [str(20240100 + i) for i in range(60)]
    assert find_number_times(pa.chunked_array([codes]), is_named=False) is None


@pytest.mark.parametrize(
    "name",
    [
        "Created On",
        "createdate",
        "CLOSEDATE",
        "closed_at",
        "ActualCloseDate",
        "Start",
        "登録日時",
        "受注日",
        "Fecha",
    ],
)
def test_names_of_times(name: str) -> None:
    assert sounds_like_a_time(name)


@pytest.mark.parametrize(
    "name",
    [
        "Label",
        "Status",
        "Employees",
        "Zip code",
        "Date code",
        "Days to close",
        "Amount at close",
        "Candidate",
        "Lifetime",
        "Created by",
        "電話番号",
        "日数",
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not sounds_like_a_time(name)
    assert not sounds_like_a_date(name)
