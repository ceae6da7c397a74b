"""Wrong keys, counted by the address that they come from; the API and the sign-in page share the count.

Keys hold 256 random bits, which nobody guesses. The count is for whoever runs the service: it shows who
tries, and asks a client whose key is wrong to wait longer and longer. A right key is never asked to wait.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal, TypeAlias

from serving.observability.prometheus import Metrics

FREE_FAILURES, FAILURE_SECONDS = 10, 6.0
"""So many wrong keys an address may send at once, and after how many seconds one of them is forgotten."""
MAX_FAILURES = 100
"""The most wrong keys of an address that are remembered: it waits for nine minutes at most."""
MAX_ADDRESSES = 10_000
"""The most addresses in memory; the one that failed longest ago is dropped first."""

Door: TypeAlias = Literal["api", "page"]
"""Where a key was sent to."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Failures:
    """The wrong keys of an address: those that are remembered, at `seconds`, and all since it was quiet."""

    remembered: float = 0.0
    seconds: float = 0.0
    total: int = 0


class FailedSignIns:
    """The table of a worker. `clock` returns monotonic seconds."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics, self._clock = metrics, clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def record(self, address: str, door: Door, key_id: str | None) -> float:
        """Count and log a wrong key; the seconds until the address should try again, 0 while that is open.

        `key_id` is the id of an existing key that the token names, else None.
        """
        failures = self._count(_find_network(address))
        self._metrics.count_failed_sign_in(door)
        wait = max(0.0, (failures.remembered - FREE_FAILURES) * FAILURE_SECONDS)
        if not wait or failures.total & (failures.total - 1) == 0:  # then the 16th, 32nd, 64th ...
            fields = {"address": address, "door": door, "key": key_id, "failures": failures.total}
            log.warning("A key was refused", extra=fields)
        return wait

    def _count(self, network: str) -> _Failures:
        now = self._clock()
        failures = self._failures.setdefault(network, _Failures(seconds=now))
        self._failures.move_to_end(network)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
        remembered = max(0.0, failures.remembered - (now - failures.seconds) / FAILURE_SECONDS)
        failures.total = failures.total + 1 if remembered else 1
        failures.remembered, failures.seconds = min(remembered + 1, MAX_FAILURES), now
        return failures

    def __len__(self) -> int:
        return len(self._failures)


def _find_network(address: str) -> str:
    """The addresses that are counted as one: an IPv6 client has a network of 64 bits to itself."""
    try:
        parsed = ip_address(address.partition("%")[0])  # after it comes the interface
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address) or parsed.ipv4_mapped is not None:
        return address
    return str(ip_network((parsed, 64), strict=False))
