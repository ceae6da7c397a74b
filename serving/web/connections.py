"""The open connections of a worker by the address of their client, so that no client takes all of them."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Protocol

MAX_CONNECTIONS = 1_000
"""The connections of one address to a worker."""


class Closable(Protocol):
    """A connection."""

    def close(self) -> None: ...


@dataclass
class _Client:
    """The connections of an address: how many are open, and those that wait for a request, oldest first."""

    count: int = 0
    waiting: OrderedDict[Closable, None] = field(default_factory=OrderedDict)


class ConnectionTable:
    """Counts the connections by address; one too many ends the one that has waited longest.

    Clients that open connections and say nothing so push out one another, and a request is still answered.
    """

    def __init__(self, limit: int = MAX_CONNECTIONS) -> None:
        self._limit, self._clients = limit, defaultdict[str, _Client](_Client)

    def open(self, address: str, connection: Closable) -> None:
        """Add a connection that waits for its first request. Where none waits, it is ended itself."""
        client = self._clients[address]
        client.count += 1
        client.waiting[connection] = None
        if client.count > self._limit:
            next(iter(client.waiting)).close()

    def mark_busy(self, address: str, connection: Closable) -> None:
        """A request has arrived on the connection."""
        self._clients[address].waiting.pop(connection, None)

    def mark_waiting(self, address: str, connection: Closable) -> None:
        """The request was answered."""
        if address in self._clients:
            self._clients[address].waiting[connection] = None

    def closed(self, address: str, connection: Closable) -> None:
        """Remove a connection that has ended."""
        client = self._clients[address]
        client.count -= 1
        client.waiting.pop(connection, None)
        if client.count <= 0:
            del self._clients[address]

    def __len__(self) -> int:
        return sum(client.count for client in self._clients.values())
