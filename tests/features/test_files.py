"""Files and folders are written completely or not at all, also on a full disk; locks; changes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from features.errors import OutsideError
from features.files import atomic_file, atomic_folder, file_lock, file_version, write_private

Step = Callable[[Path], object]


def write_file(path: Path, step: Step) -> None:
    with atomic_file(path) as part:
        step(part)


def fill_folder(path: Path, step: Step) -> None:
    with atomic_folder(path) as part:
        step(part)


def interrupted(part: Path) -> None:
    (part / "half" if part.is_dir() else part).write_text("half")
    raise KeyboardInterrupt


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB; root can make one in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        returncode = subprocess.run(command, capture_output=True, check=False).returncode
    except OSError:
        returncode = 1
    if returncode:
        pytest.skip("a small disk can be mounted by root on Linux only")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_file_takes_its_place_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.csv"
    with atomic_file(path) as part:
        part.write_text("all")
        assert not path.exists()
    assert path.read_text() == "all"
    assert os.listdir(path.parent) == ["out.csv"]


def test_a_file_stays_as_it_was_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("former")
    with pytest.raises(KeyboardInterrupt):
        write_file(path, interrupted)
    assert path.read_text() == "former"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_folder_takes_its_place_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for name in ("a", "b"):
        with atomic_folder(path) as part:
            (part / name).write_text(name)
        assert os.listdir(path) == [name]
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_stays_as_it_was_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "former").touch()
    with pytest.raises(KeyboardInterrupt):
        fill_folder(path, interrupted)
    assert os.listdir(path) == ["former"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "former").touch()
    with pytest.raises(OutsideError), atomic_folder(path) as part:
        part.rmdir()
    assert os.listdir(path) == ["former"]
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this platform has no /dev/full")
def test_a_device_that_is_full_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("former")
    with pytest.raises(OutsideError) as problem:
        write_file(path, lambda part: (part.symlink_to("/dev/full"), part.write_text("more")))
    assert str(problem.value) == (
        f"{path}: cannot be written (No space left on device). Free some space or choose another place."
    )
    assert path.read_text() == "former"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_full_disk_leaves_the_former_file(small_disk: Path) -> None:
    path = small_disk / "out.csv"
    path.write_text("former")
    with pytest.raises(OutsideError, match=r"out\.csv: cannot be written [(]No space left"):
        write_file(path, lambda part: part.write_bytes(b"x" * 100_000))
    assert path.read_text() == "former"
    assert os.listdir(small_disk) == ["out.csv"]


def test_a_full_disk_leaves_the_former_folder(small_disk: Path) -> None:
    path = small_disk / "model"
    path.mkdir()
    (path / "former").write_text("all")
    with pytest.raises(OutsideError, match=r"model: cannot be written [(]No space left"):
        fill_folder(path, lambda part: (part / "trees.txt").write_bytes(b"x" * 100_000))
    assert (path / "former").read_text() == "all"
    assert os.listdir(small_disk) == ["model"]


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutsideError, match="cannot be written"), atomic_file(tmp_path / "file" / "x"):
        pass


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    """The lock of another process ends with its block, or when it is killed."""
    code = (
        "import sys; from pathlib import Path; from features.files import file_lock\n"
        "with file_lock(Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.readline()\n"
    )
    path = tmp_path / "new" / ".lock"
    for is_killed in (False, True):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            for timeout in (0, 0.05):
                with pytest.raises(TimeoutError), file_lock(path, timeout):
                    pass
            if is_killed:
                holder.kill()
            else:
                holder.communicate("\n")
            with file_lock(path, 30):
                pass
    assert not path.stat().st_mode & 0o007, "another user could hold it"


def test_a_lock_without_a_timeout_waits(tmp_path: Path) -> None:
    order: list[str] = []

    def wait() -> None:
        with file_lock(tmp_path / "lock"):
            order.append("second")

    with file_lock(tmp_path / "lock"):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.05)
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]


def test_a_lock_that_cannot_be_made_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutsideError, match="lock: cannot be written"), file_lock(tmp_path / "file" / "lock"):
        pass


def test_the_version_of_a_file_changes_when_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    versions = [file_version(path)]
    for _ in range(3):
        with atomic_file(path) as part:
            part.write_text("same")
        versions.append(file_version(path))
    assert versions[0] is None
    assert len(set(versions)) == 4
    assert file_version(path) == versions[-1]


def test_a_version_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Not the same as a file that does not exist: without keys the service is open."""
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        file_version(tmp_path / "file" / "keys.json")


def test_a_private_file_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, b"secret")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_private(path, b"other")
    assert path.read_bytes() == b"secret"
