"""Shared by the benchmarks: time, peak memory, and printing a figure with its limit."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """A finished process: wall-clock seconds, seconds on all cores, and peak resident memory in GiB."""

    seconds: float
    cpu_seconds: float
    gib: float


def run(command: Sequence[str]) -> Run:
    """Run a command to its end. Raises CalledProcessError if it fails."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Run(time.monotonic() - began, cpu_seconds, usage.ru_maxrss / 2**20)


def measure_seconds(call: Callable[[], object], times: int) -> list[float]:
    """The time of each of several calls."""
    durations = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        durations.append(time.perf_counter() - began)
    return durations


def measure_microseconds(call: Callable[[], object], times: int = 2_000, rounds: int = 7) -> float:
    """The median over rounds of the mean time of a call."""

    def call_often() -> None:
        for _ in range(times):
            call()

    return statistics.median(measure_seconds(call_often, rounds)) / times * 1e6


def peak_memory_gib() -> float:
    """The peak resident memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def show(label: str, value: float, bar: float, unit: str) -> bool:
    """Print a figure beside its limit; whether it is within it."""
    holds = value <= bar
    print(f"{'ok  ' if holds else 'MISS'} {label}: {value:,.4g} {unit} (bar {bar:g})", flush=True)
    return holds


def end(passed: Sequence[bool]) -> None:
    """Exit with 1 if a limit was missed."""
    sys.exit(0 if all(passed) else 1)
