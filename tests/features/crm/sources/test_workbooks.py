from datetime import date, datetime
from pathlib import Path

import pytest

from features.crm.table_settings import Source
from features.crm.tables import read_rows
from features.errors import DataError, SettingsError
from tests.helpers.exports.initialised import HEAD, csv_text, export_rows, init_files, init_text
from tests.helpers.exports.workbooks import write_workbook

Row = list[object]


def typed_rows() -> list[Row]:
    """The leads with times, dates and numbers as Excel holds them."""
    return [
        [
            i,
            datetime.fromisoformat(f"{day} 07:40:50"),
            status,
            date.fromisoformat(end) if end else None,
            s,
            int(n),
        ]
        for i, day, status, end, s, n in export_rows()
    ]


def test_a_workbook_is_read_like_the_csv_beside_it(tmp_path: Path) -> None:
    write_workbook(tmp_path / "leads.xlsx", {"Leads": [HEAD, *typed_rows()]})
    result = init_files(tmp_path, "leads.xlsx")
    assert result.file_format == {}
    assert result.is_complete
    plain = init_text(
        tmp_path, csv_text([["" if c is None else str(c) for c in row] for row in typed_rows()])
    )
    assert (result.loaded.crm.created == plain.loaded.crm.created).all()
    assert result.loaded.crm.attributes.keys() == plain.loaded.crm.attributes.keys()


def test_the_sheet_with_the_data_is_found(tmp_path: Path) -> None:
    sheets = {
        "Pivot": [["Status", "Count"], ["won", 20], ["lost", 40], ["open", 20]],
        "Data": [HEAD, *typed_rows()],
        "Old": [HEAD, *typed_rows() * 2],
    }
    write_workbook(tmp_path / "leads.xlsx", sheets, hidden=["Old"])
    result = init_files(tmp_path, "leads.xlsx")
    assert result.file_format == {"sheet": "Data"}
    assert result.is_complete
    assert "leads.xlsx: no table of leads in the sheets Pivot, Old." in result.notes


def test_several_sheets_are_several_tables(tmp_path: Path) -> None:
    rows = typed_rows()
    leads: list[Row] = [["id", "created_at", "source"], *([r[0], r[1], r[4]] for r in rows)]
    deals: list[Row] = [["lead_id", "status", "closed_at"], *([r[0], r[2], r[3]] for r in rows if r[3])]
    write_workbook(tmp_path / "crm.xlsx", {"Leads": leads, "Deals": deals})
    result = init_files(tmp_path, "crm.xlsx")
    assert result.settings.leads.sheet == "Leads"
    assert result.settings.deals
    assert result.settings.deals.sheet == "Deals"
    assert result.is_complete


def test_sheets_with_the_same_columns_are_one_table(tmp_path: Path) -> None:
    rows = typed_rows()
    sheets = {"2025": [["A"], HEAD, *rows[:40]], "2026": [["B"], HEAD, *rows[40:]], "Notes": [["x"]]}
    write_workbook(tmp_path / "leads.xlsx", sheets)
    result = init_files(tmp_path, "leads.xlsx")
    assert result.file_format == {"skip_rows": 1, "sheet": ("2025", "2026")}
    assert result.is_complete
    assert read_rows(result.settings.leads, tmp_path).locate(41) == ("leads.xlsx, 2026", 1)
    write_workbook(tmp_path / "leads.xlsx", {**sheets, "2026": [HEAD, *rows[40:]]})
    with pytest.raises(DataError, match="have the same columns, but the header in rows 2 and 1"):
        init_files(tmp_path, "leads.xlsx")


def test_a_report_with_a_title_an_empty_column_and_a_total(tmp_path: Path) -> None:
    rows: list[Row] = [
        ["Lead report"],
        [None],
        ["Created", "all"],
        [None],
        [None, *HEAD],
        *([None, *row] for row in typed_rows()),
        [None],
        [None, "Total", None, None, None, None, 1234],
        [None],
    ]
    write_workbook(tmp_path / "leads.xlsx", {"Report": rows})
    result = init_files(tmp_path, "leads.xlsx")
    assert result.file_format == {"skip_rows": 4, "skip_footer": 1}
    assert result.is_complete
    assert result.loaded.leads.column_names == list(HEAD)


def test_a_footer_of_a_workbook_that_is_not_there_next_time(tmp_path: Path) -> None:
    write_workbook(
        tmp_path / "t.xlsx", {"T": [HEAD, *typed_rows(), [None], ["Total", None, None, None, None, 3]]}
    )
    source = init_files(tmp_path, "t.xlsx").settings.leads
    assert source.skip_footer == 1
    write_workbook(tmp_path / "t.xlsx", {"T": [HEAD, *typed_rows()]})
    with pytest.raises(DataError, match="looks like data"):
        read_rows(source, tmp_path)


def test_cells_of_several_kinds_and_whole_numbers(tmp_path: Path) -> None:
    rows: list[Row] = [
        ["a", "b", "c", "d"],
        [1.0, "007", True, 1.5],
        [2.0, 7, False, 2],
        [None, None, None, None],
    ]
    write_workbook(tmp_path / "t.xlsx", {"T": [*rows, [None] * 4, [3, "x", True, ""]]})
    days = [["day", "time"], [date(2026, 1, 2), datetime(2026, 1, 2)], [None, datetime(2026, 1, 3, 9)]]
    write_workbook(tmp_path / "d.xlsx", {"T": days})
    schema = read_rows(Source(source="d.xlsx"), tmp_path).table.schema
    assert [str(kind) for kind in schema.types] == ["date32[day]", "timestamp[us]"]
    table = read_rows(Source(source="t.xlsx"), tmp_path).table
    assert table.to_pydict() == {
        "a": [1, 2, 3],
        "b": ["007", "7", "x"],
        "c": [True, False, True],
        "d": [1.5, 2, None],
    }


def test_a_missing_sheet_is_named_with_the_nearest(tmp_path: Path) -> None:
    write_workbook(tmp_path / "t.xlsx", {"Leads": [["id"], [1]], "Notes": [["x"]]})
    with pytest.raises(SettingsError, match="there is no sheet 'Lead'; nearest: 'Leads'"):
        read_rows(Source(source="t.xlsx", sheet="Lead"), tmp_path)
    (tmp_path / "t.csv").write_text("id\n1\n")
    with pytest.raises(SettingsError, match="`sheet` belongs to an Excel workbook"):
        read_rows(Source(source="t.csv", sheet="Leads"), tmp_path)


def test_workbooks_that_are_no_tables(tmp_path: Path) -> None:
    write_workbook(tmp_path / "t.xlsx", {"A": [["a text"]]})
    with pytest.raises(DataError, match=r"no sheet holds a table \(A\)"):
        init_files(tmp_path, "t.xlsx")
    write_workbook(tmp_path / "t.xlsx", {"A": typed_rows()})
    with pytest.raises(DataError, match="sheet 'A': has no line with the names of its columns"):
        init_files(tmp_path, "t.xlsx")
    cut = [[4592450000000001234 + i, *row[1:]] for i, row in enumerate(typed_rows())]
    write_workbook(tmp_path / "t.xlsx", {"A": [HEAD, *cut]})
    with pytest.raises(DataError, match=r"80 ids such as '4\.59245E"):
        init_files(tmp_path, "t.xlsx")
