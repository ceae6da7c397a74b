"""Whatever a command or the service writes, other users of the machine cannot read; real processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.support.load import wait_for
from benchmarks.support.served import start_service
from tests.helpers.champion_crm import out_of
from tests.helpers.small_crm import command, run, small_crm


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def written_for_others(folder: Path) -> dict[str, str]:
    """The files and folders that another user could use, and their modes."""
    return {
        str(path.relative_to(folder)): oct(path.stat().st_mode)
        for path in [folder, *folder.rglob("*")]
        if path.stat().st_mode & 0o077
    }


def test_commands_write_for_nobody_else(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=60)
    assert run("keys", "add", crm_toml, "--role", "crm", "--name", "CRM").returncode == 0
    assert run("import", crm_toml).returncode == 0
    assert (out_of(crm_toml) / "store.db").exists()
    assert not written_for_others(out_of(crm_toml))


def test_the_group_may_have_access(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=60)
    assert run("import", crm_toml, env={"HOTLEAD_GROUP_ACCESS": "1"}).returncode == 0
    modes = {path.stat().st_mode & 0o777 for path in out_of(crm_toml).rglob("*")}
    assert modes <= {0o660, 0o770}
    assert run("import", crm_toml, env={"HOTLEAD_GROUP_ACCESS": "2"}).returncode == 3


@pytest.mark.slow
def test_nothing_of_a_model_or_of_the_service_is_for_others(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=400)
    scores = tmp_path / "scores.csv"
    for arguments in (
        ("train", crm_toml),
        ("promote", crm_toml, "--override", "for a test"),
        ("score", crm_toml, "--to", scores),
    ):
        subprocess.run(command(*arguments), check=True, capture_output=True, timeout=300)
    with start_service(crm_toml, "--workers", "2") as service:
        lead = {"lead_id": "L1", "attributes": {"channel": "referral", "employees": 40}}
        answer = httpx.post(f"{service.url}/v1/score", json=lead, timeout=30)
        assert answer.json()["stored"] == "stored"
        wait_for(lambda: httpx.get(f"{service.url}/v1/model", timeout=30).json()["model"] is not None)
        assert httpx.get(f"{service.url}/review/sign-in", timeout=30).status_code == 200
        names = {path.name for path in out_of(crm_toml).iterdir()}
        assert {"store.db", "store.db-wal", "mlflow.db", "mlartifacts", "bundles", "session.key"} <= names
        assert not written_for_others(out_of(crm_toml))
    assert scores.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_files_of_a_former_version_are_restricted_at_the_start(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=60)
    assert run("import", crm_toml).returncode == 0
    for path in (out_of(crm_toml), *out_of(crm_toml).rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with start_service(crm_toml) as service:
        assert not written_for_others(out_of(crm_toml))
    log = service.log.read_text(encoding="utf-8")
    assert "They cannot any more" in log
    assert str(out_of(crm_toml)) in log
    with start_service(crm_toml) as service:
        assert "They cannot any more" not in service.log.read_text(encoding="utf-8")
