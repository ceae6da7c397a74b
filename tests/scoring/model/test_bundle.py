"""The bundle: whole or refused, pointed to at once, older ones kept for a while."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.errors import DataError, OutsideError
from scoring.model.bundle import (
    BUNDLE_FILE,
    MAX_BUNDLES,
    Origin,
    current_name,
    load_bundle,
    origin_of,
    pointer_stamp,
    write_bundle,
)
from scoring.model.model import EVIDENCE_FILE, MODEL_FILE, TREES_FILE
from tests.conftest import Demo


def origin(demo: Demo, registered: str = "1") -> Origin:
    return Origin(demo.model.version, registered, "run", 1_700_000_000_000)


def test_a_bundle_gives_back_the_model_its_evidence_and_where_it_comes_from(
    demo: Demo, tmp_path: Path
) -> None:
    write_bundle(tmp_path, demo.out / "model", origin(demo))
    bundle = load_bundle(tmp_path)
    assert bundle is not None
    assert bundle.origin == origin(demo) == origin_of(tmp_path)
    assert bundle.model.version == demo.model.version
    assert len(bundle.evidence) == len(demo.trained.evidence)


def test_without_a_pointer_there_is_no_bundle(tmp_path: Path) -> None:
    assert load_bundle(tmp_path) is None
    assert origin_of(tmp_path) is None
    assert pointer_stamp(tmp_path) is None


@pytest.mark.parametrize("name", [MODEL_FILE, TREES_FILE, EVIDENCE_FILE])
def test_a_changed_file_is_found_by_its_checksum(demo: Demo, tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path, demo.out / "model", origin(demo))
    path = tmp_path / origin(demo).name / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is not what was written"):
        load_bundle(tmp_path)
    assert origin_of(tmp_path) is None


@pytest.mark.parametrize("name", [MODEL_FILE, TREES_FILE, EVIDENCE_FILE, BUNDLE_FILE])
def test_a_missing_file_is_found(demo: Demo, tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path, demo.out / "model", origin(demo))
    (tmp_path / origin(demo).name / name).unlink()
    with pytest.raises(DataError, match="no whole bundle"):
        load_bundle(tmp_path)


def test_a_bundle_without_all_checksums_is_refused(demo: Demo, tmp_path: Path) -> None:
    write_bundle(tmp_path, demo.out / "model", origin(demo))
    path = tmp_path / origin(demo).name / BUNDLE_FILE
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["sha256"][EVIDENCE_FILE]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(DataError):
        load_bundle(tmp_path)


def test_a_pointer_to_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "current").write_text("7-gone", encoding="utf-8")
    with pytest.raises(DataError, match="no whole bundle"):
        load_bundle(tmp_path)


def test_writing_again_moves_the_pointer_and_mends_what_was_damaged(demo: Demo, tmp_path: Path) -> None:
    write_bundle(tmp_path, demo.out / "model", origin(demo))
    before = pointer_stamp(tmp_path)
    (tmp_path / origin(demo).name / TREES_FILE).write_text("broken", encoding="utf-8")
    write_bundle(tmp_path, demo.out / "model", origin(demo))
    assert load_bundle(tmp_path) is not None
    assert pointer_stamp(tmp_path) != before


def test_the_last_bundles_stay_and_older_ones_go(demo: Demo, tmp_path: Path) -> None:
    for registered in map(str, range(1, 7)):
        write_bundle(tmp_path, demo.out / "model", origin(demo, registered))
    remaining = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert len(remaining) == MAX_BUNDLES
    assert current_name(tmp_path) == origin(demo, "6").name
    assert current_name(tmp_path) in remaining


def test_a_full_disk_leaves_the_bundle_in_use(demo: Demo, tiny_disk: Path) -> None:
    with pytest.raises(OutsideError, match="cannot be written"):
        write_bundle(tiny_disk / "bundles", demo.out / "model", origin(demo))
    assert current_name(tiny_disk / "bundles") is None
    assert [p.name for p in (tiny_disk / "bundles").iterdir()] == []


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"  "])
def test_a_pointer_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "current").write_bytes(content)
    assert current_name(tmp_path) is None
    assert load_bundle(tmp_path) is None
