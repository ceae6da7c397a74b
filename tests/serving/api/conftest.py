"""A service with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.service.api_requests import Clock
from tests.helpers.service.service_app import App, small_app


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(tmp_path: Path, clock: Clock) -> Iterator[App]:
    with small_app(tmp_path, clock) as service_app:
        yield service_app
