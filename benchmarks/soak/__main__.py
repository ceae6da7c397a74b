"""`make soak`: all parts in turn, and one table in the end. Exits with 1 where a limit is missed.

SOAK_REQUESTS (100,000 hostile requests), SOAK_KILLS (50), SOAK_IDLE (20,000 connections), and SOAK_PARTS
(champions,attack,idle,kills) in the environment make it shorter.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from benchmarks.soak.attack import measure_attack
from benchmarks.soak.champions import measure_swaps, two_models
from benchmarks.soak.figures import Figure, print_table
from benchmarks.soak.idle_connections import measure_idle
from benchmarks.soak.kills import measure_kills


def main() -> None:
    crm_toml = two_models()
    parts: Mapping[str, Callable[[], list[Figure]]] = {
        "champions": lambda: measure_swaps(crm_toml),
        "attack": lambda: measure_attack(crm_toml, read_number("SOAK_REQUESTS", 100_000)),
        "idle": lambda: measure_idle(crm_toml, read_number("SOAK_IDLE", 20_000)),
        "kills": lambda: measure_kills(crm_toml, read_number("SOAK_KILLS", 50)),
    }
    figures: list[Figure] = []
    for name in os.environ.get("SOAK_PARTS", ",".join(parts)).split(","):
        print(f"{name} ...", flush=True)
        figures += parts[name]()
    sys.exit(0 if print_table(figures) else 1)


def read_number(variable: str, default: int) -> int:
    return int(os.environ.get(variable, default))


if __name__ == "__main__":
    main()
