"""The snapshot of the registered models has what the page of the models shows."""

from __future__ import annotations

import re
from pathlib import Path

from training.registry import models_snapshot

TEMPLATE = Path(__file__).parents[3] / "serving/review/templates/models.html"


def test_the_page_shows_what_the_snapshot_has() -> None:
    names = re.findall(r"about(?:\.get\(\"|\.)(\w+)", TEMPLATE.read_text(encoding="utf-8"))
    shown = {name for name in names if name != "get"}
    assert {"time_to_win", "figures"} <= shown
    assert shown <= {*models_snapshot._ABOUT}
