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

Say = Callable[[str], None]


@dataclass
class Part:
    """A process that belongs to the service; it is started again where it ends by itself."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    again: float | None = None

    def start(self) -> None:
        """Start it. What we are told by Ctrl-C or our end we pass on ourselves."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environ},
            stdout=sys.stderr,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    def revive(self, say: Say) -> None:
        """Start it again where it has ended, later each time it does not live long."""
        if self.process is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if self.again is None:  # it has just ended
            calm = now - self.started > _CALM_SECONDS
            self.failures = 0 if calm else self.failures + 1
            self.again = now + min(2.0**self.failures - 1, _CALM_SECONDS)
            wait = max(0, round(self.again - now))
            say(
                f"the {self.name} ended ({_ended(self.process.returncode)}); it is started again"
                f"{f' in {wait} s' if wait else ''}"
            )
        if now >= self.again:
            self.again = None
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
class Place:
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


def service_part(place: Place, environ: Mapping[str, str]) -> Part:
    """The BentoML service: its workers drain for some seconds when they are stopped."""
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        "serving.service:Hotlead",
        "--host",
        place.host,
        "--port",
        str(place.port),
        "--timeout-graceful-shutdown",
        str(DRAIN_SECONDS),
    ]
    calm = {
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": os.environ.get("OTEL_SDK_DISABLED", "true"),
        "OPENBLAS_NUM_THREADS": "1",
    }
    return Part("service", command, {**calm, **environ})


def supervise(parts: Sequence[Part], ready: Callable[[], None], place: Place, say: Say) -> None:
    """Run the parts until SIGINT or SIGTERM; `ready` is called once the service answers.

    All are stopped within 10 seconds, requests that were taken in are answered first. Raises
    OutsideError where the service does not come up.
    """
    ending = _Ending()
    try:
        for part in parts:
            part.start()
        _await_ready(parts[0], place, ending)
        if not ending.asked:
            ready()
        while not ending.asked:
            for part in parts:
                part.revive(say)
            time.sleep(_LOOK_SECONDS)
        say("stopping: requests that were taken in are answered first")
    finally:
        until = time.monotonic() + STOP_SECONDS
        for part in parts:
            part.stop()
        for part in parts:
            part.wait(until)
        ending.restore()


class _Ending:
    """Whether we were asked to end."""

    def __init__(self) -> None:
        self.asked = False
        self._before = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}

    def _ask(self, signum: int, frame: object) -> None:
        self.asked = True

    def restore(self) -> None:
        for which, handler in self._before.items():
            signal.signal(which, handler)


def _await_ready(service: Part, place: Place, ending: _Ending) -> None:
    until = time.monotonic() + READY_SECONDS
    while not ending.asked and not answers(place):
        ended = service.process is not None and service.process.poll() is not None
        if ended or time.monotonic() > until:
            raise OutsideError(f"The service does not come up at {place.url}; its log says why.")
        time.sleep(_LOOK_SECONDS)


def answers(place: Place) -> bool:
    """Whether the service says that it is ready."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.host, place.host)
    try:
        with urllib.request.urlopen(f"{Place(host, place.port).url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _end_with_parent() -> None:
    """Where the system can (Linux), a part ends when we are killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
