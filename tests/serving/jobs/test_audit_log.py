"""`hotlead audit-log`: what commands and people changed, exported and verified."""

from __future__ import annotations

import csv
import getpass
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from scoring.review_requests import ReviewRequest, ReviewResult
from serving.jobs.audit_log import FIELDS, read_entries, record_review_result
from serving.store.store import Store
from tests.helpers.champion_crm import champion_crm, out_of
from tests.helpers.service.live_service import settings_of
from tests.helpers.small_crm import run, small_crm


@pytest.fixture
def crm_toml(tmp_path: Path) -> Path:
    """A CRM whose store was created."""
    crm_toml = small_crm(tmp_path, leads=20)
    create_store(crm_toml)
    return crm_toml


def create_store(crm_toml: Path) -> None:
    settings = settings_of(crm_toml)
    Store.open(settings.store_url, settings.spool).close()


def hotlead(*arguments: object, code: int = 0) -> tuple[str, str]:
    completed = run(*arguments)
    assert completed.returncode == code, completed.stderr
    return completed.stdout, completed.stderr


def entries_of(crm_toml: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(hotlead("audit-log", crm_toml, "--json")[0])["entries"]
    return entries


def test_keys_and_erasures_are_in_the_log_without_secrets(crm_toml: Path) -> None:
    token = hotlead("keys", "add", crm_toml, "--role", "crm", "--name", "Salesforce")[0].strip()
    key_id = token.split("_")[1]
    new_token = hotlead("keys", "rotate", key_id, crm_toml, "--grace", "2")[0].strip()
    hotlead("keys", "revoke", key_id, crm_toml)
    hotlead("forget", "L0001", crm_toml, "--yes")
    entries = entries_of(crm_toml)
    assert [(e["action"], e["subject"]) for e in entries] == [
        ("key_added", key_id),
        ("key_rotated", key_id),
        ("key_revoked", key_id),
        ("lead_erased", ""),
    ]
    assert {(e["actor"], e["role"], e["key_id"]) for e in entries} == {(getpass.getuser(), "command", "")}
    assert json.loads(entries[1]["detail"]) == {"grace_hours": 2.0, "name": "Salesforce", "role": "crm"}
    text = json.dumps(entries)
    assert token.split("_", 2)[2] not in text
    assert new_token.split("_", 2)[2] not in text
    assert "L0001" not in text


def test_the_log_is_shown_in_both_languages(crm_toml: Path) -> None:
    assert hotlead("audit-log", crm_toml)[0] == "There is no entry.\n"
    hotlead("keys", "add", crm_toml, "--role", "crm", "--name", "Salesforce")
    assert "key added" in hotlead("audit-log", crm_toml)[0]
    assert "キーを作成" in hotlead("audit-log", crm_toml, "--lang", "ja")[0]
    assert hotlead("audit-log", crm_toml, "--since", "2150-01-01")[0] == "There is no entry.\n"


def test_the_log_is_exported(crm_toml: Path, tmp_path: Path) -> None:
    hotlead("keys", "add", crm_toml, "--role", "crm", "--name", "=cmd()")
    as_csv, as_lines = tmp_path / "log.csv", tmp_path / "log.jsonl"
    assert str(as_csv) in hotlead("audit-log", crm_toml, "--to", as_csv)[0]
    hotlead("audit-log", crm_toml, "--to", as_lines)
    with as_csv.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == FIELDS
    (line,) = as_lines.read_text(encoding="utf-8").splitlines()
    assert {name: "" if value is None else str(value) for name, value in json.loads(line).items()} == row
    assert "ends with .csv or .jsonl" in hotlead("audit-log", crm_toml, "--to", "log.txt", code=3)[1]


def test_what_was_altered_is_found(crm_toml: Path) -> None:
    for name in ("one", "two"):
        hotlead("keys", "add", crm_toml, "--role", "crm", "--name", name)
    verified = json.loads(hotlead("audit-log", crm_toml, "--verify", "--json")[0])
    assert verified == {"entries": 2, "last_hash": entries_of(crm_toml)[-1]["hash"]}
    assert verified["last_hash"] in hotlead("audit-log", crm_toml, "--verify")[0]
    with sqlite3.connect(out_of(crm_toml) / "store.db") as store:
        store.execute("DROP TRIGGER audit_log_no_update")
        store.execute("UPDATE audit_log SET detail = replace(detail, 'one', 'eve')")
    store.close()
    assert "entry 1 is not the one that was written" in hotlead("audit-log", crm_toml, "--verify", code=4)[1]


def test_without_a_store_keys_are_made_and_the_log_says_that_there_is_none(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=20)
    assert "audit log" not in hotlead("keys", "add", crm_toml, "--role", "crm", "--name", "first")[1]
    assert not (out_of(crm_toml) / "store.db").exists(), "that is for the service to create"
    assert "There is no store at" in hotlead("audit-log", crm_toml, code=5)[1]


def test_a_key_is_revoked_while_the_store_is_away_and_the_command_says_what_is_missing(
    crm_toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.jobs.audit_log.PATIENCE_SECONDS", 0.0)
    token = hotlead("keys", "add", crm_toml, "--role", "crm", "--name", "leaked")[0]
    for file in out_of(crm_toml).glob("store.db*"):
        file.unlink()
    (out_of(crm_toml) / "store.db").write_bytes(b"no database" * 1_000)
    _, err = hotlead("keys", "revoke", token.split("_")[1], crm_toml)
    assert "it is not in the audit log" in err
    assert json.loads((out_of(crm_toml) / "keys.json").read_text()) == {"keys": []}


def test_what_the_follower_does_for_the_pages_is_in_the_log(crm_toml: Path) -> None:
    settings = settings_of(crm_toml)
    request = ReviewRequest(action="promote", registered="7", by="Anna", note="better", at=0)
    for is_done in (False, True):
        result = ReviewResult(request, is_done, {"en": "", "ja": ""}, 0)
        assert record_review_result(settings, result) is None
    (entry,) = read_entries(settings)
    assert (entry.action, entry.subject, entry.actor) == ("model_promoted", "7", "Anna")
    assert json.loads(entry.detail)["note"] == "better"


@pytest.mark.slow
def test_promotions_and_rollbacks_by_command_are_in_the_log(tmp_path: Path) -> None:
    crm_toml = champion_crm(tmp_path)
    create_store(crm_toml)
    hotlead("promote", crm_toml, "--override", "for a test", "--by", "Anna")
    hotlead("rollback", crm_toml, "--why", "worse")
    assert [
        (e["action"], e["subject"], e["actor"], json.loads(e["detail"])) for e in entries_of(crm_toml)
    ] == [
        ("model_promoted", "2", "Anna", {"override": "for a test"}),
        ("model_rolled_back", "2", getpass.getuser(), {"restored": "1", "why": "worse"}),
    ]
