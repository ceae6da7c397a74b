"""Runs the service in processes of its own, for the benchmarks and the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

READY_SECONDS, STOP_SECONDS = 90.0, 15.0
_WORKER = "_bentoml_impl.worker.service"


@dataclass(frozen=True)
class RunningService:
    """A running service at `http://127.0.0.1:port`; its log has one JSON object per line."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def find_processes(self, named: str) -> list[psutil.Process]:
        """The child processes whose command line contains a word."""
        processes = []
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if any(named in word for word in child.cmdline()):
                        processes.append(child)
        return processes

    @property
    def workers(self) -> list[psutil.Process]:
        return self.find_processes(_WORKER)

    def stop(self) -> float:
        """Stop the service by SIGTERM; the seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        return time.monotonic() - began


@contextmanager
def start_service(
    crm_toml: Path, *options: str, environ: Mapping[str, str] | None = None
) -> Iterator[RunningService]:
    """Run `hotlead serve --open` on a CRM until the block ends; waits until it answers."""
    port = free_port()
    command = [sys.executable, "-m", "cli", "serve", str(crm_toml), "--port", str(port), *options]
    if not {"--open", "--host"} & {*options}:
        command.append("--open")
    command.append("--new-store")  # measurements of one CRM begin with different stores
    with start_process(command, crm_toml.parent / f"serve-{port}.log", port, environ or {}) as running:
        yield running


@contextmanager
def start_process(
    command: Sequence[str], log: Path, port: int, environ: Mapping[str, str], path: str = "/readyz"
) -> Iterator[RunningService]:
    """Run an HTTP server until the block ends; waits until it answers `path`, kills it in the end."""
    with log.open("wb") as file:
        running = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, "BENTOML_DO_NOT_TRACK": "True", **environ},
        )
    service = RunningService(port, running, log)
    try:
        wait_ready(service, path)
        yield service
    finally:
        below = service.find_processes("")
        running.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.wait(STOP_SECONDS)
        for child in below:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        running.kill()
        running.wait()


def wait_ready(service: RunningService, path: str = "/readyz") -> None:
    """Wait until a service answers. Raises RuntimeError with the end of its log if it does not."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and service.process.poll() is None:
        with (
            suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{service.url}{path}", timeout=2),
        ):
            return
        time.sleep(0.1)
    raise RuntimeError(service.log.read_text(encoding="utf-8", errors="replace")[-2000:])


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port
