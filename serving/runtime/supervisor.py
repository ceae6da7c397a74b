"""Running the service: the workers and the follower as processes of their own, started, watched, stopped."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from features.errors import OutsideError, SettingsError

READY_SECONDS, DRAIN_SECONDS, STOP_SECONDS = 60.0, 5, 9.0
_LOOK_SECONDS, _CALM_SECONDS = 0.2, 30.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG

StatusCallback = Callable[[str], None]


@dataclass
class ManagedProcess:
    """A process that belongs to the service; it is started again where it ends by itself."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    restart_at: float | None = None

    def start(self) -> None:
        """Start it. What we are told by Ctrl-C or our end we pass on ourselves."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environ},
            stdout=sys.stderr,
            start_new_session=True,
            preexec_fn=_terminate_with_parent,
        )

    def restart_if_dead(self, progress: StatusCallback) -> None:
        """Start it again where it has ended, later each time it does not live long."""
        if self.process is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if self.restart_at is None:  # it has just ended
            calm = now - self.started > _CALM_SECONDS
            self.failures = 0 if calm else self.failures + 1
            self.restart_at = now + min(2.0**self.failures - 1, _CALM_SECONDS)
            wait = max(0, round(self.restart_at - now))
            progress(
                f"the {self.name} ended ({_describe_exit(self.process.returncode)}); it is started again"
                f"{f' in {wait} s' if wait else ''}"
            )
        if now >= self.restart_at:
            self.restart_at = None
            self.start()

    def stop(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, until: float) -> None:
        """Wait for its end; where that takes too long, end it and what it started."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass(frozen=True)
class ListenAddress:
    """Where the service listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        with suppress(ValueError):
            return ip_address(self.host).is_loopback
        return False

    def check(self) -> None:
        """Raise SettingsError for a host that is no address, OutsideError for a port that is taken."""
        try:
            family = socket.AF_INET6 if ip_address(self.host).version == 6 else socket.AF_INET
        except ValueError:
            raise SettingsError(
                f"--host {self.host!r} is no address; say for example 127.0.0.1, or 0.0.0.0 for all."
            ) from None
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((self.host, self.port))
            except OSError as problem:
                raise OutsideError(
                    f"{self.url}: cannot be listened at ({problem.strerror}). Stop what uses it, or "
                    "choose another with --port."
                ) from None


def service_process(address: ListenAddress, environ: Mapping[str, str]) -> ManagedProcess:
    """The BentoML service: its workers drain for some seconds when they are stopped."""
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        "serving.service:Hotlead",
        "--host",
        address.host,
        "--port",
        str(address.port),
        "--timeout-graceful-shutdown",
        str(DRAIN_SECONDS),
    ]
    calm = {
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": os.environ.get("OTEL_SDK_DISABLED", "true"),
        "OPENBLAS_NUM_THREADS": "1",
    }
    return ManagedProcess("service", command, {**calm, **environ})


def supervise(
    processes: Sequence[ManagedProcess],
    on_ready: Callable[[], None],
    address: ListenAddress,
    progress: StatusCallback,
) -> None:
    """Run the parts until SIGINT or SIGTERM; `ready` is called once the service answers.

    All are stopped within 10 seconds, requests that were taken in are answered first. Raises
    OutsideError where the service does not come up.
    """
    ending = _ShutdownSignals()
    try:
        for process in processes:
            process.start()
        _await_ready(processes[0], address, ending)
        if not ending.is_requested:
            on_ready()
        while not ending.is_requested:
            for process in processes:
                process.restart_if_dead(progress)
            time.sleep(_LOOK_SECONDS)
        progress("stopping: requests that were taken in are answered first")
    finally:
        until = time.monotonic() + STOP_SECONDS
        for process in processes:
            process.stop()
        for process in processes:
            process.wait(until)
        ending.restore()


class _ShutdownSignals:
    """Whether we were asked to end."""

    def __init__(self) -> None:
        self.is_requested = False
        self._previous_handlers = {
            s: signal.signal(s, self._request) for s in (signal.SIGINT, signal.SIGTERM)
        }

    def _request(self, signum: int, frame: object) -> None:
        self.is_requested = True

    def restore(self) -> None:
        for which, handler in self._previous_handlers.items():
            signal.signal(which, handler)


def _await_ready(service: ManagedProcess, address: ListenAddress, ending: _ShutdownSignals) -> None:
    until = time.monotonic() + READY_SECONDS
    while not ending.is_requested and not is_ready(address):
        ended = service.process is not None and service.process.poll() is not None
        if ended or time.monotonic() > until:
            raise OutsideError(f"The service does not come up at {address.url}; its log says why.")
        time.sleep(_LOOK_SECONDS)


def is_ready(address: ListenAddress) -> bool:
    """Whether the service says that it is ready."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    try:
        with urllib.request.urlopen(f"{ListenAddress(host, address.port).url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _describe_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _terminate_with_parent() -> None:
    """Where the system can (Linux), a part ends when we are killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
