"""A small CRM in CSV files, the same for the same seed, and `hotlead` commands on it."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import cli
from tests.helpers.process_state import preserve_process_state
from tests.helpers.toml_files import toml_text

START = datetime(2025, 1, 1, tzinfo=UTC)

CRM_TOML = toml_text("small_crm")
CARD = toml_text("small_scorecard")


def small_crm(folder: Path, leads: int = 300, seed: int = 0, win_rate: float = 0.3) -> Path:
    """Write leads.csv, deals.csv, activities.csv and crm.toml; returns the path of crm.toml."""
    rng = np.random.default_rng(seed)
    created = [START + timedelta(days=300 * i / leads) for i in range(leads)]
    referred, employees = rng.random(leads) < 0.5, rng.integers(5, 500, leads)
    visits = rng.poisson(2, leads)
    odds = np.log(win_rate / (1 - win_rate)) + 1.5 * (referred - 0.5) + 0.5 * (visits - 2)
    won = rng.random(leads) < 1 / (1 + np.exp(-odds))
    ids = [f"L{i:04d}" for i in range(leads)]
    _write(
        folder / "leads.csv",
        ("lead_id", "created_at", "channel", "employees"),
        (
            (ids[i], _iso(created[i]), "referral" if referred[i] else "ads", employees[i])
            for i in range(leads)
        ),
    )
    _write(
        folder / "deals.csv",
        ("lead_id", "outcome", "closed_at", "amount"),
        (
            (ids[i], "won" if won[i] else "lost", _iso(created[i] + timedelta(days=8 + i % 15)), 100 + i)
            for i in range(leads - 10)
        ),
    )
    _write(
        folder / "activities.csv",
        ("lead_id", "type", "at"),
        (
            (ids[i], "visit", _iso(created[i] - timedelta(hours=1 + n)))
            for i in range(leads)
            for n in range(visits[i])
        ),
    )
    (folder / "crm.toml").write_text(CRM_TOML, encoding="utf-8")
    return folder / "crm.toml"


def replace_text(path: Path, old: str, new: str) -> None:
    """Replace a text that the file must contain."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} does not hold {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def listing(folder: Path) -> set[str]:
    """The relative paths of all files and folders below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def command(*arguments: object) -> list[str]:
    """The `hotlead` command, for a process of its own."""
    return [sys.executable, "-m", "cli", *map(str, arguments)]


def run(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in this process, which has imported the libraries already.

    Tests that send signals or check the start-up use `start` or `command`.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, preserve_process_state():
        patch.setattr(sys, "argv", ["hotlead", *map(str, arguments)])
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        with redirect_stdout(stdout), redirect_stderr(stderr):
            exit_code = _exit_code()
    return subprocess.CompletedProcess(sys.argv, exit_code, stdout.getvalue(), stderr.getvalue())


def _exit_code() -> int:
    """Run `hotlead` with the arguments in sys.argv."""
    try:
        cli.main()
    except SystemExit as end:
        if end.code == 130:  # Ctrl-C stops the tests as well
            raise KeyboardInterrupt from end
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def start(
    arguments: Sequence[object], cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a command in a process that handles SIGINT even if the tests run in the background."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
