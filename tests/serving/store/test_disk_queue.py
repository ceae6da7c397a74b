"""The queue on disk: flushed, in order, taken once, bounded, erasable, and shared by processes."""

from __future__ import annotations

import fcntl
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from serving.store.disk_queue import PAGE_BYTES, QUEUE_FILE, DiskQueue
from serving.store.records import Prediction
from tests.helpers.service.stores import MOMENT_MS, prediction

ROOT = Path(__file__).parents[3]
MANY = 10_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def queue(folder: Path) -> DiskQueue:
    return DiskQueue(folder, 2**20)


def drain(queue: DiskQueue, limit: int = MANY) -> list[Prediction]:
    with queue.draining(limit) as predictions:
        return predictions


def lead_ids(predictions: Iterable[Prediction]) -> list[str]:
    return [prediction.lead_id for prediction in predictions]


def file_bytes(folder: Path) -> bytes:
    """The bytes of the queue and of all files beside it."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_predictions_come_back_in_order_and_once(queue: DiskQueue) -> None:
    predictions = [prediction(f"L{i}", MOMENT_MS + i, detail='{"x":"改\\n行"}') for i in range(10)]
    assert queue.append([predictions[:3], [], predictions[3:4]]) == [True] * 3
    assert queue.append([predictions[4:]]) == [True]
    assert (queue.rows, queue.waiting) == (10, True)
    assert drain(queue, 4) == predictions[:4]
    assert queue.rows == 6
    assert drain(queue) == predictions[4:]
    assert (queue.rows, queue.waiting, drain(queue)) == (0, False, [])
    queue.append([predictions])
    assert drain(queue) == predictions


def test_predictions_stay_when_draining_fails(queue: DiskQueue) -> None:
    queue.append([[prediction("L1"), prediction("L2")]])
    with pytest.raises(ZeroDivisionError), queue.draining(1):
        raise ZeroDivisionError
    assert lead_ids(drain(queue)) == ["L1", "L2"]


def test_no_file_is_created_before_the_first_append(folder: Path, queue: DiskQueue) -> None:
    assert (queue.waiting, queue.rows) == (False, 0)
    with queue.erasing(["L1"]) as erased:
        pass
    assert erased == []
    queue.close()
    assert not folder.exists()


def test_other_users_may_not_read_the_files(folder: Path, queue: DiskQueue) -> None:
    queue.append([[prediction()]])
    assert not any(path.stat().st_mode & 0o007 for path in folder.iterdir())


def test_an_append_is_flushed_before_it_returns(folder: Path) -> None:
    """By the settings of SQLite that flush each commit, on every connection that is opened."""
    settings: list[object] = []

    class Recorded(DiskQueue):
        def _open(self) -> sqlite3.Connection:
            connection = super()._open()
            settings.append(connection.execute("PRAGMA synchronous").fetchone()[0])
            return connection

    assert Recorded(folder, 2**20).append([[prediction()]]) == [True]
    with closing(sqlite3.connect(folder / QUEUE_FILE)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert set(settings) == {2}


def test_the_file_is_bounded_and_takes_a_list_completely_or_not_at_all(folder: Path) -> None:
    queue = DiskQueue(folder, 40 * PAGE_BYTES)
    small, big = [prediction()], [prediction()] * 1_000
    assert queue.append([small, big, small, big]) == [True, False, True, False]
    assert queue.rows == 2
    while queue.append([small]) == [True]:
        pass
    assert (folder / QUEUE_FILE).stat().st_size <= 40 * PAGE_BYTES
    assert 100 < len(drain(queue)) < 400
    assert queue.append([small]) == [True]  # there is space again


def test_the_bound_holds_for_all_processes_together(folder: Path) -> None:
    first, second = (DiskQueue(folder, 10 * PAGE_BYTES) for _ in range(2))
    while first.append([[prediction()]]) == [True]:
        pass
    assert second.append([[prediction()]]) == [False]


def test_what_one_process_queues_another_drains(folder: Path) -> None:
    first, second = (DiskQueue(folder, 2**20) for _ in range(2))
    first.append([[prediction("first")]])
    second.append([[prediction("second")]])
    assert first.rows == second.rows == 2
    assert lead_ids(drain(second)) == ["first", "second"]
    assert drain(first) == []


def test_a_killed_process_loses_nothing(folder: Path, queue: DiskQueue) -> None:
    """Also what it was draining, and nothing that it was still appending comes back in part."""
    code = (
        "import os, sys; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.helpers.service.stores import prediction\n"
        "from serving.store.disk_queue import DiskQueue\n"
        "queue = DiskQueue(Path(sys.argv[1]), 2**20)\n"
        "assert queue.append([[prediction('a'), prediction('b')]]) == [True]\n"
        "with queue.draining(1) as predictions:\n"
        "    assert len(predictions) == 1\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert (queue.rows, queue.waiting) == (2, True)
    assert lead_ids(drain(queue, 1)) == ["a"]
    assert lead_ids(drain(queue)) == ["b"]


def test_everything_acknowledged_by_processes_is_drained_once(folder: Path, queue: DiskQueue) -> None:
    """Three processes append, one of them is killed, while two threads drain."""
    code = (
        "import sys; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.helpers.service.stores import prediction\n"
        "from serving.store.disk_queue import DiskQueue\n"
        "queue = DiskQueue(Path(sys.argv[1]), 2**24)\n"
        "for i in range(int(sys.argv[3])):\n"
        "    name = f'{sys.argv[2]}-{i}'\n"
        "    ok = queue.append([[prediction(name), prediction(name)]]) == [True]\n"
        "    print(name if ok else 'FAILED', flush=True)\n"
    )
    counts = ("a", 12), ("b", 12), ("killed", 100_000)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder), name, str(count)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name, count in counts
    ]
    drained: list[str] = []
    is_done = threading.Event()

    def keep_draining() -> None:
        while not is_done.wait(0.02):
            drained.extend(lead_ids(drain(queue, 500)))

    threads = [threading.Thread(target=keep_draining) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert started[2].stdout is not None
    first_lines = "".join(started[2].stdout.readline() for _ in range(10))
    started[2].kill()
    outputs = [first_lines, *(process.communicate(timeout=120)[0] for process in started)]
    deadline = time.monotonic() + 60
    while queue.waiting and time.monotonic() < deadline:
        time.sleep(0.02)
    is_done.set()
    for thread in threads:
        thread.join()
    acknowledged = [line for output in outputs for line in output.splitlines(keepends=True)]
    times = Counter(drained)
    assert all(times[line.strip()] == 2 for line in acknowledged if line.endswith("\n"))
    assert len(acknowledged) > 24
    # Also what was appended before it could be acknowledged is there completely, and once.
    assert set(times.values()) == {2}


def test_a_queue_that_is_busy_for_too_long_takes_nothing(folder: Path) -> None:
    first, second = (DiskQueue(folder, 2**20) for _ in range(2))
    first.append([[prediction("L1")]])
    with first.draining(1):
        assert second.append([[prediction()]], 0.05) == [False]
        assert drain(second) == []  # the other one takes care of it
    assert second.append([[prediction()]], 0.05) == [True]


def test_a_queue_whose_folder_was_deleted_is_created_again(folder: Path, queue: DiskQueue) -> None:
    queue.append([[prediction("lost")]])
    folder.rename(folder.with_name("moved"))
    assert (queue.rows, queue.waiting, queue.append([[prediction("new")]])) == (0, False, [True])
    assert lead_ids(drain(queue)) == ["new"]


@pytest.mark.parametrize("is_drained", [False, True])
def test_a_lead_is_erased_without_traces_and_others_stay(
    folder: Path, queue: DiskQueue, is_drained: bool
) -> None:
    """Also from the free pages and the write-ahead log, when it had been drained before."""
    names = [f"lead {i}" for i in range(300)]
    names[::50] = ["lead to be erased"] * 6
    queue.append([[prediction(name) for name in names]])
    assert b"lead to be erased" in file_bytes(folder)
    if is_drained:
        drain(queue, 251)
    with queue.erasing(["lead to be erased"]) as erased:
        assert erased == []
    assert erased == [] if is_drained else ["lead to be erased"] * 6
    assert b"lead to be erased" not in file_bytes(folder)
    others = [name for name in names[251 if is_drained else 0 :] if name != "lead to be erased"]
    assert lead_ids(drain(queue)) == others


def test_the_queue_is_not_drained_while_a_lead_is_erased(folder: Path, queue: DiskQueue) -> None:
    queue.append([[prediction("gone"), prediction("gone too")]])
    with queue.erasing(["gone"]):
        assert drain(DiskQueue(folder, 2**20)) == []
    assert lead_ids(drain(queue)) == ["gone too"]


def test_a_full_disk_takes_all_of_a_list_or_nothing(tiny_disk: Path) -> None:
    queue = DiskQueue(tiny_disk / "spool", 2**20)
    assert queue.append([[prediction("first")]]) == [True]
    (tiny_disk / "ballast").write_bytes(bytes(90_000))
    big = [prediction("big", detail=json.dumps("x" * 1000)) for _ in range(200)]
    assert queue.append([big])[0] is False
    (tiny_disk / "ballast").unlink()
    assert queue.append([[prediction("second")]]) == [True]
    assert lead_ids(drain(queue)) == ["first", "second"]


def test_a_folder_that_cannot_be_created_takes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    queue = DiskQueue(tmp_path / "file" / "spool", 2**20)
    assert queue.append([[prediction()], [prediction()]]) == [False, False]
    assert (queue.rows, queue.waiting) == (0, False)
    assert "cannot be written" in caplog.text


def test_a_file_that_is_no_database_is_reported_and_left(folder: Path, queue: DiskQueue) -> None:
    folder.mkdir()
    (folder / QUEUE_FILE).write_bytes(b"no database " * 1_000)
    assert queue.append([[prediction()]]) == [False]
    assert (queue.rows, queue.waiting) == (0, True)
    with pytest.raises(OSError, match="not a database"):
        drain(queue)
    with pytest.raises(OSError, match="not a database"), queue.erasing(["L1"]):
        pass
    assert (folder / QUEUE_FILE).read_bytes() == b"no database " * 1_000


def test_what_json_cannot_hold_is_not_taken_and_the_rest_is(queue: DiskQueue) -> None:
    assert queue.append([[prediction("\ud800")], [prediction("L2")]]) == [False, True]
    assert lead_ids(drain(queue)) == ["L2"]


# Files of a former version: one JSON object a line


def to_line(row: Prediction) -> bytes:
    return orjson.dumps(row._asdict()) + b"\n"


def test_the_files_of_a_former_version_are_adopted_once(folder: Path, queue: DiskQueue) -> None:
    folder.mkdir()
    erased, torn = b" " * 100 + b"\n", to_line(prediction("torn"))[:-9]
    (folder / "1-a.spool").write_bytes(to_line(prediction("a")) + erased + to_line(prediction("b")) + torn)
    (folder / "2-b.spool").write_bytes(to_line(prediction("c")))
    (folder / "lock").touch()
    assert queue.waiting
    assert drain(queue) == [prediction("a"), prediction("b"), prediction("c")]
    assert not queue.waiting
    assert list(folder.glob("*.spool")) == []


def test_a_file_is_not_adopted_twice_after_a_kill(folder: Path, queue: DiskQueue) -> None:
    """As if the process had been killed after it adopted the file, but before it deleted it."""
    folder.mkdir()
    content = to_line(prediction("a")) + to_line(prediction("b"))
    (folder / "1-a.spool").write_bytes(content)
    queue.append([[prediction("c")]])
    (folder / "1-a.spool").write_bytes(content)
    assert lead_ids(drain(DiskQueue(folder, 2**20))) == ["a", "b", "c"]


def test_the_file_of_a_former_version_that_still_runs_is_left(folder: Path, queue: DiskQueue) -> None:
    folder.mkdir()
    path = folder / "1-a.spool"
    path.write_bytes(to_line(prediction("a")))
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert drain(queue) == []
        with pytest.raises(OSError, match=r"1-a\.spool may contain a lead"), queue.erasing(["a"]):
            pass
    assert path.exists()
    assert lead_ids(drain(DiskQueue(folder, 2**20))) == ["a"]


def test_a_former_file_that_cannot_be_read_is_reported(
    folder: Path, queue: DiskQueue, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "0-folder.spool").mkdir(parents=True)
    (folder / "1-left.spool").write_bytes(to_line(prediction("left")))
    assert queue.append([[prediction("own")]]) == [True]
    assert lead_ids(drain(queue)) == ["left", "own"]
    assert not queue.waiting
    assert caplog.text.count("0-folder.spool: cannot be written (Is a directory)") == 1


def test_a_lead_is_erased_from_former_files_too(folder: Path, queue: DiskQueue) -> None:
    folder.mkdir()
    (folder / "1-a.spool").write_bytes(to_line(prediction("gone")) + to_line(prediction("stays")))
    with queue.erasing(["gone"]) as erased:
        pass
    assert erased == ["gone"]
    assert b"gone" not in file_bytes(folder)
    assert lead_ids(drain(queue)) == ["stays"]


def test_the_warning_names_no_lead(folder: Path, queue: DiskQueue, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir()
    (folder / "1-x.spool").write_bytes(b'{"lead_id": "Yamada"')
    assert drain(queue) == []
    assert "damaged" in caplog.text
    assert "Yamada" not in caplog.text
