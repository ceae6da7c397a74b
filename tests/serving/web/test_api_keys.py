"""API keys: made, rotated and ended in a file; known to the workers."""

import hmac
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import DataError, OutsideError
from serving.web import api_keys as keys
from serving.web.api_keys import KeyCache
from tests.helpers.clock import Clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "keys.json"


def make_key_cache(path: Path) -> KeyCache:
    return KeyCache(path, Clock(0.0, step=2.0))  # every look is due


def test_a_new_key_opens_and_is_who_it_says(path: Path) -> None:
    key, token = keys.add(path, "crm", "Salesforce")
    found_key = make_key_cache(path).find(token)
    assert found_key == key
    assert (key.role, key.name, key.expires_at) == ("crm", "Salesforce", None)
    assert token.startswith(f"hl_{key.id}_")
    assert len(token.split("_", 2)[2]) == 43  # 32 bytes


def test_no_secret_is_stored_or_shown(path: Path) -> None:
    key, token = keys.add(path, "crm", "Salesforce")
    secret = token.split("_", 2)[2]
    assert secret not in path.read_text() + repr(key)
    assert key.digest not in repr(key)


def test_only_the_owner_can_read_the_file(path: Path) -> None:
    keys.add(path, "crm", "a")
    keys.add(path, "crm", "b")
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(path.parent)) == [".keys.json.lock", "keys.json"]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "",
        lambda t: t[:-1],
        lambda t: t + "x",
        lambda t: t.upper(),
        lambda t: "é" + t,
        lambda t: t.split("_", 2)[2],
        lambda t: t[:4] + "x" * 10_000_000,
        lambda t: "hl__",
        lambda t: t.replace("hl_", "hl_0"),
        lambda t: t + " ",
        lambda t: "\x00" + t,
    ],
)
def test_a_wrong_token_is_nobody(path: Path, change: object) -> None:
    _, token = keys.add(path, "admin", "a")
    assert make_key_cache(path).find(change(token)) is None  # type: ignore[operator]


def test_a_token_of_another_key_does_not_open(path: Path) -> None:
    first, one = keys.add(path, "crm", "a")
    _, two = keys.add(path, "admin", "b")
    mixed = f"hl_{first.id}_{two.split('_', 2)[2]}"
    assert make_key_cache(path).find(mixed) is None
    assert make_key_cache(path).find(one) == first


def test_digests_are_compared_in_constant_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, token = keys.add(path, "crm", "a")
    comparisons: list[tuple[str, str]] = []

    def watched(one: str, two: str) -> bool:
        comparisons.append((one, two))
        return compare(one, two)

    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", watched)
    key_cache = make_key_cache(path)
    assert key_cache.find(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert key_cache.find(token) == key
    assert [one for one, _ in comparisons] == [key.digest] * 2


def test_both_secrets_of_a_rotated_key_hold_until_the_grace_ends(path: Path) -> None:
    key, old = keys.add(path, "crm", "a")
    fresh, new = keys.rotate(path, key.id, grace_ms=60_000)
    assert (fresh.id, fresh.role, fresh.name) == (key.id, "crm", "a")
    end = next(k.expires_at for k in keys.read_keys(path) if k.expires_at)
    now = [end - 1]
    key_cache = KeyCache(path, Clock(0.0, step=2.0), lambda: now[0])
    assert key_cache.find(old) is not None
    assert key_cache.find(new) is not None
    now[0] = end
    assert key_cache.find(old) is None
    assert key_cache.find(new) is not None


def test_rotating_again_does_not_lengthen_a_grace(path: Path) -> None:
    key, first = keys.add(path, "crm", "a")
    keys.rotate(path, key.id, grace_ms=1_000)
    early = next(k.expires_at for k in keys.read_keys(path) if k.expires_at)
    keys.rotate(path, key.id, grace_ms=10_000_000)
    by_digest = {k.digest: k.expires_at for k in keys.read_keys(path)}
    assert by_digest.get(keys.hash_token(first), early) == early


def test_without_grace_the_old_secret_ends_at_once_and_leaves_the_file(path: Path) -> None:
    key, old = keys.add(path, "crm", "a")
    _, new = keys.rotate(path, key.id, grace_ms=0)
    assert make_key_cache(path).find(old) is None
    assert make_key_cache(path).find(new) is not None
    assert len(keys.read_keys(path)) == 1


def test_a_rotated_key_ends_when_it_would_have_ended(path: Path) -> None:
    key, _ = keys.add(path, "crm", "a", expires_at=2**50)
    fresh, _ = keys.rotate(path, key.id)
    assert fresh.expires_at == 2**50


def test_a_revoked_key_is_gone_with_all_its_secrets(path: Path) -> None:
    key, old = keys.add(path, "crm", "a")
    _, new = keys.rotate(path, key.id)
    key_cache = make_key_cache(path)
    assert key_cache.find(new) is not None
    keys.revoke(path, key.id)
    assert key_cache.find(old) is None
    assert key_cache.find(new) is None
    assert keys.read_keys(path) == []


@pytest.mark.parametrize(
    ("role", "name", "message"),
    [("crn", "a", "nearest: 'crm'"), ("crm", "  ", "1 to 80"), ("crm", "x" * 81, "1 to 80")],
)
def test_a_key_needs_a_role_and_a_name(path: Path, role: str, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        keys.add(path, role, name)
    assert not path.exists()


def test_an_unknown_id_is_told_with_the_nearest(path: Path) -> None:
    key, _ = keys.add(path, "crm", "a")
    for change in (keys.rotate, keys.revoke):
        with pytest.raises(DataError, match=key.id):
            change(path, key.id[:-1])


def test_two_at_once_lose_nothing(path: Path) -> None:
    many = (
        "import sys, pathlib; from serving.web import api_keys as keys\n"
        "for i in range(10): keys.add(pathlib.Path(sys.argv[1]), 'crm', sys.argv[2] + str(i))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", many, path, name]) for name in "abc"]
    assert [process.wait() for process in processes] == [0, 0, 0]
    names = {key.name for key in keys.read_keys(path)}
    assert names == {f"{n}{i}" for n in "abc" for i in range(10)}


