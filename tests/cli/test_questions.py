"""What `hotlead init` asks on a terminal, on a real pseudo terminal, and what it says without one."""

from __future__ import annotations

import csv
import os
import pty
import re
import select
import subprocess
import time
import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.small_crm import command, run

SECONDS = 120


def write_leads(path: Path, words: Sequence[str], form: str = "%Y-%m-%d", **more: Sequence[str]) -> None:
    """Leads with a status and further columns; days are 1 to 12, so that two orders may fit."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Lead ID", "Created Date", "Status", "Industry", *more])
        for i in range(240):
            created = date(2025, 1 + i // 20, 1 + int(rng.integers(12)))
            others = [rng.choice(list(values)) for values in more.values()]
            row = [f"L{i:04d}", created.strftime(form), rng.choice(list(words)), rng.choice(["IT", "Retail"])]
            writer.writerow([*row, *others])


def init_on_terminal(folder: Path, answers: Sequence[str], *options: str) -> tuple[int, str]:
    """Run init on a pseudo terminal and type an answer at each prompt; exit code and what was shown."""
    master, slave = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name != "CI"}
    process = subprocess.Popen(
        command("init", "leads.csv", *options),
        cwd=folder,
        env={**environ, "PYTHONPATH": os.getcwd(), "TERM": "dumb", "COLUMNS": "200"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        close_fds=True,
    )
    os.close(slave)
    shown, waiting, until = "", list(answers), time.monotonic() + SECONDS
    while time.monotonic() < until:
        if not select.select([master], [], [], 0.2)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            shown += os.read(master, 65_536).decode(errors="replace")
        except OSError:  # the other end is closed
            break
        prompts = len(re.findall(r"(Number|番号) \[1\]:", shown))
        if waiting and prompts > len(answers) - len(waiting):
            os.write(master, f"{waiting.pop(0)}\n".encode())
    os.close(master)
    return process.wait(SECONDS), shown


def settings(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "crm.toml").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_order_of_day_and_month_and_values_without_meaning_are_asked(tmp_path: Path) -> None:
    write_leads(tmp_path / "leads.csv", ("Won", "Lost", "Lost", "Open", "Cancelled"), "%m/%d/%Y")
    code, shown = init_on_terminal(tmp_path, ["9", "2", "3"])
    assert code == 0, shown
    assert "with the day first or the month first" in shown
    assert "Please answer with a number from 1 to 2." in shown
    assert 'what does "Cancelled" mean?' in shown
    read = settings(tmp_path)
    assert read["leads"]["time_formats"] == {"Created Date": "%m/%d/%Y"}
    assert read["deals"]["lost"] == ["Lost", "Cancelled"]
    assert "leave_out" not in read["deals"]
    assert run("check", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_the_column_of_the_outcome_is_asked_in_japanese_and_the_others_are_comments(tmp_path: Path) -> None:
    write_leads(
        tmp_path / "leads.csv", ("Won", "Lost", "Open"), Result=("Closed Won", "Closed Lost", "Negotiation")
    )
    code, shown = init_on_terminal(tmp_path, ["2"], "--lang", "ja")
    assert code == 0, shown
    assert "どの列を使いますか" in shown
    first, second = re.findall(r"^\s+[12]\. (\w+) \(", shown, re.MULTILINE)[:2]
    assert settings(tmp_path)["deals"]["outcome"] == second
    assert f'# outcome = "{first}"  # ' in (tmp_path / "crm.toml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_an_outcome_that_is_not_found_is_asked_value_by_value(tmp_path: Path) -> None:
    write_leads(tmp_path / "leads.csv", ("alpha", "beta", "gamma"))
    code, shown = init_on_terminal(tmp_path, ["1", "2", "3", "1"])
    assert code == 0, shown
    deals = settings(tmp_path)["deals"]
    assert deals["outcome"] == "Status"
    assert sorted([*deals["won"], *deals["lost"], *deals["ignore"]]) == ["alpha", "beta", "gamma"]
    assert len(deals["won"]) == len(deals["lost"]) == 1


@pytest.mark.slow
def test_nothing_is_asked_with_yes(tmp_path: Path) -> None:
    write_leads(tmp_path / "leads.csv", ("Won", "Lost", "Open", "Cancelled"))
    code, shown = init_on_terminal(tmp_path, [], "--yes")
    assert code == 0, shown
    assert "Number [1]" not in shown


def test_without_a_terminal_it_says_what_is_open_and_what_to_set(tmp_path: Path) -> None:
    write_leads(
        tmp_path / "leads.csv", ("Won", "Lost", "Open", "Cancelled"), Result=("Closed Won", "Closed Lost")
    )
    ended = run("init", "leads.csv", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Number [1]" not in ended.stdout
    assert "--outcome COLUMN" in ended.stdout
    ended = run("init", "leads.csv", "--outcome", "Status", "--force", cwd=tmp_path)
    assert "--outcome COLUMN" not in ended.stdout


def test_a_value_that_is_neither_is_said_with_where_to_move_it(tmp_path: Path) -> None:
    write_leads(tmp_path / "leads.csv", ("Won", "Lost", "Open", "Cancelled"))
    ended = run("init", "leads.csv", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Cancelled" in ended.stdout
    assert "leave_out" in ended.stdout
