"""A guarded service for the tests of this folder, whose logs never contain the secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.service.guarded_service import SECRET, GuardedService


@pytest.fixture
def service(tmp_path: Path) -> GuardedService:
    return GuardedService(tmp_path)


@pytest.fixture(autouse=True)
def _check_logs_for_secret(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail when a line of the log contains the secret."""
    caplog.set_level(logging.DEBUG, "serving")
    yield
    for record in caplog.records:
        fields = {k: v for k, v in vars(record).items() if k not in ("exc_info", "exc_text")}
        assert SECRET not in str(fields)
