"""The suppression list: erased leads, which no late record, import or queued prediction brings back.

The store holds an HMAC of each id, never the id. Each process has the list in memory; a write looks first
whether it has grown, so that nothing of a lead is stored once it is erased.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy.engine import Connection

from features.errors import HotleadError
from scoring.model.pseudonyms import Pseudonyms
from serving.store.backends.base import Cursor, Database

_NEWEST = "SELECT max(seq) FROM suppressed"
_SIZE = "SELECT coalesce(max(seq), 0), count(*) FROM suppressed"
_ALL = "SELECT digest, key_id FROM suppressed"
_NOBODY: frozenset[str] = frozenset()
log = logging.getLogger(__name__)
T = TypeVar("T")


class SuppressionList:
    """The erased leads, as of the last look into the database. Thread-safe.

    `key_file` holds the key of the HMAC. Entries under another key cannot be recognised; that is logged.
    """

    def __init__(self, key_file: Path) -> None:
        self._key_file, self._lock = key_file, threading.Lock()
        self._digests: frozenset[str] = frozenset()
        self._newest, self._count = 0, 0

    @property
    def is_empty(self) -> bool:
        """Whether no lead is on the list, as far as this process knows."""
        return not self._digests

    def find(self, lead_ids: Iterable[str]) -> frozenset[str]:
        """Those of some leads that were erased."""
        if not self._digests:
            return _NOBODY
        pseudonyms = self._load_key()
        return frozenset(i for i in lead_ids if _digest(pseudonyms, i) in self._digests)

    def find_now(self, cursor: Cursor, lead_ids: Iterable[str]) -> frozenset[str]:
        """As `find`, and as of the transaction of the cursor."""
        newest = cursor.execute(_NEWEST).fetchone()
        if newest is not None and (newest[0] or 0) != self._newest:
            self._load(cursor.execute(_SIZE).fetchall(), cursor.execute(_ALL).fetchall())
        return self.find(lead_ids) if self._digests else _NOBODY

    def refresh(self, database: Database) -> None:
        """Read the list again if it has changed. Raises StoreUnavailable."""

        def read(connection: Connection) -> None:
            size = connection.exec_driver_sql(_SIZE).fetchall()
            if tuple(size[0]) != (self._newest, self._count):
                self._load(size, connection.exec_driver_sql(_ALL).fetchall())

        database.read(read)

    def add(self, database: Database, cursor: Cursor, lead_ids: Sequence[str], now: int) -> set[str]:
        """Put leads on the list (`now` in ms UTC); those that were on it before.

        Raises OutsideError and SettingsError for a key that cannot be used.
        """
        pseudonyms = self._load_key()
        digests = {_digest(pseudonyms, lead_id): lead_id for lead_id in lead_ids}
        query = f"SELECT digest FROM suppressed WHERE digest {database.in_list}"
        rows = cursor.execute(query, (database.to_list([*digests]),)).fetchall()
        before = {digest for (digest,) in rows}
        mark = database.mark
        insert = f"INSERT INTO suppressed (digest, key_id, at) VALUES ({mark}, {mark}, {mark})"
        for digest in digests.keys() - before:
            cursor.execute(insert, (digest, pseudonyms.key_id, now))
        return {digests[digest] for digest in before}

    def lift(self, database: Database, cursor: Cursor, lead_ids: Sequence[str]) -> int:
        """Take leads off the list; how many were on it. Raises OutsideError and SettingsError."""
        pseudonyms = self._load_key()
        digests = [_digest(pseudonyms, lead_id) for lead_id in lead_ids]
        query = f"DELETE FROM suppressed WHERE digest {database.in_list}"
        return cursor.execute(query, (database.to_list(digests),)).rowcount

    def _load(self, size: Sequence[Sequence[int]], rows: Iterable[Sequence[str]]) -> None:
        digests, unknown = self._read_digests(list(rows))
        with self._lock:
            self._digests = digests
            self._newest, self._count = size[0]
        if unknown:
            log.error(
                "%d entries of the suppression list are not in force: their key is not that of %s",
                unknown,
                self._key_file.name,
            )

    def _read_digests(self, rows: Sequence[Sequence[str]]) -> tuple[frozenset[str], int]:
        """The digests under our key, and the number of others."""
        if not rows:
            return _NOBODY, 0
        try:
            key_id = self._load_key().key_id
        except HotleadError as problem:
            log.error("%s", problem)
            return _NOBODY, len(rows)
        digests = frozenset(digest for digest, row_key_id in rows if row_key_id == key_id)
        return digests, len(rows) - len(digests)

    def _load_key(self) -> Pseudonyms:
        """The key, which is read when it is needed first."""
        if self._key is None:
            self._key = Pseudonyms.load(self._key_file)
        return self._key

    _key: Pseudonyms | None = None


def _digest(pseudonyms: Pseudonyms, lead_id: str) -> str:
    return pseudonyms.digest("suppressed", lead_id)
