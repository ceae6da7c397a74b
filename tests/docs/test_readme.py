"""README, CONTRIBUTING and the pages of docs/: length, commands, links, paths, generated tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

import cli
from features.reference import with_tables

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
README_JA = (ROOT / "README.ja.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
FEATURES = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / name for name in ("README.md", "README.ja.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def read_commands() -> dict[str, Any]:
    """Every command by its name, those of a group as "rules show"."""
    by_name: dict[str, Any] = {}
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        by_name |= {f"{name} {subcommand_name}": c for subcommand_name, c in inner.items()} or {name: command}
    return by_name


def test_the_readme_has_at_most_1200_words() -> None:
    assert len(README.split()) <= 1200
    assert len(re.findall(r"[A-Za-z0-9]+|[\u3040-\u30ff\u4e00-\u9fff]", README_JA)) <= 4000


def test_the_feature_table_is_current() -> None:
    assert with_tables(FEATURES) == FEATURES, "run `make reference`"
    assert "| `days_since` |" in FEATURES


def test_every_command_is_documented() -> None:
    documented = re.findall(r"^\| `hotlead ([a-z][a-z-]*(?: [a-z]+)?)", COMMANDS, re.MULTILINE)
    assert sorted(documented) == sorted(read_commands())


@pytest.mark.parametrize("path", [*DOCUMENTS, *PAGES], ids=lambda path: path.name)
def test_every_option_of_a_hotlead_command_exists(path: Path) -> None:
    """In tables of commands, `hotlead …` in backticks and shell blocks."""
    text = path.read_text(encoding="utf-8")
    shell_lines = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    rows = [line for line in text.splitlines() if line.startswith("| `hotlead")]
    commands = read_commands()
    for line in (*shell_lines, *rows, *re.findall(r"`(hotlead [^`]+)`", text)):
        match = re.search(r"hotlead ([a-z][a-z-]*)(?: ([a-z]+))?", line)
        if not match or "curl" in line:
            continue
        command = commands.get(f"{match[1]} {match[2]}") or commands.get(match[1])
        assert command or match[1] in {"rules", "keys"}, line
        options = {o for p in getattr(command, "params", ()) for o in (*p.opts, *p.secondary_opts)} | {
            "--help"
        }
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line.partition("#")[0])) <= options, line


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_every_path_of_contributing_exists() -> None:
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", CONTRIBUTING)
    assert len(paths) > 50
    missing = {p for p in paths if p != "site/" and not (ROOT / p).exists()}
    assert missing == set()


def test_every_make_target_of_contributing_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", CONTRIBUTING):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_lock_has_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    pins = [line for line in lock.splitlines() if re.match(r"[a-z0-9]", line)]
    assert all(line.endswith("\\") for line in pins)
    assert lock.count("--hash=sha256:") >= len(pins) > 50