WRONG_FILES = [
    "{",
    "[]",
    '{"keys": 3}',
    '{"keys": [{"id": "a"}]}',
    '{"keys": [{"id": "a", "role": "root", "name": "a", "created_at": 1, "digest": ""}]}',
    '{"keys": [{"id": "a", "role": "crm", "name": "a", "created_at": 1, "digest": "zz"}]}',
]


@pytest.mark.parametrize("text", WRONG_FILES)
def test_a_broken_file_is_told_and_never_written_over(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(DataError, match=r"keys\.json: is no file of API keys"):
        keys.add(path, "crm", "a")
    assert path.read_text() == text


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideError, match="cannot be written"):
        keys.add(tmp_path / "file" / "keys.json", "crm", "a")


def test_the_workers_see_changes(path: Path) -> None:
    key_cache = make_key_cache(path)
    assert key_cache.is_empty
    _, token = keys.add(path, "crm", "a")
    assert key_cache.find(token) is not None
    assert not key_cache.is_empty


def test_the_file_is_looked_at_once_a_second(path: Path) -> None:
    clock = [0.0]
    key_cache = KeyCache(path, lambda: clock[0])
    assert key_cache.is_empty
    _, token = keys.add(path, "crm", "a")
    clock[0] = 0.99
    assert key_cache.find(token) is None
    clock[0] = 1.0
    assert key_cache.find(token) is not None


def test_the_last_good_keys_stay_while_the_file_is_broken(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, token = keys.add(path, "crm", "a")
    key_cache = make_key_cache(path)
    assert key_cache.find(token) is not None
    good = path.read_text()
    path.write_text("{")
    for _ in range(3):
        assert key_cache.find(token) is not None
        assert not key_cache.is_empty
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 1  # logged once
    path.write_text(json.dumps({"keys": []}))
    assert key_cache.find(token) is None
    assert key_cache.is_empty
    path.write_text(good)
    assert key_cache.find(token) is not None


def test_deleting_the_file_revokes_all_keys(path: Path) -> None:
    _, token = keys.add(path, "crm", "a")
    key_cache = make_key_cache(path)
    assert key_cache.find(token) is not None
    path.unlink()
    assert key_cache.find(token) is None
    assert key_cache.is_empty


@pytest.mark.parametrize("end", ["revoked", "deleted", "copied in and deleted"])
def test_keys_that_are_gone_were_used(path: Path, end: str) -> None:
    key_cache = make_key_cache(path)
    assert key_cache.was_never_used
    key, _ = keys.add(path, "crm", "a")
    assert not key_cache.was_never_used
    if end == "revoked":
        keys.revoke(path, key.id)
    else:
        path.unlink()
    if end == "copied in and deleted":
        path.with_name(f".{path.name}.lock").unlink()
    else:
        assert not make_key_cache(path).was_never_used
    assert not key_cache.was_never_used


def test_a_file_that_was_never_good_counts_as_holding_keys(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{")
    key_cache = make_key_cache(path)
    assert key_cache.find("hl_a_b") is None
    assert not key_cache.is_empty
