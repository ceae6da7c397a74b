"""`hotlead keys`: a token is told once, and alone; nothing else ever tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.clock import MS_PER_DAY, now_ms
from serving.web import api_keys as keys
from serving.web.api_keys import KeyCache
from tests.helpers.small_crm import run, small_crm


@pytest.fixture
def crm_toml(tmp_path: Path) -> Path:
    return small_crm(tmp_path)


@pytest.fixture
def file(crm_toml: Path) -> Path:
    return crm_toml.parent / "hotlead-out" / "keys.json"


def hotlead(*arguments: object, code: int = 0, **env: str) -> tuple[str, str]:
    """What `hotlead keys` prints, and what it says on the side."""
    completed = run("keys", *arguments, env={"HOTLEAD_CRM": "", "HOTLEAD_KEYS_FILE": "", **env})
    assert completed.returncode == code, completed.stderr
    return completed.stdout, completed.stderr


def test_stdout_is_the_token_alone(crm_toml: Path, file: Path) -> None:
    out, err = hotlead("add", "--role", "crm", "--name", "Salesforce", crm_toml)
    token = out.removesuffix("\n")
    assert token.startswith("hl_")
    assert "\n" not in token
    api_key = KeyCache(file).find(token)
    assert api_key is not None
    assert (api_key.role, api_key.name) == ("crm", "Salesforce")
    assert api_key.id in err
    assert str(file) in err
    assert token.split("_", 2)[2] not in err


def test_no_later_command_prints_a_token_or_a_digest(crm_toml: Path, file: Path) -> None:
    out, _ = hotlead("add", "--role", "crm", "--name", "Salesforce", crm_toml)
    secret, (key,) = out.strip().split("_", 2)[2], keys.read_keys(file)
    for arguments in (("list",), ("list", "--json"), ("revoke", key.id)):
        output = "".join(hotlead(*arguments, crm_toml))
        assert key.id in output
        assert secret not in output
        assert key.digest not in output


def test_list_shows_name_role_and_expiry(crm_toml: Path, file: Path) -> None:
    keys.add(file, "crm", "Salesforce")
    keys.add(file, "reviewer", "Sales lead", now_ms() + MS_PER_DAY)
    out, _ = hotlead("list", crm_toml)
    head, first, second = out.splitlines()
    assert head.split() == ["id", "role", "name", "created", "expires", "state"]
    assert "Salesforce" in first
    assert "never" in first
    assert "Sales lead" in second
    assert "never" not in second
    body = json.loads(hotlead("list", crm_toml, "--json")[0])
    assert [set(key) for key in body["keys"]] == [{*head.split()}] * 2


def test_without_keys_list_says_how_to_make_one(crm_toml: Path) -> None:
    assert "hotlead keys add" in hotlead("list", crm_toml)[0]


def test_an_end_in_days(crm_toml: Path, file: Path) -> None:
    before = now_ms()
    hotlead("add", "--role", "admin", "--name", "a", "--expires", "90", crm_toml)
    (key,) = keys.read_keys(file)
    assert before + 90 * MS_PER_DAY <= (key.expires_at or 0) <= now_ms() + 90 * MS_PER_DAY


def test_json_output_contains_the_token_and_no_message(crm_toml: Path, file: Path) -> None:
    out, err = hotlead("add", "--role", "crm", "--name", "a", crm_toml, "--json")
    body = json.loads(out)
    assert err == ""
    assert KeyCache(file).find(body["token"]) is not None
    assert "digest" not in body


def test_rotate_gives_a_new_token_and_keeps_the_former_for_the_grace_period(
    crm_toml: Path, file: Path
) -> None:
    key, old = keys.add(file, "crm", "a")
    out, err = hotlead("rotate", key.id, crm_toml, "--grace", "2")
    keyring = KeyCache(file)
    assert keyring.find(out.strip()) is not None
    assert keyring.find(old) is not None
    assert "holds until" in err
    listed, _ = hotlead("list", crm_toml)
    assert "former token" in listed
    assert "in force" in listed


def test_rotate_without_grace_ends_the_former_token(crm_toml: Path, file: Path) -> None:
    key, old = keys.add(file, "crm", "a")
    out, err = hotlead("rotate", key.id, crm_toml, "--grace", "0")
    keyring = KeyCache(file)
    assert keyring.find(out.strip()) is not None
    assert keyring.find(old) is None
    assert "has ended" in err


def test_an_expired_key_is_not_rotated(crm_toml: Path, file: Path) -> None:
    """Its new token would end with it, and open nothing."""
    key, _ = keys.add(file, "crm", "a", now_ms() + 3_600_000)
    text = file.read_text().replace(str(key.expires_at), str(now_ms() - 1))
    file.write_text(text)
    out, err = hotlead("rotate", key.id, crm_toml, code=4)
    assert out == ""
    assert "has ended" in err
    assert "hotlead keys add" in err


def test_revoke_ends_a_key(crm_toml: Path, file: Path) -> None:
    key, token = keys.add(file, "crm", "a")
    out, _ = hotlead("revoke", key.id, crm_toml)
    assert "is revoked" in out
    assert KeyCache(file).find(token) is None


@pytest.mark.parametrize("command", ["rotate", "revoke"])
def test_an_unknown_id_is_an_error_with_the_nearest(command: str, crm_toml: Path, file: Path) -> None:
    key, _ = keys.add(file, "crm", "a")
    out, err = hotlead(command, key.id[:-1] + "x", crm_toml, code=4)
    assert out == ""
    assert f"nearest: '{key.id}'" in err


def test_a_wrong_role_is_wrong_use(crm_toml: Path, file: Path) -> None:
    _, err = hotlead("add", "--role", "boss", "--name", "a", crm_toml, code=2)
    assert "reviewer" in err
    assert not file.exists()


def test_a_mistyped_crm_toml_makes_no_key_elsewhere(tmp_path: Path) -> None:
    _, err = hotlead("add", "--role", "crm", "--name", "a", tmp_path / "crn.toml", code=3)
    assert "there is no such file" in err
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_crm_and_file_and_an_argument_overrides(
    crm_toml: Path, file: Path, tmp_path: Path
) -> None:
    hotlead("add", "--role", "crm", "--name", "a", HOTLEAD_CRM=str(crm_toml))
    assert len(keys.read_keys(file)) == 1
    hotlead("add", "--role", "crm", "--name", "b", crm_toml, HOTLEAD_CRM="/nowhere/crm.toml")
    assert len(keys.read_keys(file)) == 2
    other_file = tmp_path / "secrets" / "k.json"
    hotlead("add", "--role", "crm", "--name", "c", crm_toml, HOTLEAD_KEYS_FILE=str(other_file))
    assert [key.name for key in keys.read_keys(other_file)] == ["c"]
