"""Faults of a store: its writer held up, its maintenance stopped, its breaker open; and whether it works."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from serving.store.backends.base import Database
from serving.store.errors import StoreUnavailable
from serving.store.store import Store
from tests.helpers.service.stores import activity, prediction, wait_until


def assert_works(store: Store, key: str) -> None:
    """Records and predictions are stored and read, without a restart."""
    wait_until(lambda: not store.is_unavailable, "the store is back")
    assert store.add_records([activity(key)]).result() == ["stored"]
    assert store.add_predictions([prediction(key)]).result() == "stored"
    assert store.lead("L1") is not None
    wait_until(lambda: store.queue_rows() == 0, "the queue is drained")


def assert_fails(store: Store, name: str, expected: str = "queued") -> None:
    """Records are refused, and predictions go to the queue on disk."""
    with pytest.raises(StoreUnavailable) as excinfo:
        store.add_records([activity(name)]).result()
    assert excinfo.value.retry_after > 0
    assert store.add_predictions([prediction(name)]).result() == expected
    assert store.is_unavailable


def assert_fails_at_once(store: Store) -> None:
    """While the breaker is open no request waits: its future is done when it is returned."""
    assert store.add_records([activity("never")]).done()


def is_readable(store: Store) -> bool:
    try:
        store.lead("L1")
    except StoreUnavailable:
        return False
    return True


def database_of(store: Store) -> Database:
    """The database behind a store, for what only a test looks at."""
    return store._database


def trip(store: Store) -> None:
    """Open the breaker; the maintenance closes it within a second."""
    store._breaker.trip("for this test")


def reset(store: Store) -> None:
    """Close the breaker."""
    store._breaker.reset()


@contextmanager
def held_up_writer(store: Store) -> Iterator[None]:
    """The writer is busy within the block."""
    go, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go.wait(30)

    def keep_busy() -> None:
        with suppress(StoreUnavailable):  # it is closed meanwhile
            store._writer.run(wait)

    busy = threading.Thread(target=keep_busy)
    busy.start()
    begun.wait(30)
    yield
    go.set()
    busy.join(30)


@contextmanager
def stopped_maintenance(store: Store) -> Iterator[None]:
    """The maintenance neither probes nor drains within the block."""
    maintenance = store._maintenance
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maintenance, "_every_second", lambda: None)
        yield
