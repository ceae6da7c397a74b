import numpy as np
import pyarrow as pa
import pytest

from features.crm.parsing import as_numbers
from features.crm.values.formats import Decimal, NumberFormat, parse_formatted
from features.crm.values.numbers import NumberFinding, find_number_format
from serving.leads.field_types import parse_number


def find(*values: str) -> NumberFinding | None:
    texts = pa.chunked_array([values])
    return find_number_format(texts, not as_numbers(texts, ()).unreadable.any())


@pytest.mark.parametrize(
    ("text", "decimal", "unit", "number"),
    [
        ("$54,805.00 ", ".", "$", 54_805),
        ("USD 54,805", ".", "$", 54_805),
        ("1.234,56", ",", None, 1_234.56),
        ("1.234,56 €", ",", "€", 1_234.56),
        ("1'234.50", ".", None, 1_234.5),
        ("1 234,5", ",", None, 1_234.5),
        ("1\u202f234\u00a0567,5", ",", None, 1_234_567.5),
        ("1.500", ",", None, 1_500),
        ("1.500", ".", None, 1.5),
        ("(1,200)", ".", None, -1_200),
        ("($1,200.50)", ".", "$", -1_200.5),
        ("1,200-", ".", None, -1_200),
        ("−1,200", ".", None, -1_200),
        ("△1,200", ".", None, -1_200),
        ("￥1,200,000", ".", "円", 1_200_000),
        ("１，２００円", ".", "円", 1_200),
        ("120万円", ".", "円", 1_200_000),
        ("1,200千円", ".", "円", 1_200_000),
        ("1億2,000万円", ".", "円", 120_000_000),
        ("2.5億", ".", None, 250_000_000),
        ("50人", ".", "名", 50),
        ("1,500名", ".", "名", 1_500),
        ("45 %", ".", "%", 45),
        ("12,5%", ",", "%", 12.5),
        ("¥1,200-", ".", "円", 1_200),
        ("₹12,34,567", ".", "₹", 1_234_567),
        ("5k", ".", None, 5_000),
        ("$1.2M", ".", "$", 1_200_000),
        ("12 Employees", ".", "employees", 12),
        ("12 Mitarbeiter", ",", "Mitarbeiter", 12),
        ("50-100名", ".", "名", None),
        ("100名以上", ".", "名", None),
        ("€ 5", ".", "$", None),
        ("1,20", ".", None, None),
        ("1.2.3", ".", None, None),
        ("-(5)", ".", None, None),
        ("", ".", None, None),
        ("名", ".", "名", None),
    ],
)
def test_a_file_and_a_request_read_a_number_alike(
    text: str, decimal: Decimal, unit: str | None, number: float | None
) -> None:
    number_format = NumberFormat(decimal=decimal, unit=unit)
    assert parse_formatted(text, decimal, unit) == number
    parsed = as_numbers(pa.chunked_array([[text, None]]), {""}, number_format)
    assert np.isnan(parsed.values).tolist() == [number is None, True]
    assert parsed.unreadable.tolist() == [number is None and bool(text), False]
    if number is not None:
        assert parse_number(text, {""}, number_format) == parsed.values[0] == number
    elif text:
        with pytest.raises(ValueError, match=r"^$"):
            parse_number(text, {""}, number_format)


@pytest.mark.parametrize(
    ("values", "decimals", "unit"),
    [
        (("$54,805.00", "$1,200.50"), (".",), "$"),
        (("1.234,56", "12,50"), (",",), None),
        (("50名", "1,500名", "30人"), (".",), "名"),
        (("1.500名", "50名"), (",",), "名"),
        (("12%", "3 %"), (".",), "%"),
        (("$86.4K", "$1.25M"), (".",), "$"),
        (("120万円", "1.5億円"), (".",), "円"),
        (("(1,200)", "1,500.5"), (".",), None),
        (("50 Mitarbeiter", "7 Mitarbeiter"), (".",), "Mitarbeiter"),
        (("1.500 kg", "2.250 kg"), (".", ","), "kg"),
        (("1.500", "5"), (".", ","), None),
        (("5 €", "10 €"), (".",), "€"),
    ],
)
def test_the_format_is_found_from_all_values(
    values: tuple[str, ...], decimals: tuple[str, ...], unit: str | None
) -> None:
    finding = find(*values)
    assert finding is not None
    assert (finding.decimals, finding.unit) == (decimals, unit)


@pytest.mark.parametrize(
    "values",
    [
        ("50-100名", "1-49名"),
        ("A12", "B13"),
        ("L0001", "L0002"),
        ("1st", "2st"),
        ("3rd", "4rd"),
        ("007abc", "008abc"),
        ("12 apples", "3 pears"),
        ("9 AM", "10 AM"),
        ("web", "fair"),
    ],
)
def test_what_is_no_number_has_no_format(values: tuple[str, ...]) -> None:
    assert find(*values) is None


@pytest.mark.parametrize(
    "values", [("1.5", "12.250"), ("0.125", "1.250"), ("1234.500", "1.250"), ("1,234.500", "5")]
)
def test_other_values_of_the_column_prove_the_decimal_point(values: tuple[str, ...]) -> None:
    finding = find(*values)
    assert finding is not None
    assert (finding.is_proof, finding.decimals, finding.number_format) == (True, (".",), None)


def test_whole_numbers_need_no_format() -> None:
    assert find("5", "50", "1500") is None


def test_two_readings_and_two_currencies_are_questions() -> None:
    question = str(find("1.500", "5").describe("Employees", "leads"))  # type: ignore[union-attr]
    assert '{ "Employees" = { decimal = "." } } for 1.5,' in question
    assert '{ "Employees" = { decimal = "," } } for 1,500,' in question
    finding = find("$5", "€7")
    assert finding is not None
    assert not finding.is_settled
    assert "$ and €" in str(finding.describe("Amount", "leads"))
