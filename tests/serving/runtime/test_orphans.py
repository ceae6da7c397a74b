"""Processes that lose their parent end, and so do those below them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.support.load import wait_for

SUPERVISOR = """
import subprocess, sys, time
from serving.runtime.orphans import adopt_orphans, end_orphans
adopt_orphans()
managed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
middle = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(managed.pid, flush=True)
middle.wait()
while sys.stdin.readline():
    end_orphans([managed.pid])
    print("ended", flush=True)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
MIDDLE = f"""
import os, signal, subprocess, sys
command = [sys.executable, "-c", {STUBBORN!r}]
for _ in range(2):
    below = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    below.stdout.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""
WATCHER = """
import asyncio, os, subprocess, sys
from serving.runtime.orphans import stop_without_parent
async def main():
    task = asyncio.create_task(stop_without_parent())
    await asyncio.sleep(0)
    print(os.getpid(), flush=True)
    await task
    await asyncio.sleep(60)
asyncio.run(main())
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux alone")


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SUPERVISOR, MIDDLE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as process:
        yield process
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()


def test_what_a_killed_process_leaves_behind_is_ended(supervisor: subprocess.Popen[str]) -> None:
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    managed = int(supervisor.stdout.readline())
    below = psutil.Process(supervisor.pid)
    wait_for(lambda: len(below.children()) == 3)  # the managed one and two orphans that ignore SIGTERM
    supervisor.stdin.write("go\n")
    supervisor.stdin.flush()
    assert supervisor.stdout.readline() == "ended\n"
    assert [child.pid for child in below.children()] == [managed]


def test_a_process_stops_when_its_parent_is_killed() -> None:
    middle = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WATCHER!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", middle], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as parent:
        assert parent.stdout is not None
        watcher = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    wait_for(lambda: not watcher.is_running() or watcher.status() == psutil.STATUS_ZOMBIE, seconds=10)
