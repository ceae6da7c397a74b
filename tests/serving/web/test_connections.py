"""The connections of a worker by the address of their client."""

from __future__ import annotations

from serving.web.connections import ConnectionTable


class Connection:
    """A connection that tells the table when it is closed, as a transport does."""

    def __init__(self, table: ConnectionTable, address: str) -> None:
        self.table, self.address, self.is_open = table, address, True
        table.open(address, self)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.table.closed(self.address, self)


def test_one_connection_too_many_ends_the_one_that_waits_longest() -> None:
    table = ConnectionTable(limit=2)
    first, second, third = (Connection(table, "10.0.0.1") for _ in range(3))
    assert [first.is_open, second.is_open, third.is_open] == [False, True, True]
    assert len(table) == 2


def test_other_addresses_are_not_concerned() -> None:
    table = ConnectionTable(limit=1)
    neighbour = Connection(table, "10.0.0.2")
    first, second = Connection(table, "10.0.0.1"), Connection(table, "10.0.0.1")
    assert [neighbour.is_open, first.is_open, second.is_open] == [True, False, True]


def test_a_connection_with_a_request_is_not_ended() -> None:
    table = ConnectionTable(limit=1)
    busy = Connection(table, "10.0.0.1")
    table.mark_busy("10.0.0.1", busy)
    refused = Connection(table, "10.0.0.1")
    assert [busy.is_open, refused.is_open] == [True, False]
    table.mark_waiting("10.0.0.1", busy)
    accepted = Connection(table, "10.0.0.1")
    assert [busy.is_open, accepted.is_open] == [False, True]


def test_nothing_is_kept_of_clients_that_left() -> None:
    table = ConnectionTable()
    connections = [Connection(table, f"10.0.0.{n}") for n in range(5)]
    for connection in connections:
        connection.close()
        table.mark_waiting(connection.address, connection)  # an answer that was late
    assert len(table) == 0
    assert not table._clients
