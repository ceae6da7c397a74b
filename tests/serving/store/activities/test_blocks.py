"""What is read from blocks is what is in the rows, whatever was corrected or erased meanwhile."""

from __future__ import annotations

import math
import random
from functools import partial

import pytest

from features.large.event_columns import EventColumns
from features.one_lead import Event
from serving.store import queries
from serving.store.activities import blocks, events, packing
from serving.store.activities.blocks import find_gaps, pack_block
from serving.store.errors import ManyActivities
from serving.store.store import Store
from tests.helpers.service.store_faults import database_of
from tests.helpers.service.stores import MOMENT_MS, activity, add_records, record, wait_until

BLOCK_ROWS = 5
LEADS = ("L1", "L2", "L3")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (blocks, packing, events):
        monkeypatch.setattr(module, "BLOCK_ROWS", BLOCK_ROWS)
    monkeypatch.setattr(events, "MANY_EVENTS", 3)
    monkeypatch.setattr(events, "PAGE_ROWS", 4)


def pack(store: Store, lead_id: str) -> None:
    """Pack all that fills blocks, in this process's writer."""
    writer, database = store._writer, database_of(store)
    work = partial(pack_block, database, lead_id=lead_id)
    while writer.run(partial(writer.transact, False, work)):
        pass


def events_in_rows(store: Store, lead_id: str) -> list[Event]:
    rows = store.read(
        lambda connection: connection.execute(queries.activities_of_leads(), {"ids": [lead_id]}).all()
    )
    return [(kind, time_ms, math.nan if value is None else value) for _, kind, time_ms, value in rows]


def events_read(store: Store, lead_id: str) -> list[Event]:
    stored = store.lead(lead_id)
    return [] if stored is None else list(stored.events)


def count_blocks(store: Store, lead_id: str = "L1") -> int:
    return len(store.read(lambda c: c.execute(queries.blocks(), {"lead_id": lead_id}).all()))


def assert_same(store: Store, lead_id: str) -> None:
    assert repr(events_read(store, lead_id)) == repr(events_in_rows(store, lead_id))


@pytest.mark.parametrize("seed", range(2))
def test_blocks_and_rows_are_the_same_after_anything(store: Store, seed: int) -> None:
    """Corrections that move an activity to another lead, late ones, those of equal times, and erasures."""
    draw = random.Random(seed)
    for _ in range(40):
        records = [
            activity(
                f"k{draw.randrange(40)}",
                MOMENT_MS + draw.randrange(6),
                version=draw.choice((1, 1, 1, 2, 3)),
                lead_id=draw.choice(LEADS),
                type=draw.choice(("page", "mail")),
                value=draw.choice((None, 0.1 + 0.2, 7)),
            )
            for _ in range(draw.randrange(1, 8))
        ]
        add_records(store, *records)
        if draw.random() < 0.5:
            pack(store, draw.choice(LEADS))
        if draw.random() < 0.05:
            store.forget(draw.choice(LEADS))
        for lead_id in LEADS:
            assert_same(store, lead_id)
    assert sum(count_blocks(store, lead_id) for lead_id in LEADS) > 0


def test_a_lead_that_got_many_activities_is_packed_by_itself(store: Store) -> None:
    add_records(store, *(activity(f"a{i}", MOMENT_MS + i) for i in range(13)))
    wait_until(lambda: count_blocks(store) == 2, "two blocks are made")
    assert_same(store, "L1")


def test_a_lead_that_was_read_is_packed(store: Store) -> None:
    for i in range(13):
        add_records(store, activity(f"a{i}", MOMENT_MS + i))
    store._maintenance._packing.take()
    assert isinstance(store.leads(["L1"])["L1"].events, EventColumns)
    wait_until(lambda: count_blocks(store) == 2, "two blocks are made")
    assert_same(store, "L1")


def test_a_correction_drops_the_block_and_it_is_made_again(store: Store) -> None:
    add_records(store, *(activity(f"a{i}", MOMENT_MS + i, value=i) for i in range(13)))
    pack(store, "L1")
    add_records(store, activity("a1", MOMENT_MS + 1, version=2, value=99))
    assert count_blocks(store) == 1
    assert events_read(store, "L1")[1] == ("page", MOMENT_MS + 1, 99)
    pack(store, "L1")
    assert count_blocks(store) == 2
    assert_same(store, "L1")


def test_erasing_the_lead_of_a_correction_brings_the_earlier_version_back(store: Store) -> None:
    add_records(store, *(activity(f"a{i}", MOMENT_MS + i) for i in range(9)))
    add_records(store, activity("a1", MOMENT_MS + 1, version=2, lead_id="L2"))
    pack(store, "L1")
    assert len(events_read(store, "L1")) == 8
    store.forget(["L2"])
    assert len(events_read(store, "L1")) == 9
    assert_same(store, "L1")


def test_an_erased_lead_has_no_blocks(store: Store) -> None:
    add_records(store, *(activity(f"a{i}") for i in range(13)))
    pack(store, "L1")
    assert "activity_blocks" not in store.forget(["L1"]).rows
    assert count_blocks(store) == 0
    assert store.lead("L1") is None


def test_more_activities_than_the_limit_are_not_read(store: Store) -> None:
    of_account = [record("leads", lead_id, lead_id=lead_id, account="acme") for lead_id in ("L1", "L2")]
    add_records(store, *of_account, activity("a1"), *(activity(f"b{i}", lead_id="L2") for i in range(2)))
    stored = store.lead("L1", limit=3)
    assert stored is not None
    assert (len(stored.events), [len(colleague) for colleague in stored.colleagues]) == (1, [2])
    add_records(store, activity("a2"))
    for lead_id in ("L1", "L2"):
        with pytest.raises(ManyActivities):
            store.lead(lead_id, limit=3)


def test_gaps_are_what_blocks_leave_out() -> None:
    last = blocks.LAST_SEQ
    assert find_gaps([]) == [(0, last)]
    assert find_gaps([(0, 9), (10, 19)]) == [(20, last)]
    assert find_gaps([(10, 19), (30, 39)]) == [(0, 9), (20, 29), (40, last)]
