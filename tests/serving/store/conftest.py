"""Stores on each database, for the tests of this package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.store.store import Store
from tests.helpers.service.stores import activity, open_store, prediction, server, store, url

__all__ = ["server", "store", "url"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "s.db"


@pytest.fixture
def local(path: Path, tmp_path: Path) -> Iterator[Store]:
    """A store in a file, with something in it."""
    with open_store(f"sqlite:///{path}", tmp_path / "spool") as store:
        assert store.add_records([activity("first")]).result() == ["stored"]
        assert store.add_predictions([prediction("L1")]).result() == "stored"
        yield store
