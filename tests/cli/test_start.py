"""`hotlead start`: from an export to the first list of calls, alone and again, and where it stops."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from scoring.scorecard.load import SCORECARD_FILE
from tests.helpers.small_crm import run, small_crm

TABLES = ("leads.csv", "deals.csv", "activities.csv")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with an export in which `hotlead start` ran, and what it printed."""
    folder = tmp_path_factory.mktemp("started")
    small_crm(folder, leads=500).unlink()
    ended = run("start", *TABLES, cwd=folder)
    assert ended.returncode in (0, 6), ended.stderr
    return folder, ended.stdout


@pytest.mark.slow
def test_one_command_ends_with_the_list_the_pages_and_the_next_steps(started: tuple[Path, str]) -> None:
    folder, stdout = started
    for name in (
        "crm.toml",
        SCORECARD_FILE,
        "scores.csv",
        "hotlead-out/start-en.html",
        "hotlead-out/report.html",
    ):
        assert (folder / name).is_file(), name
    assert "10 open leads are scored" in stdout
    for heading in ("Call these first", "What was read", "What the gate said", "What to do next"):
        assert heading in stdout
    page = (folder / "hotlead-out" / "start-ja.html").read_text(encoding="utf-8")
    assert "最初に対応するリード" in page
    assert "採用基準の判定" in page
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert first["lead_id"] in stdout
    assert first["lead_id"] in page


@pytest.mark.slow
def test_a_second_run_reuses_the_files_and_the_model(started: tuple[Path, str], tmp_path: Path) -> None:
    """Also in a copy of the folder, whose own scorecard is kept."""
    folder = tmp_path / "copy"
    shutil.copytree(started[0], folder)
    before_files = {name: (folder / name).read_bytes() for name in ("crm.toml", SCORECARD_FILE)}
    report = (folder / "hotlead-out" / "report.html").stat().st_mtime_ns
    before = json.loads(run("score", "--to", "s.csv", "--json", cwd=folder).stdout)
    ended = run("start", "--json", cwd=folder)
    assert ended.returncode in (0, 6), ended.stderr
    read = json.loads(ended.stdout)
    assert read["model"] == before["model"]
    assert not read["scorecard_written"]
    assert {name: (folder / name).read_bytes() for name in before_files} == before_files
    assert (folder / "hotlead-out" / "report.html").stat().st_mtime_ns == report


def test_a_file_that_crm_toml_does_not_read_is_named(tmp_path: Path) -> None:
    small_crm(tmp_path)
    ended = run("start", "leads.csv", "newer.csv", "--lang", "en", cwd=tmp_path)
    assert ended.returncode == 3
    assert "does not read newer.csv" in ended.stderr


def test_without_files_and_crm_toml_it_says_what_to_name(tmp_path: Path) -> None:
    ended = run("start", cwd=tmp_path)
    assert ended.returncode == 3
    assert "Name the files of your export" in ended.stderr
    assert "データのファイルを指定" in run("start", "--lang", "ja", cwd=tmp_path).stderr


def test_the_tables_of_a_database_are_those_that_are_named(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
        connection.execute("CREATE TABLE leads (id TEXT)")
    for command in ("start", "init"):
        ended = run(command, "sqlite:///crm.db", "--table", "lead", "--lang", "en", cwd=tmp_path)
        assert ended.returncode == 3, ended.stderr
        assert "there is no table 'lead'; nearest: 'leads'" in ended.stderr
    ended = run("start", "leads.csv", "--table", "leads", "--lang", "ja", cwd=tmp_path)
    assert "--table にはデータベースの表の名前を指定します" in ended.stderr


def test_with_few_wins_the_rules_make_the_list(tmp_path: Path) -> None:
    small_crm(tmp_path, leads=60, win_rate=0.1).unlink()
    ended = run("start", *TABLES, "--lang", "ja", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    page = (tmp_path / "hotlead-out" / "start-ja.html").read_text(encoding="utf-8")
    assert "ルールだけで判定しています" in page
    assert "モデルはまだ作れません" in page
    assert "成約は9件で、モデルには20件必要です（あと11件）" in page
    with (tmp_path / "scores.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert {row["fallback"] for row in rows} == {"no_model"}
    card = (tmp_path / SCORECARD_FILE).read_text(encoding="utf-8")
    assert "成約件数が少なく" in card
    second = json.loads(run("start", "--json", cwd=tmp_path).stdout)
    assert second["list"]["model"] is None
    assert (tmp_path / SCORECARD_FILE).read_text(encoding="utf-8") == card


def test_days_that_two_orders_fit_stop_it_before_anything_is_scored(tmp_path: Path) -> None:
    write_export(tmp_path / "leads.csv", "%d/%m/%Y", days=range(1, 13))
    ended = run("start", "leads.csv", cwd=tmp_path)
    assert ended.returncode == 4
    assert "needs a decision" in ended.stderr
    assert " or 2025-" in ended.stderr
    assert "time_formats" in (tmp_path / "crm.toml").read_text(encoding="utf-8")
    assert not (tmp_path / "scores.csv").exists()
    ended = run("init", "leads.csv", "--force", cwd=tmp_path)
    assert ended.returncode == 7
    assert "Decide before you go on" in ended.stdout


def test_an_export_without_an_open_lead_has_a_model_and_no_list(tmp_path: Path) -> None:
    write_export(
        tmp_path / "leads.csv", "%Y-%m-%d", days=range(1, 29), words=("Won", "Lost", "Lost"), count=60
    )
    ended = run("start", "leads.csv", cwd=tmp_path)
    assert ended.returncode in (0, 6), ended.stderr
    assert "No lead is open" in ended.stdout
    assert not (tmp_path / "scores.csv").exists()


def write_export(
    path: Path,
    form: str,
    days: range,
    words: tuple[str, ...] = ("Won", "Lost", "Lost", "Open"),
    count: int = 300,
) -> None:
    """A table of leads in one year, on some days of the months only."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Lead ID", "Created Date", "Status", "Industry"])
        for i in range(count):
            created = datetime(2025, 1 + i * 12 // count, int(rng.choice(list(days))), tzinfo=UTC)
            word = words[int(rng.integers(len(words)))]
            row = [f"L{i:04d}", created.strftime(form), word, rng.choice(["IT", "Retail"])]
            writer.writerow(row)
