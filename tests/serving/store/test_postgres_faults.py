"""A PostgreSQL server that stops, drops connections or holds locks."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from serving.store.errors import StoreUnavailable
from tests.helpers.service.store_faults import assert_fails, assert_fails_at_once, assert_works, is_readable
from tests.helpers.service.stores import Server, activity, open_store, prediction


def test_a_server_that_stops_and_comes_back(tmp_path: Path) -> None:
    running = Server(tmp_path / "pg")
    try:
        url = running.new()
        with open_store(url, tmp_path / "spool") as store:
            assert store.add_records([activity("first")]).result() == ["stored"]
            assert store.add_predictions([prediction("L1")]).result() == "stored"
            assert is_readable(store)
            running.stop()
            assert_fails(store, "during")
            assert_fails_at_once(store)
            assert not is_readable(store)
            with open_store(url, tmp_path / "other") as late:  # a worker that starts meanwhile
                assert late.is_unavailable
                assert late.add_predictions([prediction("late")]).result() == "queued"
                running.start()
                assert_works(late, "late, after")
            assert_works(store, "after")
            assert store.add_records([activity("first")]).result() == ["known"]
            assert len(store.scores("during")) == len(store.scores("late")) == 1
    finally:
        running.close()


def test_connections_that_are_terminated_are_opened_again(server: Server, tmp_path: Path) -> None:
    """As when the server was restarted between two requests: no request fails."""
    with open_store(server.new(), tmp_path / "spool") as store:
        assert_works(store, "before")
        server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert store.lead("L1") is not None
        assert store.add_records([activity("after")]).result() == ["stored"]
        assert store.add_predictions([prediction("after")]).result() == "stored"


def test_a_table_that_another_connection_locks_for_too_long(server: Server, tmp_path: Path) -> None:
    url = server.new()
    with open_store(url, tmp_path / "spool") as store:
        assert_works(store, "before")
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
        with engine.connect() as holding:
            holding.execute(text("LOCK TABLE activities, predictions"))
            assert_fails(store, "during")
        engine.dispose()
        assert_works(store, "after")
        assert len(store.scores("during")) == 1


def test_the_password_is_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = "postgresql://hotlead:s3cret-word@127.0.0.1:1/hotlead"
    with open_store(url, tmp_path / "spool") as store:
        assert store.is_unavailable
        with pytest.raises(StoreUnavailable) as excinfo:
            store.add_records([activity("a")]).result()
        with pytest.raises(StoreUnavailable) as read:
            store.lead("L1")
    assert "s3cret-word" not in f"{excinfo.value!r} {read.value!r} {caplog.text}"
    assert "away" in caplog.text
