"""docs/operations.md says what the code does: its commands, options, variables, roles and files."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import cli
from serving.client.closed_deals_file import API_COLUMNS
from serving.client.send_outcomes import REJECTS
from serving.client.sender import LIST_ROWS
from serving.settings import ServiceSettings
from serving.store.records import Record
from serving.store.store import SPOOL_LIMIT, Store
from serving.web.api_keys import ROLES
from serving.web.permissions import PERMISSIONS

PATH = Path(__file__).parents[2] / "docs" / "operations.md"
PAGE = PATH.read_text(encoding="utf-8")
_COMMAND = re.compile(
    r"hotlead ((?:keys )?(?:add|list|rotate|revoke|outcomes|monitor|forget|prune|serve))(.*)"
)
SETTINGS = {str(field.validation_alias) for field in ServiceSettings.model_fields.values()}
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("serving", "training", "cli")
    for path in (PATH.parent.parent / folder).rglob("*.py")
)


def test_every_command_and_option_is_there() -> None:
    group = typer.main.get_command(cli.app)
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()
    mentions = [match for line in lines if (match := _COMMAND.search(line))]
    assert len(mentions) >= 8
    for match in mentions:
        command = group
        for name in match[1].split():
            command = command.commands[name]  # type: ignore[attr-defined]
        options = {option for p in command.params for option in p.opts}
        assert {*re.findall(r"--[a-z-]+", match[2].partition("#")[0])} <= options, match[0]


def test_every_variable_and_file_is_there() -> None:
    for name in set(re.findall(r"\b(?:HOTLEAD|MLFLOW)_[A-Z_]+", PAGE)):
        assert name in SOURCES or name in SETTINGS, name
    assert REJECTS in PAGE
    assert f"lists of {LIST_ROWS:,}" in PAGE
    assert f"{SPOOL_LIMIT >> 20} MiB" in PAGE


def test_every_column_of_an_outcome_is_told() -> None:
    for column in (
        API_COLUMNS.lead,
        API_COLUMNS.outcome,
        API_COLUMNS.closed_at,
        API_COLUMNS.amount,
        API_COLUMNS.lost_reason,
        "id",
        "version",
    ):
        assert f"`{column}`" in PAGE


@pytest.mark.parametrize("role", ROLES)
def test_roles_are_told_as_they_are(role: str) -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{role}` "))
    allowed_paths = {path for (_, path), roles in PERMISSIONS.items() if role in roles}
    paths_by_word = {"outcomes": "/v1/outcomes", "overrides": "/v1/overrides", "hand-overs": "/v1/handovers"}
    if role != "admin":
        assert {word for word in paths_by_word if word in line} == {
            w for w, p in paths_by_word.items() if p in allowed_paths
        }


def test_the_backup_holds_what_was_written_last(tmp_path: Path) -> None:
    """The command of the page, while the service has the store open."""
    (tmp_path / "hotlead-out").mkdir()
    store = Store.open(f"sqlite:///{tmp_path / 'hotlead-out' / 'store.db'}", tmp_path / "spool")
    try:
        store.add_records([Record("activities", "a1", 1, "L1", 0, {"type": "visit"})]).result(10)
        code = re.search(r'^python -c "(.*)"$', PAGE, re.MULTILINE)
        assert code is not None
        subprocess.run(
            [sys.executable, "-c", code[1].replace('\\"', '"')], cwd=tmp_path, check=True, timeout=60
        )
    finally:
        store.close()
    with sqlite3.connect(tmp_path / "store-backup.db") as backup:
        assert backup.execute("SELECT lead_id FROM activities").fetchall() == [("L1",)]
