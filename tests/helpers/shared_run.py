"""What the worker processes of one test run share: folders, and locks in them."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the whole run; pytest-xdist gives each worker a subfolder of it."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def postgresql_folder() -> Path:
    """The data folder of the PostgreSQL server of the run.

    It is not among the folders of pytest, which only their owner may enter: as root, the server runs as
    another user.
    """
    run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    return Path(tempfile.gettempdir()) / f"hotlead-postgresql-{run_id}"


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`: other workers wait until the block ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
