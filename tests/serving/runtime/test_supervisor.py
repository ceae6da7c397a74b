"""The parts of the service: started again when they end, later each time they do not live long."""

from __future__ import annotations

import sys
import time

import pytest

from serving.runtime.supervisor import ManagedProcess


def ended(part: ManagedProcess) -> ManagedProcess:
    part.start()
    assert part.process is not None
    part.process.wait(30)
    return part


@pytest.fixture
def part() -> ManagedProcess:
    return ManagedProcess("part", [sys.executable, "-c", "raise SystemExit(3)"], {})


def test_a_part_that_lives_is_left_alone() -> None:
    part = ManagedProcess("part", [sys.executable, "-c", "import time; time.sleep(60)"], {})
    part.start()
    messages: list[str] = []
    part.restart_if_dead(messages.append)
    assert messages == []
    part.stop()
    part.wait(time.monotonic() + 30)
    assert part.process is not None
    assert part.process.returncode is not None


def test_one_death_is_one_failure_however_often_it_is_looked_at(part: ManagedProcess) -> None:
    messages: list[str] = []
    ended(part)
    for _ in range(20):
        part.restart_if_dead(messages.append)
    assert part.failures == 1
    assert messages == ["the part ended (exit code 3); it is started again in 1 s"]
    assert part.restart_at is not None
    part.restart_at = time.monotonic()
    before = part.process
    part.restart_if_dead(messages.append)
    assert part.process is not before
    part.wait(time.monotonic() + 30)


def test_each_quick_death_makes_it_wait_longer_and_a_long_life_makes_up_for_it(part: ManagedProcess) -> None:
    messages: list[str] = []
    for expected in (1, 3, 7):
        ended(part)
        part.restart_if_dead(messages.append)
        assert messages[-1].endswith(f"in {expected} s")
        part.restart_at = None
    ended(part)
    part.started -= 60
    part.restart_if_dead(messages.append)
    assert messages[-1] == "the part ended (exit code 3); it is started again"
    assert part.failures == 0
    assert part.process is not None
    part.process.wait(30)


def test_a_part_that_does_not_stop_is_ended() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)"
    part = ManagedProcess("part", [sys.executable, "-c", stubborn], {})
    part.start()
    part.stop()
    part.wait(time.monotonic() + 0.5)
    assert part.process is not None
    assert part.process.returncode is not None
