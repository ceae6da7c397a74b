"""The processes of the service: restarted when they end, later after each short run."""

from __future__ import annotations

import sys
import time

import pytest

from serving.runtime.supervisor import ManagedProcess


def ended(managed: ManagedProcess) -> ManagedProcess:
    managed.start()
    assert managed.process is not None
    managed.process.wait(30)
    return managed


@pytest.fixture
def managed() -> ManagedProcess:
    return ManagedProcess("managed", [sys.executable, "-c", "raise SystemExit(3)"], {})


def test_a_running_process_is_not_restarted() -> None:
    managed = ManagedProcess("managed", [sys.executable, "-c", "import time; time.sleep(60)"], {})
    managed.start()
    messages: list[str] = []
    managed.restart_if_dead(lambda message: messages.append(str(message)))
    assert messages == []
    managed.stop()
    managed.wait(time.monotonic() + 30)
    assert managed.process is not None
    assert managed.process.returncode is not None


def test_one_end_is_one_failure(managed: ManagedProcess) -> None:
    messages: list[str] = []
    managed.failures = 1
    ended(managed)
    for _ in range(20):
        managed.restart_if_dead(lambda message: messages.append(str(message)))
    assert managed.failures == 2
    assert messages == ["the managed ended (exit code 3); it is started again in 1 s"]
    assert managed.restart_at is not None
    managed.restart_at = time.monotonic()
    before = managed.process
    managed.restart_if_dead(lambda message: messages.append(str(message)))
    assert managed.process is not before
    managed.wait(time.monotonic() + 30)


def test_short_runs_lengthen_the_delay_and_a_long_run_resets_it(managed: ManagedProcess) -> None:
    messages: list[str] = []
    for expected in ("again", "in 1 s", "in 3 s", "in 7 s"):
        ended(managed)
        managed.restart_if_dead(lambda message: messages.append(str(message)))
        assert messages[-1].endswith(expected)
        managed.restart_at = None
        assert managed.process is not None
        managed.process.wait(30)
    ended(managed)
    managed.started -= 60
    managed.restart_if_dead(lambda message: messages.append(str(message)))
    assert messages[-1] == "the managed ended (exit code 3); it is started again"
    assert managed.failures == 0
    assert managed.process is not None
    managed.process.wait(30)


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)"
    managed = ManagedProcess("managed", [sys.executable, "-c", stubborn], {})
    managed.start()
    managed.stop()
    managed.wait(time.monotonic() + 0.5)
    assert managed.process is not None
    assert managed.process.returncode is not None
