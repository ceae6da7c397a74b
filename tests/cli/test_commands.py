from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest

import cli
from features import errors
from scoring.texts import translate
from tests.conftest import Demo
from tests.helpers.small_crm import command, replace_text, run, small_crm

Hotlead = Callable[..., tuple[int, str, str]]
HEAVY = ("pandas", "sklearn", "mlflow", "lightgbm", "pyarrow", "scipy", "optuna", "plotly")


@pytest.fixture
def hotlead(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hotlead:
    """Run a command in this process: exit code, what it printed, what it said on the side."""

    def run_here(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hotlead", *map(str, arguments)])
        monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
        try:
            cli.main()
            code: int = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_here


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, cli\n"
        "sys.argv = ['hotlead', '--help']\n"
        "try: cli.main()\n"
        f"except SystemExit: print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    completed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert "LOADED []" in completed.stdout


def test_help_answers_at_once() -> None:
    """The work is a few times that of importing Typer: the machine's speed and load count for both."""

    def seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, capture_output=True, check=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [(seconds(*command("--help")), seconds(sys.executable, "-c", "import typer")) for _ in range(3)]
    helps, typers = zip(*pairs, strict=True)
    assert min(helps) < 6 * min(typers), pairs


def test_the_version_is_that_of_the_package(hotlead: Hotlead) -> None:
    code, stdout, _ = hotlead("--version")
    assert (code, stdout) == (0, f"hotlead {version('hotlead')}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("train",),
        ("score", "--to", "scores.csv"),
        ("compare",),
        ("promote",),
        ("backtest",),
        ("rules", "show"),
        ("rules", "suggest"),
        ("serve",),
        ("import",),
        ("monitor",),
        ("keys", "list"),
    ],
)
def test_crm_toml_of_the_current_folder_is_taken_and_named_if_it_is_missing(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ended = run(*arguments, cwd=tmp_path)
    assert ended.returncode == 3
    assert ended.stderr.startswith("hotlead: crm.toml: there is no such file.")
    assert len(ended.stderr.splitlines()) == 1


def test_help_names_every_command(hotlead: Hotlead) -> None:
    code, stdout, _ = hotlead("--help")
    assert code == 0
    for name in (
        "demo",
        "start",
        "init",
        "check",
        "train",
        "score",
        "compare",
        "promote",
        "rollback",
        "backtest",
        "rules",
        "serve",
        "follow",
        "keys",
        "outcomes",
        "forget",
        "prune",
    ):
        assert f" {name} " in stdout


def test_exit_codes_are_documented() -> None:
    documentation = " ".join((cli.__doc__ or "").split())
    for name in ("SettingsError", "DataError", "OutsideError"):
        assert f" {getattr(errors, name).exit_code} " in documentation, name
    assert "130 stopped" in documentation


def test_init_check_train_and_score_work_one_after_another(
    tmp_path: Path, hotlead: Hotlead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a newcomer with an export, in the folder of the export."""
    small_crm(tmp_path).unlink()
    monkeypatch.chdir(tmp_path)
    code, stdout, _ = hotlead("init", "leads.csv", "deals.csv", "activities.csv")
    assert code == 0
    assert "Wrote crm.toml." in stdout
    assert "hotlead check crm.toml" in stdout
    code, stdout, _ = hotlead("check", "crm.toml")
    assert code == 0
    assert "300 leads, 290 closed" in stdout
    assert "hotlead train crm.toml" in stdout
    code, stdout, stderr = hotlead("train", "crm.toml")
    assert code == 0
    assert "hotlead version 1, challenger" in stdout
    assert "hotlead score crm.toml --to scores.csv" in stdout
    assert "reading the CRM" in stderr
    code, stdout, _ = hotlead("score", "crm.toml", "--to", "scores.csv")
    assert code == 0
    assert "Wrote 10 scored leads to scores.csv, highest score first" in stdout
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 11


def test_check_for_machines_is_one_json_object(demo: Demo, tmp_path: Path, hotlead: Hotlead) -> None:
    code, stdout, stderr = hotlead("check", demo.crm_toml, "--json", "--out", tmp_path)
    assert (code, stderr) == (0, "")
    read = json.loads(stdout)
    assert read["leads"] == 5_000
    assert {"status", "lost_reason", "signed_plan"} <= {f["column"] for f in read["findings"]}
    assert all(f["text"] for f in read["findings"])


def test_check_speaks_japanese(demo: Demo, tmp_path: Path, hotlead: Hotlead) -> None:
    _, stdout, _ = hotlead("check", demo.crm_toml, "--lang", "ja", "--out", tmp_path, "--json")
    assert all(
        any("\u3040" <= letter <= "\u9fff" for letter in f["text"]) for f in json.loads(stdout)["findings"]
    )


def test_score_for_machines_says_what_was_scored_by_whom(
    demo: Demo, tmp_path: Path, hotlead: Hotlead
) -> None:
    to = tmp_path / "scores.parquet"
    code, stdout, stderr = hotlead(
        "score", demo.crm_toml, "--to", to, "--out", demo.out, "--json", "--reasons", "none"
    )
    assert (code, stderr) == (0, "")
    read = json.loads(stdout)
    assert read["model"] == demo.model.version
    assert read["alias"] == "challenger"
    assert read["as_of"] == "2026-09-30T15:00:00Z"
    assert read["rows"] > 1_000


def test_score_prints_whom_to_call_why_and_what_next(demo: Demo, tmp_path: Path, hotlead: Hotlead) -> None:
    to = tmp_path / "scores.csv"
    code, stdout, _ = hotlead("score", demo.crm_toml, "--to", to, "--out", demo.out, "--lang", "ja")
    assert code == 0
    calls = [line for line in stdout.splitlines() if line[:4].strip().rstrip(".").isdigit()]
    assert len(calls) == 10
    assert stdout.count("スコアを上げた要因:") + stdout.count("スコアを上げた要因：") >= 9
    assert stdout.count("       → ") == 10


def test_score_as_of_a_moment_reads_it_in_the_zone_of_the_crm(
    demo: Demo, tmp_path: Path, hotlead: Hotlead
) -> None:
    arguments = ("score", demo.crm_toml, "--out", demo.out, "--json", "--reasons", "none", "--to")
    _, stdout, _ = hotlead(*arguments, tmp_path / "a.csv", "--as-of", "2026-06-01T00:00")
    assert json.loads(stdout)["as_of"] == "2026-05-31T15:00:00Z"
    _, stdout, _ = hotlead(*arguments, tmp_path / "b.csv", "--as-of", "2026-06-01T00:00Z")
    assert json.loads(stdout)["as_of"] == "2026-06-01T00:00:00Z"


def test_score_reads_given_leads_instead(demo_copy: Path, demo: Demo, hotlead: Hotlead) -> None:
    """A file of new leads with the columns of the leads' table; the deals are not looked at."""
    with sqlite3.connect(demo_copy.with_name("crm.db")) as database:
        leads = pd.read_sql("SELECT * FROM leads ORDER BY created_at DESC LIMIT 40", database)
    leads.to_csv(demo_copy.with_name("new.csv"), index=False)
    to = demo_copy.with_name("scores.csv")
    code, stdout, stderr = hotlead(
        "score", demo_copy, "--leads", demo_copy.with_name("new.csv"), "--to", to, "--out", demo.out, "--json"
    )
    assert code == 0, stderr
    assert json.loads(stdout)["rows"] == 40


def test_train_for_machines_tells_the_figures(tmp_path: Path) -> None:
    completed = run("train", small_crm(tmp_path), "--json")
    assert completed.returncode == 0, completed.stderr
    read = json.loads(completed.stdout)
    assert read["figures"]["model"]["log_loss"]["value"] > 0
    assert read["registered"] == "1"
    assert Path(read["report"]).exists()
    assert completed.stderr == ""


def test_demo_makes_trains_and_shows_whom_to_call(tmp_path: Path) -> None:
    completed = run("demo", "--leads", 1_500, "--out", tmp_path / "d", "--lang", "ja")
    assert completed.returncode == 0, completed.stderr
    assert " 10. L" in completed.stdout
    assert "hotlead score" in completed.stdout
    verdicts = ("ルールと同じ件数", translate("model_is_scorecard", "ja"))
    assert any(verdict in completed.stdout for verdict in verdicts)
    assert {path.name for path in (tmp_path / "d").iterdir()} == {
        "crm.db",
        "crm.toml",
        "scorecard.toml",
        "costs.csv",
        "truth.parquet",
        "scores.csv",
        "hotlead-out",
    }
    output_names = {path.name for path in (tmp_path / "d" / "hotlead-out").iterdir()}
    assert {"model", "report.html", "comparison-en.html", "comparison-ja.html", "store.db"} <= output_names


def test_rejected_rows_are_told_and_named(tmp_path: Path, hotlead: Hotlead) -> None:
    crm_toml = small_crm(tmp_path)
    replace_text(tmp_path / "deals.csv", "L0003,", "L9999,")
    code, stdout, _ = hotlead("check", crm_toml)
    assert code == 0
    assert "L9999" in stdout
    rejects = tmp_path / "hotlead-out" / "rejects.csv"
    assert str(rejects) in stdout
    assert "L9999" in rejects.read_text()
