"""The tutorials: their commands run in order, and the numbers that they tell are true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GATE_REFUSED = 6
PAGES = ("tutorial-salesforce.md", "tutorial-japanese-csv.md", "tutorial-japanese-csv.ja.md")


def commands_of(page: str) -> list[list[str]]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [
        shlex.split(line)
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    program = [str(ROOT / command[1])] if command[0].endswith("python") else ["-m", "cli", command[1]]
    return subprocess.run(
        [sys.executable, *program, *command[2:]],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def run_page(page: str, folder: Path, last: str = "") -> str:
    """What the commands of a page print, up to the one named `last`."""
    printed = ""
    for command in commands_of(page):
        result = run(command, folder)
        allowed = (0, GATE_REFUSED) if command[1] == "promote" else (0,)
        assert result.returncode in allowed, f"{command}: {result.stdout}{result.stderr}"
        printed += result.stdout
        if command[1] == last:
            break
    return printed


def numbers_told(page: str) -> list[str]:
    """The sentences of text blocks, without the lines of the file itself."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    return [block.strip() for block in blocks if "リード番号" not in block]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES[:2])
def test_the_commands_of_a_tutorial_lead_to_scores(page: str, tmp_path: Path) -> None:
    printed = run_page(page, tmp_path)
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert all(sentence in printed for sentence in numbers_told(page))
    leads, closed, won = re.search(r"([\d,]+) leads, ([\d,]+) closed, ([\d,]+) won", text).groups()  # type: ignore[union-attr]
    assert f"{leads} leads, {closed} closed, {won} won" in printed
    open_leads = int(re.search(r"writes the (\d+) open leads", text)[1])  # type: ignore[index]
    scores = (tmp_path / "tutorial" / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert len(scores) == open_leads + 1


@pytest.mark.slow
def test_the_japanese_page_tells_the_same_numbers(tmp_path: Path) -> None:
    page = PAGES[2]
    assert all(sentence in run_page(page, tmp_path, last="init") for sentence in numbers_told(page))
    without_lang = [[part for part in c if part not in ("--lang", "ja")] for c in commands_of(page)]
    assert without_lang == [[p for p in c if p not in ("--lang", "ja")] for c in commands_of(PAGES[1])]
