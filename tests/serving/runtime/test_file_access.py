"""Files are created without access for others, and restricted where they exist."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.errors import SettingsError
from serving.runtime.file_access import AccessChange, restrict_files, restrict_new_files


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("value", "of_folder", "of_file"), [("", 0o700, 0o600), ("0", 0o700, 0o600), ("1", 0o770, 0o660)]
)
def test_new_files_are_for_nobody_else_or_for_the_group(
    tmp_path: Path, value: str, of_folder: int, of_file: int
) -> None:
    restrict_new_files({"HOTLEAD_GROUP_ACCESS": value})
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert (mode_of(tmp_path / "folder"), mode_of(tmp_path / "file")) == (of_folder, of_file)


def test_a_wrong_value_of_the_variable_is_an_error() -> None:
    with pytest.raises(SettingsError, match="HOTLEAD_GROUP_ACCESS: 'yes' is not allowed"):
        restrict_new_files({"HOTLEAD_GROUP_ACCESS": "yes"})


def test_existing_files_are_restricted_once(tmp_path: Path) -> None:
    folder, outside = tmp_path / "out", tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").touch()
    outside.touch()
    (folder / "link").symlink_to(outside)
    assert restrict_files([folder, folder, tmp_path / "missing"], 0o077) == AccessChange(3, 0)
    assert [mode_of(folder), mode_of(folder / "inner"), mode_of(folder / "inner" / "file")] == [
        0o700,
        0o700,
        0o600,
    ]
    assert mode_of(outside) == 0o644, "a link leads out of the folder"
    assert restrict_files([folder], 0o077) == AccessChange(0, 0)


def test_the_group_keeps_its_access(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o664)
    (tmp_path / "file").chmod(0o664)
    restrict_files([tmp_path / "file"], 0o007)
    assert mode_of(tmp_path / "file") == 0o660
