"""Starts the processes of `hotlead serve`, restarts one that ends, and stops all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from features.errors import OutsideError
from features.messages import Message, ReportStep
from serving.runtime.address import ListenAddress
from serving.runtime.orphans import adopt_orphans, end_orphans, terminate_with_parent

READY_SECONDS, STOP_SECONDS = 180.0, 9.0
_QUIET_SECONDS = 5.0
"""After this time a start that is not ready yet says what it waits for."""
_POLL_SECONDS, _STABLE_SECONDS, _MAX_DOUBLINGS = 0.2, 30.0, 10

StatusCallback: TypeAlias = ReportStep
"""Called with a sentence for the person who started the command."""


@dataclass
class ManagedProcess:
    """A process of the service. `failures` counts its ends since it last ran for 30 s."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    restart_at: float | None = None

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the supervisor."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environ},
            stdout=sys.stderr,
            start_new_session=True,
            preexec_fn=terminate_with_parent,
        )

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def restart_if_dead(self, progress: StatusCallback) -> None:
        """Start it again after it has ended, after 0, 1, 3, 7 ... 30 s where it ends soon again and again."""
        if self.process is None or not self.has_ended:
            return
        now = time.monotonic()
        if self.restart_at is None:
            is_stable = now - self.started > _STABLE_SECONDS
            self.failures = 0 if is_stable else min(self.failures + 1, _MAX_DOUBLINGS)
            wait = min(2.0 ** max(self.failures - 1, 0) - 1, _STABLE_SECONDS)
            self.restart_at = now + wait
            code = self.process.returncode
            reason = (
                Message("signal {number}", number=-code)
                if code < 0
                else Message("exit code {code}", code=code)
            )
            progress(
                Message(
                    "the {name} ended ({reason}); it is started again in {seconds} s"
                    if wait
                    else "the {name} ended ({reason}); it is started again",
                    name=self.name,
                    reason=reason,
                    seconds=round(wait),
                )
            )
        if now >= self.restart_at:
            self.restart_at = None
            self.start()

    def stop(self) -> None:
        if self.process is not None and not self.has_ended:
            self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for its end until `deadline` (monotonic seconds), then kill it and its children."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def supervise(
    service: ManagedProcess,
    follower: ManagedProcess,
    on_ready: Callable[[], None],
    address: ListenAddress,
    progress: StatusCallback,
) -> None:
    """Run both processes until SIGINT or SIGTERM; `on_ready` is called once the service answers.

    Both are stopped within 10 seconds, after requests in progress were answered. What a killed process leaves
    behind is ended before another takes its place, and at the stop. Raises OutsideError when the service does
    not start.
    """
    processes = (service, follower)
    adopt_orphans()
    with _stop_signal() as stop:
        try:
            for process in processes:
                process.start()
            _await_ready(service, address, stop, progress)
            if not stop.is_set():
                on_ready()
            while not stop.wait(_POLL_SECONDS):
                _restart_dead(processes, progress)
            progress(Message("stopping: requests that were taken in are answered first"))
        finally:
            deadline = time.monotonic() + STOP_SECONDS
            for process in processes:
                process.stop()
            for process in processes:
                process.wait(deadline)
            end_orphans(())


def _restart_dead(processes: Sequence[ManagedProcess], progress: StatusCallback) -> None:
    if any(process.has_ended for process in processes):
        end_orphans([process.process.pid for process in processes if process.process is not None])
    for process in processes:
        process.restart_if_dead(progress)


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set while the block runs."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, lambda *_: stop.set()) for number in signals]
    try:
        yield stop
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)


def _await_ready(
    service: ManagedProcess, address: ListenAddress, stop: threading.Event, progress: StatusCallback
) -> None:
    began, is_quiet = time.monotonic(), True
    while not stop.is_set() and not address.is_ready():
        waited = time.monotonic() - began
        if service.has_ended or waited > READY_SECONDS:
            raise OutsideError("The service does not come up at {url}; its log says why.", url=address.url)
        if is_quiet and waited > _QUIET_SECONDS:
            is_quiet = False
            progress(
                Message(
                    "waiting for the service to answer at {url}: its workers load the libraries, open the "
                    "store and read the model (at most {seconds} s)",
                    url=address.url,
                    seconds=round(READY_SECONDS),
                )
            )
        stop.wait(_POLL_SECONDS)
