"""The queue on disk: bounded, whole lines, in order, and nobody's for ever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.store.disk_queue import ENDING, Spool
from serving.store.records import Prediction
from tests.helpers.stores import MOMENT_MS, prediction

ROOT = Path(__file__).parents[3]
MANY = 10_000


def drained(spool: Spool, limit: int = MANY) -> list[Prediction]:
    with spool.draining(limit) as predictions:
        return predictions


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{ENDING}"))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", 2**20)


def test_what_is_queued_comes_back_in_order_and_once(spool: Spool) -> None:
    predictions = [prediction(f"L{i}", MOMENT_MS + i, detail='{"x":"改\\n行"}') for i in range(10)]
    assert spool.append([predictions[:3], [], predictions[3:4]]) == [True] * 3
    assert spool.append([predictions[4:]]) == [True]
    assert (spool.rows, spool.waiting) == (10, True)
    assert drained(spool, 4) == predictions[:4]
    assert spool.rows == 6
    assert drained(spool) == predictions[4:]
    assert (spool.rows, spool.waiting, drained(spool)) == (0, False, [])
    spool.append([predictions])
    assert drained(spool) == predictions


def test_what_could_not_be_brought_to_the_database_stays(spool: Spool) -> None:
    spool.append([[prediction("L1"), prediction("L2")]])
    with pytest.raises(ZeroDivisionError), spool.draining(1):
        raise ZeroDivisionError
    assert [p.lead_id for p in drained(spool)] == ["L1", "L2"]


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 100)
    assert not spool.waiting
    spool.close()
    assert not (tmp_path / "spool").exists()


def test_the_queue_is_bounded_and_takes_what_fits_whole(tmp_path: Path) -> None:
    size = len(line(prediction()))
    spool = Spool(tmp_path / "spool", 3 * size)
    two = [prediction(), prediction()]
    assert spool.append([two, two, [prediction()], [prediction()]]) == [True, False, True, False]
    assert spool.append([[prediction()]]) == [False]
    assert sum(path.stat().st_size for path in files(tmp_path / "spool")) == 3 * size
    assert len(drained(spool)) == 3
    assert spool.append([two]) == [True]  # there is room again


def test_the_bound_holds_for_all_processes_together(tmp_path: Path) -> None:
    size = len(line(prediction()))
    first, second = (Spool(tmp_path / "spool", 2 * size) for _ in range(2))
    assert first.append([[prediction()]]) == [True]
    assert second.append([[prediction()], [prediction()]]) == [True, False]


def line(row: Prediction) -> bytes:
    return orjson.dumps(row._asdict()) + b"\n"


def test_the_queue_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    first, second = (Spool(tmp_path / "spool", 2**20) for _ in range(2))
    first.append([[prediction("first")]])
    assert drained(second) == []
    second.append([[prediction("second")]])
    assert [p.lead_id for p in drained(second)] == ["second"]
    assert [p.lead_id for p in drained(first)] == ["first"]


def test_the_queue_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.helpers.stores import prediction; from serving.store.disk_queue import Spool\n"
        "assert Spool(Path(sys.argv[1]), 2**20).append([[prediction('a'), prediction('b')]]) == [True]\n"
        "os.kill(os.getpid(), 9)\n"
    )
    folder = tmp_path / "spool"
    killed = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    spool = Spool(folder, 2**20)
    assert (spool.rows, spool.waiting) == (0, True)
    assert [p.lead_id for p in drained(spool, 1)] == ["a"]
    assert spool.rows == 1
    assert [p.lead_id for p in drained(spool)] == ["b"]
    assert files(folder) == []


def test_what_cannot_be_read_is_passed_over_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "spool"
    (folder / f"0-folder{ENDING}").mkdir(parents=True)
    (folder / f"0-nowhere{ENDING}").symlink_to("nowhere")
    (folder / f"1-left{ENDING}").write_bytes(line(prediction("left")))
    spool = Spool(folder, 2**20)
    assert spool.append([[prediction("own")]]) == [True]
    assert sorted(drained(spool)[0].lead_id for _ in range(2)) == ["left", "own"]
    assert drained(spool) == []
    assert [record.message.count("IsADirectoryError") for record in caplog.records] == [1, 0]


def test_a_queue_that_is_in_use_for_too_long_takes_nothing(tmp_path: Path) -> None:
    first, second = (Spool(tmp_path / "spool", 2**20) for _ in range(2))
    with first.draining(1):
        assert second.append([[prediction()]], 0.05) == [False]
    assert second.append([[prediction()]], 0.05) == [True]


def test_a_closed_queue_is_another_process_to_drain(spool: Spool, tmp_path: Path) -> None:
    spool.append([[prediction("left")]])
    spool.close()
    other_spool = Spool(tmp_path / "spool", 2**20)
    assert [p.lead_id for p in drained(other_spool)] == ["left"]
    other_spool.close()
    assert files(tmp_path / "spool") == []


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, 2_000), junk=st.sampled_from([b"", b"{}\n", b"[1]\n", b"\xff\n", b"\n"]))
def test_a_torn_last_line_is_skipped(tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("torn")
    predictions = [prediction("a"), prediction("b"), prediction("c")]
    content = b"".join(map(line, predictions))
    (folder / f"1-x{ENDING}").write_bytes(junk + content[:-cut])
    spool = Spool(folder, 2**20)
    rows = drained(spool)
    assert rows == predictions[: len(rows)]
    assert len(rows) >= content[:-cut].count(b"\n")
    assert not spool.waiting


def test_a_lead_is_erased_from_all_queues_and_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    first, second = (Spool(folder, 2**20) for _ in range(2))
    first.append([[prediction("keep 1"), prediction("gone"), prediction("keep 2"), prediction("gone")]])
    second.append([[prediction("gone"), prediction("gone too")]])
    assert [p.lead_id for p in drained(first, 1)] == ["keep 1"]
    with second.erasing("gone") as counted:
        assert counted == []
    assert sum(counted) == 3
    assert b'"gone"' not in b"".join(path.read_bytes() for path in files(folder))
    assert [p.lead_id for p in drained(first)] == ["keep 2"]
    assert [p.lead_id for p in drained(second)] == ["gone too"]


def test_erasing_where_there_is_no_queue(tmp_path: Path) -> None:
    with Spool(tmp_path / "none", 10).erasing("L1") as counted:
        pass
    assert counted == []
    assert not (tmp_path / "none").exists()


def test_a_full_disk_takes_all_of_a_group_or_nothing(tiny_disk: Path) -> None:
    folder = tiny_disk / "spool"
    spool = Spool(folder, 2**20)
    assert spool.append([[prediction("first")]]) == [True]
    (tiny_disk / "ballast").write_bytes(bytes(120_000))
    big = [prediction(detail=json.dumps("x" * 1000)) for _ in range(200)]
    assert spool.append([big, [prediction("small")]]) == [False, False]
    (tiny_disk / "ballast").unlink()
    assert spool.append([[prediction("second")]]) == [True]
    assert [p.lead_id for p in drained(spool)] == ["first", "second"]


def test_a_folder_that_cannot_be_made_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spool = Spool(tmp_path / "file" / "spool", 2**20)
    assert spool.append([[prediction()], [prediction()]]) == [False, False]
    assert (spool.rows, spool.waiting) == (0, False)
    spool.close()


def test_what_json_cannot_hold_is_not_taken_and_the_rest_is(spool: Spool) -> None:
    assert spool.append([[prediction("\ud800")], [prediction("L2")]]) == [False, True]
    assert [p.lead_id for p in drained(spool)] == ["L2"]


def test_the_warning_names_no_lead(spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / f"1-x{ENDING}").write_bytes(b'{"lead_id": "Yamada"')
    assert drained(spool) == []
    assert "torn" in caplog.text
    assert "Yamada" not in caplog.text
