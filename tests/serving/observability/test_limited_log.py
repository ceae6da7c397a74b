"""A warning that comes with every request is logged once a minute, and says how many were left out."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from serving.observability.limited_log import LimitedLog
from serving.store.disk_queue import DiskQueue
from tests.helpers.clock import Clock
from tests.helpers.service.stores import prediction


def test_each_message_comes_once_a_minute_with_the_number_left_out(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(0.0)
    log = LimitedLog(logging.getLogger("serving.test"), clock=clock)
    for second in range(125):
        clock.now = float(second)
        log.warning("The disk is full: %s", second)
        log.error("Other")
    lines = [(r.getMessage(), getattr(r, "omitted", 0)) for r in caplog.records]
    assert lines[::2] == [
        ("The disk is full: 0", 0),
        ("The disk is full: 60", 59),
        ("The disk is full: 120", 59),
    ]
    assert lines[1::2] == [("Other", 0), ("Other", 59), ("Other", 59)]
    assert {r.funcName for r in caplog.records} == {
        "test_each_message_comes_once_a_minute_with_the_number_left_out"
    }


def test_an_error_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    LimitedLog(logging.getLogger("serving.test")).error("It failed", exc_info=ValueError("why"))
    assert "ValueError: why" in caplog.text


def test_a_queue_that_cannot_be_written_warns_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "spool").touch()  # a file where the folder should be
    queue = DiskQueue(tmp_path / "spool", 2**20)
    for _ in range(50):
        assert queue.append([[prediction()]]) == [False]
    assert caplog.text.count("The queue on disk cannot be written") == 1
