import json
from pathlib import Path
from typing import Any

import pytest

from features.crm.table_settings import Source
from features.crm.tables import read_rows
from features.errors import DataError, SettingsError
from tests.helpers.exports.initialised import HEAD, Initialised, export_rows, init_files, init_text


def records() -> list[dict[str, Any]]:
    return [
        dict(zip(HEAD, [*row[:3], row[3] or None, row[4], int(row[5])], strict=True)) for row in export_rows()
    ]


def init_json(
    folder: Path, document: object, name: str = "leads.json", encoding: str = "utf-8"
) -> Initialised:
    return init_text(folder, json.dumps(document, ensure_ascii=False), name, encoding)


@pytest.mark.parametrize("key", ["results", "records", "value", "data", "items"])
def test_a_list_under_one_key(tmp_path: Path, key: str) -> None:
    result = init_json(tmp_path, {key: records(), "paging": None, "total": 80})
    assert result.is_complete
    assert result.notes == ()
    assert set(result.loaded.crm.attributes) == {"source", "employees"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932"])
def test_a_plain_list_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    leads = [{**record, "source": "展示会" if i % 2 else "検索"} for i, record in enumerate(records())]
    assert init_json(tmp_path, leads, encoding=encoding).is_complete


@pytest.mark.parametrize("name", ["leads.jsonl", "leads.ndjson", "leads.json", "leads.txt"])
def test_one_object_a_line(tmp_path: Path, name: str) -> None:
    assert init_text(tmp_path, "\n".join(map(json.dumps, records())) + "\n", name).is_complete


def test_properties_of_hubspot_and_pages(tmp_path: Path) -> None:
    results = [
        {
            "id": record["id"],
            "properties": {k: v for k, v in record.items() if k != "id"},
            "archived": False,
            "associations": {"contacts": {"results": _contacts("101", "101", "205")}},
            "lines": [{"product": "x", "price": 1}],
        }
        for record in records()
    ]
    result = init_json(tmp_path, {"results": results, "paging": {"next": {"after": "80"}}})
    assert result.is_complete
    page, lists = result.notes
    assert "is one page of several (paging.next): its 80 records are not all" in page
    assert "lines left out: lists of records" in lists
    assert result.loaded.leads["associations.contacts.results"][0].as_py() == "101;205"


def _contacts(*ids: str) -> list[dict[str, str]]:
    return [{"id": id, "type": "deal_to_contact"} for id in ids]


def test_fields_of_kintone(tmp_path: Path) -> None:
    leads = [
        {
            **{key: {"type": "SINGLE_LINE_TEXT", "value": value} for key, value in record.items()},
            "作成者": {"type": "CREATOR", "value": {"code": f"u{i % 3}", "name": f"n{i % 3}"}},
            "選択": {"type": "CHECK_BOX", "value": ["a", "b"][: i % 3]},
            "担当": {
                "type": "USER_SELECT",
                "value": [{"code": "x", "name": "X"}, {"code": "y", "name": "Y"}],
            },
            "明細": {
                "type": "SUBTABLE",
                "value": [{"id": "1", "value": {"n": {"type": "NUMBER", "value": "1"}}}],
            },
        }
        for i, record in enumerate(records())
    ]
    result = init_json(tmp_path, {"records": leads})
    assert result.is_complete
    assert result.loaded.leads["作成者.code"].to_pylist()[:2] == ["u0", "u1"]
    assert result.loaded.leads["選択"].to_pylist()[:3] == [None, "a", "a;b"]
    assert result.loaded.leads["担当"][0].as_py() == "x;y"
    assert any("明細 left out" in note for note in result.notes)


def test_nested_names_are_joined_by_a_point(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '[{"Id": "1", "Owner": {"Name": "x", "Profile": {"Id": 2}}}, {"Id": "2"}]'
    )
    table = read_rows(Source(source="a.json"), tmp_path).table
    assert table.to_pydict() == {"Id": ["1", "2"], "Owner.Name": ["x", None], "Owner.Profile.Id": [2, None]}


def test_a_name_in_two_objects_of_a_record_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"fields": {"a": 1}, "properties": {"a": 2}}\n{"fields": {"a": 3}}\n')
    assert read_rows(Source(source="a.jsonl"), tmp_path).table.to_pydict() == {"a": [1, 3]}


def test_values_of_several_types_are_texts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": true, "c": "x"}\n{"a": "2", "b": "no", "c": false}\n')
    table = read_rows(Source(source="a.jsonl"), tmp_path).table
    assert table.to_pydict() == {"a": ["1", "2"], "b": ["true", "no"], "c": ["x", None]}


def test_pages_are_one_table(tmp_path: Path) -> None:
    pages = [records()[:50], [{**record, "mark": 1} for record in records()[50:]]]
    for number, page in enumerate(pages, start=1):
        further = {"next": "x"} if number == 1 else None
        (tmp_path / f"page-{number}.json").write_text(json.dumps({"results": page, "paging": further}))
    result = init_files(tmp_path, "page-*.json")
    assert result.is_complete
    assert result.notes == ()
    rows = read_rows(Source(source="page-*.json"), tmp_path)
    assert rows.locate(51) == ("page-2.json", 1)


def test_a_key_of_records_is_asked_for_where_two_fit(tmp_path: Path) -> None:
    document = {"data": {"leads": records(), "deals": records()}}
    (tmp_path / "leads.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"holds 2 lists of records \(data.leads, data.deals\); name one"):
        read_rows(Source(source="leads.json"), tmp_path)
    assert read_rows(Source(source="leads.json", records="data.deals"), tmp_path).read == 80


def test_several_lists_are_several_tables(tmp_path: Path) -> None:
    leads = [{key: record[key] for key in ("id", "created_at", "source")} for record in records()]
    deals = [{"lead_id": r["id"], **{k: r[k] for k in ("status", "closed_at")}} for r in records()]
    document = {
        "leads": leads,
        "deals": [d for d in deals if d["status"] != "open"],
        "fields": [{"name": "x"}],
    }
    result = init_json(tmp_path, document)
    assert result.settings.leads.records == "leads"
    assert result.settings.deals
    assert result.settings.deals.records == "deals"
    assert result.is_complete


def test_json_that_is_no_table(tmp_path: Path) -> None:
    for text, why in (
        ("[1, 2]", "holds no list of objects"),
        ('{"results": []}', "holds no list of objects"),
        (json.dumps(records())[:500], "is not JSON .* Is it whole"),
        ('{"a": 1}\n{"a": 2', "line 2: is not JSON"),
        ('{"a": 1}\n[2]', "line 2: .* is no JSON object"),
    ):
        with pytest.raises(DataError, match=why):
            init_text(tmp_path, text, "leads.json")
    (tmp_path / "a.json").write_text('[{"id": 1}]')
    with pytest.raises(SettingsError, match=r"no column 'ids' as crm\.toml says; nearest: 'id'"):
        read_rows(Source(source="a.json"), tmp_path, ["ids"])
