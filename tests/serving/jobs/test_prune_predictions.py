"""`hotlead prune`: old predictions go once a person has confirmed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from features.clock import MS_PER_DAY, now_ms
from tests.helpers.service.stores import add_predictions, open_store, prediction
from tests.helpers.small_crm import run, small_crm

DAYS = {"HOTLEAD_RETENTION_DAYS": "30"}


@pytest.fixture
def crm_toml(tmp_path: Path) -> Path:
    """A CRM whose service has answered for 60 days."""
    crm_toml, now = small_crm(tmp_path), now_ms()
    out = tmp_path / "hotlead-out"
    with open_store(f"sqlite:///{out / 'store.db'}", out / "spool") as store:
        moments = [now - 60_000 - day * MS_PER_DAY for day in range(60)]
        add_predictions(store, *(prediction("L1", moment) for moment in moments))
    return crm_toml


def test_it_asks_and_deletes(crm_toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with pytest.raises(KeyboardInterrupt):  # exit code 130
        run("prune", crm_toml, env=DAYS)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    confirmed = run("prune", crm_toml, env=DAYS)
    assert "Delete 29 predictions from" in confirmed.stderr
    assert "Deleted 29 predictions made before" in confirmed.stdout
    repeated = run("prune", crm_toml, env={**DAYS, "HOTLEAD_LANG": "ja"})
    assert (repeated.returncode, "何も削除していません" in repeated.stdout) == (0, True)


def test_confirmed_in_advance_it_deletes(crm_toml: Path) -> None:
    deleted = run("prune", crm_toml, "--yes", "--json", env=DAYS)
    assert json.loads(deleted.stdout)["deleted"] == 29


def test_without_a_store_there_is_nothing_to_delete(tmp_path: Path) -> None:
    completed = run("prune", small_crm(tmp_path))
    assert completed.returncode == 5
    assert "There is no store" in completed.stderr
