"""The service of a small company, and a reviewer who is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.service.review_site import Reviewer, review_app
from tests.helpers.service.service_app import App


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[App, Reviewer]]:
    with review_app(tmp_path) as app_and_reviewer:
        yield app_and_reviewer
