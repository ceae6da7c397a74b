"""With --lang ja every line of a command is Japanese, errors too."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_commands import Hotlead, hotlead
from tests.helpers.small_crm import command, replace_text, small_crm

__all__ = ["hotlead"]

NO_WORDS = re.compile(r"`[^`]*`|「[^」]*」|(?:hotlead|curl) .*|\S*[/=._:\-]\S*|\[[a-z_ .]+\]")
"""Parts that are the same in every language: commands, quoted values, paths, keys and tables of crm.toml."""
PRODUCTS = re.compile(r"\bROC AUC|\b(?:CSV|JSON|TOML|SQL|MLflow|Hotlead|Excel|Parquet|PSI|API|Ctrl|UTC)\b")
ENGLISH = re.compile(r"[A-Za-z]{2,},? [A-Za-z]{2,}")


def english_lines(text: str) -> list[str]:
    """The lines in which two English words follow each other."""
    plain = (PRODUCTS.sub("", NO_WORDS.sub(" ", line)) for line in text.splitlines())
    return [line for line in plain if ENGLISH.search(line)]


def test_an_english_line_is_found() -> None:
    assert english_lines("Wrote the file new.toml.\n  hotlead check crm.toml")
    assert not english_lines("new.toml を作成しました。\n  hotlead check crm.toml")


def run_japanese(hotlead: Hotlead, *arguments: object) -> tuple[int, str]:
    """The exit code and everything that a command prints, which must be Japanese."""
    code, out, err = hotlead(*arguments, "--lang", "ja")
    assert english_lines(out + err) == []
    return code, out + err


def test_init_and_check_speak_japanese(hotlead: Hotlead, tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    files = [tmp_path / f"{name}.csv" for name in ("leads", "deals", "activities")]
    code, printed = run_japanese(hotlead, "init", *files, "--to", tmp_path / "new.toml", "--yes")
    assert code == 0, printed
    written = (tmp_path / "new.toml").read_text(encoding="utf-8")
    comments = "\n".join(line.partition("# ")[2] for line in written.splitlines() if "#" in line)
    assert "タイムゾーン" in comments
    assert english_lines(comments) == []
    with (tmp_path / "deals.csv").open("a") as deals:
        deals.write("L0001,gone,2025-02-01,\n,won,2025-02-01,5\n")
    code, printed = run_japanese(hotlead, "check", crm_toml)
    assert code == 0, printed
    assert "リード299件" in printed
    assert "次の行や値を除外しました" in printed
    rejects = (tmp_path / "hotlead-out" / "rejects.csv").read_text(encoding="utf-8-sig")
    assert "成約（won）" in rejects


def unknown_key(folder: Path) -> None:
    replace_text(folder / "crm.toml", "closed_at =", "close_at =")


def unknown_column(folder: Path) -> None:
    replace_text(folder / "leads.csv", "created_at", "created_on")


def unreadable_dates(folder: Path) -> None:
    replace_text(folder / "leads.csv", ",2025-", ",year 2025/")


def no_file(folder: Path) -> None:
    (folder / "deals.csv").unlink()


def no_toml(folder: Path) -> None:
    replace_text(folder / "crm.toml", "[deals]", "[deals")


def all_won(folder: Path) -> None:
    replace_text(folder / "deals.csv", ",lost,", ",won,")


@pytest.mark.parametrize(
    ("break_input", "expected"),
    [
        (unknown_key, "このキーはありません。近いもの：「closed_at」"),
        (unknown_column, "列「created_at」はありません"),
        (unreadable_dates, "のような日付ではありません"),
        (no_file, "ファイルがありません"),
        (no_toml, "TOML として読めません"),
        (all_won, "成約していないリードが20件必要です"),
    ],
)
def test_wrong_input_is_named_in_japanese(
    break_input: Callable[[Path], None], expected: str, hotlead: Hotlead, tmp_path: Path
) -> None:
    crm_toml = small_crm(tmp_path)
    break_input(tmp_path)
    code, out, err = hotlead("train", crm_toml, "--lang", "ja")
    assert code in (3, 4)
    assert expected in out + err


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["train", "none.toml"], 3, "none.toml：ファイルがありません"),
        (["train", "--colour"], 2, "オプション --colour はありません"),
        (["trian"], 2, "コマンド「trian」はありません"),
        (["train", "crm.toml", "--seed", "x"], 2, "整数を指定してください"),
        (["demo", "--leads", "3"], 2, "500以上の値を指定してください"),
        (["score", "--to"], 2, "オプション --to には値が必要です"),
        (["init", "none.csv", "--to", "new.toml"], 3, "none.csv：ファイルがありません"),
        (["keys", "list", "none.toml"], 3, "サービスの crm.toml を指定してください"),
        (["serve", "none.toml"], 3, "サービスの crm.toml を指定してください"),
        (["forget", "L1", "none.toml"], 3, "サービスの crm.toml を指定してください"),
    ],
)
def test_wrong_use_is_named_in_japanese(
    arguments: list[str],
    code: int,
    expected: str,
    hotlead: Hotlead,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOTLEAD_LANG", "ja")
    exit_code, out, err = hotlead(*arguments)
    assert exit_code == code
    assert expected in err
    assert english_lines(out + err) == []


def test_help_is_japanese() -> None:
    """In a process of its own: Typer's titles are those of the process."""
    completed = subprocess.run(
        command("train", "--lang", "ja", "--help"), capture_output=True, text=True, check=True, timeout=60
    )
    for text in ("クローズした案件で学習し", "オプション", "この説明を表示"):
        assert text in completed.stdout


def test_keys_are_listed_in_japanese(hotlead: Hotlead, tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    run_japanese(hotlead, "keys", "add", "--role", "crm", "--name", "x", crm_toml)
    assert "有効期限" in run_japanese(hotlead, "keys", "list", crm_toml)[1]
    assert "キー「none」はありません" in run_japanese(hotlead, "keys", "revoke", "none", crm_toml)[1]


@pytest.mark.slow
def test_from_training_to_a_list_every_line_is_japanese(hotlead: Hotlead, tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    for arguments in (
        ["train", crm_toml],
        ["rules", "suggest", crm_toml, "--to", tmp_path / "scorecard.toml"],
        ["rules", "show", crm_toml],
        ["train", crm_toml],
        ["compare", crm_toml],
        ["promote", crm_toml, "--override", "試験"],
        ["rollback", crm_toml],
        ["backtest", crm_toml, "--months", "2"],
        ["score", crm_toml, "--to", tmp_path / "scores.csv"],
        ["import", crm_toml],
        ["monitor", crm_toml],
        ["forget", "L0001", crm_toml, "--yes"],
    ):
        run_japanese(hotlead, *arguments)
