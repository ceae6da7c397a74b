"""Which store belongs to this installation: an id in the store, and the same id in the output folder.

A store that vanished (a file that is lost, a volume that is not mounted, an empty database) must not be
replaced by an empty one without a person who confirms it.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from pathlib import Path

import orjson
from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from features.errors import OutsideError
from features.files import atomic_file, write_private
from features.messages import Message
from serving.observability.limited_log import LimitedLog
from serving.store.backends.base import Database
from serving.store.errors import StoreUnavailable
from serving.store.migrate import migrate, read_revision
from serving.store.state.values import read_value, write_value
from serving.store.tables import store_state

MARKER_FILE = "store.id"
_NAME = "store_id"
log = logging.getLogger(__name__)


class StoreMissing(StoreUnavailable):
    """The store that this installation had is not there. `reason` says what is there instead."""

    def __init__(self, reason: Message) -> None:
        super().__init__(str(reason))
        self.reason = reason


class StoreMarker:
    """The file in the output folder that holds the id of the store, as JSON.

    `served_file` exists once the service has run, also if a former version ran it that wrote no marker.
    """

    def __init__(self, folder: Path, served_file: Path | None = None) -> None:
        self.path, self._limited_log = folder / MARKER_FILE, LimitedLog(log)
        self._has_served = served_file is not None and served_file.exists()

    def read(self) -> str | None:
        """The id of the store; "" when a new one is confirmed, None when none is known."""
        try:
            return str(orjson.loads(self.path.read_bytes())["id"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as problem:
            self._limited_log.warning("%s cannot be read: %s", self.path, type(problem).__name__)
            return None

    def is_expected(self) -> bool:
        """Whether there was a store."""
        store_id = self.read()
        return self._has_served if store_id is None else store_id != ""

    def write(self, store_id: str) -> None:
        """Remember the store. A folder that cannot be written is no error: it is tried at the next start."""
        with suppress(OutsideError), atomic_file(self.path) as part:
            write_private(part, orjson.dumps({"id": store_id}), 0o660)

    def confirm_new(self) -> None:
        """Let the next start create a store, or take the one that it finds. Raises OutsideError."""
        with atomic_file(self.path) as part:
            write_private(part, orjson.dumps({"id": ""}), 0o660)


def check_identity(database: Database, marker: StoreMarker) -> None:
    """Raise StoreMissing if a store was there and is not, or is another one; nothing is created.

    Raises StoreUnavailable when that cannot be seen now.
    """
    if not marker.is_expected():
        return
    if not database.exists():
        raise StoreMissing(Message("its file is not there"))
    known_id, present_id = marker.read(), database.read(_read_identity)
    if present_id is None:
        raise StoreMissing(Message("the database is empty"))
    if known_id and present_id and present_id != known_id:
        raise StoreMissing(
            Message(
                "another one is there: its id is {present}, not {known}", present=present_id, known=known_id
            )
        )


def open_database(database: Database, marker: StoreMarker | None) -> None:
    """Create or migrate the tables, unless the store that was here is missing.

    Raises StoreUnavailable, and StoreMissing as `check_identity`.
    """
    if marker is None:
        migrate(database)
        return
    check_identity(database, marker)
    migrate(database)
    known_id = marker.read()
    store_id = database.read(_read_identity)
    if not store_id:
        with database.transaction() as connection:
            store_id = read_value(connection, _NAME)
            if store_id is None:  # a store of a former version, or a new one
                store_id = known_id or uuid.uuid4().hex
                write_value(connection, _NAME, store_id)
    if store_id != known_id:
        marker.write(store_id)


def _read_identity(connection: Connection) -> str | None:
    """The id of the store; "" when it has none yet, None when there are no tables."""
    if read_revision(connection) is None:
        return None
    if not inspect(connection).has_table(store_state.name):
        return ""
    return read_value(connection, _NAME) or ""
