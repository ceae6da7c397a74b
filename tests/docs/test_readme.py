"""The README says what the code does: its generated table, its commands, its links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

import cli
from features.reference import with_tables

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_feature_table_is_the_one_that_the_code_makes() -> None:
    assert with_tables(README) == README, "run `make reference`"
    assert "| `days_since` |" in README


def commands() -> dict[str, Any]:
    """Every command by its name, those of a group as "rules show"."""
    by_name: dict[str, Any] = {}
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        by_name |= {f"{name} {subcommand_name}": c for subcommand_name, c in inner.items()} or {name: command}
    return by_name


def test_every_command_is_told() -> None:
    for name in commands():
        assert f"| `hotlead {name}" in README


def test_every_option_that_the_readme_names_exists() -> None:
    known_options = {o for c in commands().values() for p in c.params for o in p.opts} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) <= known_options


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_lock_has_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    pins = [line for line in lock.splitlines() if re.match(r"[a-z0-9]", line)]
    assert all(line.endswith("\\") for line in pins)
    assert lock.count("--hash=sha256:") >= len(pins) > 50
