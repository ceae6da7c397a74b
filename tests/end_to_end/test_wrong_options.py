"""Wrong options of the commands: one clear sentence, the documented exit code, no half-written file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Demo
from tests.helpers.failing import run_failing
from tests.helpers.small_crm import listing, run, small_crm


def test_init_keeps_an_existing_crm_toml_unless_forced(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    original, files = crm_toml.read_text(), [tmp_path / f"{n}.csv" for n in ("leads", "deals")]
    code, message = run_failing("init", *files, "--to", crm_toml)
    assert code == 3
    assert "exists already" in message
    assert "--force" in message
    assert crm_toml.read_text() == original
    assert run("init", *files, "--to", crm_toml, "--force").returncode == 0
    assert crm_toml.read_text() != original


@pytest.mark.parametrize(
    ("option", "value", "code", "expected_text"),
    [
        ("--as-of", "yesterday", 3, "2026-10-01T09:00+09:00"),
        ("--as-of", "2026-13-40", 3, "'2026-13-40' is not a time"),
        ("--as-of", "1999-01-01", 4, "no open lead"),
        ("--to", "scores.xlsx", 3, ".parquet or .csv"),
        ("--to", "sqlite:////no/such/folder/x.db", 5, "/no/such/folder"),
        ("--leads", "no-such-file.csv", 3, "there is no such file"),
    ],
)
def test_wrong_options_of_score_are_named(
    option: str,
    value: str,
    code: int,
    expected_text: str,
    demo: Demo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"--to": "scores.csv", option: value}
    arguments = [part for pair in options.items() for part in pair]
    exit_code, sentence = run_failing("score", demo.crm_toml, "--out", demo.out, *arguments)
    assert exit_code == code
    assert expected_text in sentence
    assert listing(tmp_path) == set()


def test_as_of_in_the_future_is_refused(tmp_path: Path, demo: Demo) -> None:
    crm_toml = small_crm(tmp_path)
    before = listing(tmp_path)
    code, message = run_failing(
        "score", crm_toml, "--to", tmp_path / "s.csv", "--as-of", "2999-01-01", "--out", demo.out
    )
    assert code == 3
    assert "future" in message
    assert listing(tmp_path) == before


def test_score_before_train_names_train(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    before = listing(tmp_path)
    code, message = run_failing("score", crm_toml, "--to", tmp_path / "scores.csv")
    assert code == 3
    assert "hotlead train" in message
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "crm.toml"],
        ["sell"],
        ["demo", "--leads", "3"],
        ["train", "crm.toml", "--seed", "-1"],
        ["train", "crm.toml", "--lang", "fr"],
    ],
)
def test_wrong_use_of_a_command_exits_with_2(arguments: list[str], tmp_path: Path) -> None:
    completed = run(*arguments, cwd=tmp_path)
    assert completed.returncode == 2
    assert "Traceback" not in completed.stderr
    assert listing(tmp_path) == set()
