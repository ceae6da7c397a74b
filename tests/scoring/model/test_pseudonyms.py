"""A pseudonym leads to a lead only with the key of the installation."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from features.errors import SettingsError
from features.files import load_or_make_secret
from scoring.model.evidence import MODEL
from scoring.model.pseudonyms import KEY_FILE, Pseudonyms, former_pseudonym, key_file
from tests.helpers.evidence_builder import evidence

IDS = [f"L{n:06d}" for n in range(2_000)]


def test_trying_ids_finds_nobody_without_the_key(tmp_path: Path) -> None:
    pseudonyms = Pseudonyms.load(tmp_path / KEY_FILE)
    names = {pseudonyms.derive(lead_id) for lead_id in IDS}
    another = Pseudonyms.load(tmp_path / "other.key")
    assert len(names) == len(IDS)
    assert names.isdisjoint(former_pseudonym(lead_id) for lead_id in IDS)
    assert names.isdisjoint(another.derive(lead_id) for lead_id in IDS)
    assert pseudonyms.key_id != another.key_id


def test_the_key_is_made_once_for_all_processes(tmp_path: Path) -> None:
    path, keys = tmp_path / "out" / KEY_FILE, list[bytes]()
    threads = [threading.Thread(target=lambda: keys.append(load_or_make_secret(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == [KEY_FILE]
    assert Pseudonyms.load(path) == Pseudonyms.load(path)


def test_a_last_line_break_is_no_part_of_the_key(tmp_path: Path) -> None:
    original = Pseudonyms.load(tmp_path / KEY_FILE)
    path = tmp_path / "copied.key"
    path.write_bytes((tmp_path / KEY_FILE).read_bytes() + b"\n")
    assert Pseudonyms.load(path).derive("L1") == original.derive("L1")


def test_a_key_shows_itself_nowhere_and_an_empty_file_is_none(tmp_path: Path) -> None:
    pseudonyms = Pseudonyms.load(tmp_path / KEY_FILE)
    assert pseudonyms.key.decode() not in repr(pseudonyms)
    (tmp_path / "empty.key").write_text("\n")
    with pytest.raises(SettingsError, match=r"empty\.key: holds no key"):
        Pseudonyms.load(tmp_path / "empty.key")


def test_the_environment_names_another_file(tmp_path: Path) -> None:
    assert key_file(tmp_path, {}) == tmp_path / KEY_FILE
    assert key_file(tmp_path, {"HOTLEAD_PSEUDONYM_KEY_FILE": "/run/secrets/p"}) == Path("/run/secrets/p")


def test_evidence_without_a_key_gets_it_and_meets_the_same_leads(tmp_path: Path) -> None:
    """So a champion of an earlier version is compared with a new challenger lead by lead."""
    pseudonyms = Pseudonyms.load(tmp_path / KEY_FILE)
    former = evidence([True, False], lead=[former_pseudonym(i) for i in "ab"])
    keyed = former.with_pseudonyms(pseudonyms)
    assert keyed.lead.tolist() == [pseudonyms.derive("a"), pseudonyms.derive("b")]
    np.testing.assert_array_equal(keyed.scores[MODEL], former.scores[MODEL])
    assert keyed.with_pseudonyms(Pseudonyms(b"another installation")) is keyed
