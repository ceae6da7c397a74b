"""`hotlead forget --file`: what counts as a list of ids, and how it is erased."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from features.errors import DataError, HotleadError
from features.settings import load_settings
from serving.jobs.export_training_data import export_store
from serving.jobs.forget_lead import forget
from serving.jobs.lead_ids import find_files_with_ids, read_lead_ids
from serving.store.store import Store
from tests.helpers.service.live_service import settings_of
from tests.helpers.service.stores import MOMENT_MS, activity, add_predictions, add_records, hot, record
from tests.helpers.small_crm import run, small_crm

COUNT = 2_500
"""More than one chunk of ids."""


@pytest.mark.parametrize(
    ("content", "ids"),
    [
        ("L1\nL2\nL1\n\n L3 \n", ["L1", "L2", "L3"]),
        ("name,lead_id\nA,L1\nB,L2\n", ["L1", "L2"]),
        ('\ufeff番号;名前\nL1;"A;B"\n', ["L1"]),
        ("L1,A\nL2,B\n", ["L1", "L2"]),
    ],
    ids=["text", "named", "of the CRM", "first"],
)
def test_ids_are_read(tmp_path: Path, content: str, ids: list[str]) -> None:
    path = tmp_path / "ids.csv"
    path.write_text(content, encoding="utf-8")
    assert read_lead_ids(path, crm_column="番号") == ids


def test_another_column_and_a_japanese_encoding(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_bytes("名前\tID\n山田\tL1\n".encode("cp932"))
    assert read_lead_ids(path, "ID") == ["L1"]
    with pytest.raises(HotleadError, match=r"no column 'Id'; it has"):
        read_lead_ids(path, "Id")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "no ids"),
        (b"lead_id\n", "no ids"),
        (b"PAR1\x00\x01", "is no CSV file"),
        (b"x" * 500, "is no id of a lead"),
        (b'"' + b"x" * 200_000, "is no CSV file"),
    ],
    ids=["empty", "names alone", "binary", "long", "an open quote"],
)
def test_nonsense_is_refused_in_one_sentence(tmp_path: Path, content: bytes, match: str) -> None:
    (tmp_path / "ids.csv").write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_lead_ids(tmp_path / "ids.csv")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HotleadError, match="cannot be read"):
        read_lead_ids(tmp_path / "none.csv")


def test_ids_are_found_in_files_as_a_whole(tmp_path: Path) -> None:
    texts = {"a": "x,L1\n", "b": "x,L10\n", "c": "mail a.b@c.jp said\n", "d": "xa.b@c.jp\n", "e": "；？\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    paths = find_files_with_ids(sorted(tmp_path.iterdir()), ["L1", "a.b@c.jp", "？", *map(str, range(9_000))])
    assert [path.name for path in paths] == ["a", "c", "e"]


def test_the_leads_of_a_file_are_erased_and_counted(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=2)
    settings = settings_of(crm_toml)
    with closing(Store.open(settings.store_url, settings.spool)) as store:
        add_records(store, *(activity(f"k{n}", lead_id=f"X{n}") for n in range(COUNT)))
        add_predictions(store, hot("X5"), hot("stays"))
    (tmp_path / "ids.txt").write_text("\n".join(f"X{n}" for n in range(COUNT + 7)))
    completed = run("forget", "--file", tmp_path / "ids.txt", crm_toml, "--yes", "--json")
    assert completed.returncode == 0, completed.stderr
    result = json.loads(completed.stdout)
    assert (result["erased"], result["not_known"]) == (COUNT, 7)
    assert (result["store"]["activities"], result["store"]["predictions"]) == (COUNT, 1)
    with closing(Store.open(settings.store_url, settings.spool)) as store:
        assert list(store.leads([f"X{n}" for n in range(COUNT)])) == []
        assert len(store.scores("stays")) == 1
    assert b"X1" not in (settings.out / "store.db").read_bytes()


def test_counts_are_said_in_a_sentence(tmp_path: Path) -> None:
    settings = settings_of(small_crm(tmp_path, leads=2))
    result = forget(settings, ["a", "b"], [], {})
    assert str(next(iter(result.lines()))).startswith("leads: 0 erased, 0 erased before, 2 not known")


def test_the_training_data_of_the_store_are_erased_too(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=2)
    settings = settings_of(crm_toml)
    with closing(Store.open(settings.store_url, settings.spool)) as store:
        add_records(
            store, *(record("leads", i, lead_id=i, attributes={}, created_at=MOMENT_MS) for i in ("X1", "X2"))
        )
        add_records(store, activity("a1", lead_id="X1"), activity("a2", lead_id="X2"))
        export_store(store, load_settings(crm_toml), crm_toml, settings.out, 2 * MOMENT_MS, False)
    folder = settings.out / "from-store"
    result = forget(settings, ["X1"], [], {})
    assert {path.stem: rows for path, rows in result.training_data.items()} == {"leads": 1, "activities": 1}
    leads = [pq.read_table(path)["lead_id"].to_pylist() for path in folder.glob("*.parquet")]
    assert {lead for column in leads for lead in column} == {"X2"}


def test_either_a_lead_or_a_file(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=2)
    (tmp_path / "ids.txt").write_text("L1\n")
    for arguments, words in (
        (["L1", crm_toml, "--file", tmp_path / "ids.txt"], "Name one of these"),
        ([], "Name the lead to erase"),
    ):
        completed = run("forget", *arguments, "--yes")
        assert (completed.returncode, words in completed.stderr) == (3, True), completed.stderr
