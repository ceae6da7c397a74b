"""A forgotten lead is in no table and no free page; old predictions are deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.store.backends.sqlite import file_contains
from serving.store.records import KINDS
from serving.store.store import Store
from tests.helpers.service.store_faults import database_of
from tests.helpers.service.stores import (
    LATER_MS,
    MOMENT_MS,
    activity,
    add_predictions,
    add_records,
    hot,
    open_store,
    prediction,
    record,
)


def test_a_forgotten_lead_is_in_no_table(store: Store) -> None:
    add_records(store, *(record(kind, "k") for kind in KINDS), activity("of another", lead_id="L2"))
    add_predictions(store, hot(), prediction(as_of=MOMENT_MS - 5, replay=True), hot("L2"))
    erased = store.forget(["L1"])
    assert erased.leads == {"L1"}
    assert erased.rows == {**dict.fromkeys(KINDS, 1), "predictions": 2, "current_scores": 1, "spool": 0}
    assert store.lead("L1") is None
    assert store.scores("L1") == []
    assert [row.lead_id for row in store.call_list(None, 10, LATER_MS)] == ["L2"]
    assert sum(store.forget(["L1"]).rows.values()) == 0


def test_a_forgotten_lead_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    """Among enough others that pages were split, moved and rewritten."""
    path, wanted = tmp_path / "s.db", "lead-to-be-forgotten"
    names = [f"lead-{i * 7919 % 4001:05d}" for i in range(4_000)]
    names[1000::500] = [wanted] * len(names[1000::500])
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        for turn in range(2):
            for start in range(0, len(names), 500):
                part = list(enumerate(names[start : start + 500], start + turn * 10_000))
                add_predictions(
                    store, *(hot(name, MOMENT_MS + i, detail=f'{{"x":"{name}"}}') for i, name in part)
                )
                add_records(store, *(activity(f"{name}/{i}", lead_id=name) for i, name in part))
        assert wanted.encode() in contents(path)
        store.forget([wanted])
        assert wanted.encode() not in contents(path)
        assert store.lead("lead-00000") is not None
        assert sum(1 for _ in store.call_list(None, 10_000, LATER_MS)) == len(set(names)) - 1


def contents(path: Path) -> bytes:
    """The bytes of the database and all files beside it that SQLite makes."""
    return b"".join(p.read_bytes() for p in sorted(path.parent.glob(f"{path.name}*")))


def test_traces_in_moved_pages_are_cleared(tmp_path: Path) -> None:
    """What SQLite's secure_delete does not reach: as if a split had left it in a free gap."""
    path, wanted = tmp_path / "s.db", b"lead-to-be-forgotten"
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        add_records(store, activity("a", lead_id=wanted.decode()))
        database_of(store).clear_free_pages(["nothing"])  # all is in the file now
        data = path.read_bytes()
        gap = data.index(bytes(200))  # unused bytes of some page
        path.write_bytes(data[: gap + 50] + wanted + data[gap + 50 + len(wanted) :])
        store.forget([wanted.decode()])
        assert wanted not in contents(path)
        assert add_records(store, activity("b")) == ["stored"]


@pytest.mark.parametrize("at_once", [3, 4, 5, 7, 2**20])
def test_an_id_is_found_whole_in_a_file(tmp_path: Path, at_once: int) -> None:
    path = tmp_path / "file"
    others, matching = b"--L100--L10-a--L10_--L1\0", b"key-7L10\1"
    for content, is_found in ((others, False), (others + matching + others, True), (others + b"L10", True)):
        path.write_bytes(content)
        assert file_contains(path, b"L10", at_once) == is_found


def test_a_lead_whose_id_begins_others_is_found_in_their_midst(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        names = ["L100", "L10", "L101", "L10-2"]
        add_records(store, *(record(k, f"k{n}", lead_id=n) for k in KINDS for n in names))
        add_predictions(store, *(hot(name) for name in names))
        database_of(store).clear_free_pages(["nothing"])  # all is in the file now
        assert file_contains(path, b"L10")
        store.forget(["L10"])
        assert not file_contains(path, b"L10")
        assert file_contains(path, b"L100")


def test_old_predictions_go_and_present_scores_stay(store: Store) -> None:
    add_predictions(
        store,
        *(prediction(f"L{i}", MOMENT_MS + i, stage="hot") for i in range(2_500)),
        prediction("new", MOMENT_MS + 3, scored_at=MOMENT_MS + 9_999),
    )
    assert store.prune(MOMENT_MS + 2_400) == 2_400
    assert store.scores("L5") == []
    assert len(store.scores("L2400")) == len(store.scores("new")) == 1
    assert len(store.call_list(None, 10_000, LATER_MS)) == 2_500
    assert store.prune(MOMENT_MS + 2_400) == 0
