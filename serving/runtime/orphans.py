"""Processes that lose their parent: workers stop by themselves, and the supervisor ends what is left.

BentoML's workers have sessions of their own. Without this, they go on serving, and hold the port, when the
process between them and the supervisor is killed.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress

import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_DRAIN_SECONDS, _KILL_SECONDS, _WATCH_SECONDS = 2.0, 5.0, 0.5


def adopt_orphans() -> None:
    """On Linux: become the parent of every process below this one whose own parent ends."""
    _call_prctl(_PR_SET_CHILD_SUBREAPER, 1)


def terminate_with_parent() -> None:
    """On Linux: let the kernel send SIGTERM to this process when its parent is killed."""
    _call_prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_orphans(managed_pids: Collection[int]) -> None:
    """End the children of this process, and all below them, that are not in `managed_pids`.

    They may answer what they have begun for two seconds; then they are killed.
    """
    orphans = [child for child in psutil.Process().children() if child.pid not in managed_pids]
    if not orphans:
        return
    for orphan in list(orphans):
        with suppress(psutil.NoSuchProcess):
            orphans += orphan.children(recursive=True)
    _signal_all(orphans, signal.SIGTERM)
    _, remaining = psutil.wait_procs(orphans, _DRAIN_SECONDS)
    _signal_all(remaining, signal.SIGKILL)
    psutil.wait_procs(remaining, _KILL_SECONDS)


async def stop_without_parent() -> None:
    """Send SIGTERM to this process once its parent has ended; looks twice a second, until cancelled."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(_WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _signal_all(processes: Collection[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _call_prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)
