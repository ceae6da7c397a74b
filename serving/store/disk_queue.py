"""Predictions that wait on disk while the database is unavailable: one SQLite file for all processes.

An appended prediction is flushed to the disk when `append` returns. It is deleted in the same transaction
that reads it, after its caller has stored it, so that a killed process loses nothing.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import orjson

from features.errors import OutsideError
from features.files import file_lock
from serving.observability.limited_log import LimitedLog
from serving.store.backends.sqlite import truncate_wal
from serving.store.errors import describe_error
from serving.store.records import Prediction

QUEUE_FILE, FORMER_FILES = "queue.db", "*.spool"
BUSY_SECONDS = 5.0
PAGE_BYTES = 4096
_CREATE = (
    f"PRAGMA page_size = {PAGE_BYTES}",
    "PRAGMA journal_mode = WAL",
    "CREATE TABLE IF NOT EXISTS queue "
    "(seq INTEGER PRIMARY KEY, lead_id TEXT NOT NULL, prediction TEXT NOT NULL)",
)
# One statement for all rows: each step of SQLite releases the interpreter, which a busy thread keeps.
_INSERT = (
    "INSERT INTO queue (lead_id, prediction) "
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
)
_OLDEST = (
    "SELECT max(seq), json_group_array(prediction) "
    "FROM (SELECT seq, prediction FROM queue ORDER BY seq LIMIT ?)"
)
# Not count(*), which reads the file: erased predictions in the middle are counted until it is drained.
_ROWS = "SELECT coalesce((SELECT max(seq) FROM queue) - (SELECT min(seq) FROM queue) + 1, 0)"
_ERASE = "DELETE FROM queue WHERE lead_id IN (SELECT value FROM json_each(?)) RETURNING lead_id"
_OF_LEAD = "SELECT prediction FROM queue WHERE lead_id = ? ORDER BY seq"
log = logging.getLogger(__name__)


class DiskQueueError(OSError):
    """The queue cannot be read or written. The message contains no values."""


class DiskQueue:
    """A queue of predictions in a folder, in a file of at most `limit` bytes.

    Any thread and any process may use it: each operation opens the file for itself, and those that write
    hold a lock beside it, for which the system queues them in order (SQLite would let them poll). One more
    connection stays open: with the last one SQLite closes the write-ahead log, as slowly as a commit.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._path, self._limit = folder, folder / QUEUE_FILE, limit
        self._connection: sqlite3.Connection | None = None
        self._limited_log = LimitedLog(log)

    @property
    def rows(self) -> int:
        """The number of predictions in the queue, of all processes; 0 when it cannot be read."""
        return self._count(_ROWS, 0)

    @property
    def waiting(self) -> bool:
        """Whether there is something to drain, perhaps in files of a former version."""
        has_former = self._connection is None and any(self._folder.glob(FORMER_FILES))
        return has_former or self._count("SELECT EXISTS (SELECT 1 FROM queue)", 1) > 0

    def append(self, lists: Sequence[Sequence[Prediction]], timeout: float | None = None) -> list[bool]:
        """Append lists of predictions in one transaction; whether each list was taken, completely.

        A list that is too large for the space left is not taken. `timeout` is how many seconds to wait for
        others that write to the queue (None: until they end).
        """
        payloads = [_to_payload(predictions) for predictions in lists]
        try:
            with _convert_errors(), ExitStack() as stack:
                connection = self._begin(stack, timeout)
                is_taken = [payload is not None and _insert(connection, payload) for payload in payloads]
                connection.execute("COMMIT")
                return is_taken
        except OSError as problem:
            self._limited_log.warning("The queue on disk cannot be written: %s", describe_error(problem))
            return [False] * len(lists)

    @contextmanager
    def draining(self, limit: int) -> Iterator[list[Prediction]]:
        """Yield the oldest predictions, which leave the queue when the block ends without an error.

        Yields none while another process uses the queue. Raises OSError.
        """
        with ExitStack() as stack:
            try:
                with _convert_errors():
                    connection = self._begin(stack, 0)
                    last, texts = connection.execute(_OLDEST, (limit,)).fetchone()
            except TimeoutError:
                yield []
                return
            yield [
                prediction for text in orjson.loads(texts) if (prediction := self._parse(text)) is not None
            ]
            with _convert_errors():
                connection.execute("DELETE FROM queue WHERE seq <= ?", (last,))
                connection.execute("COMMIT")

    @contextmanager
    def erasing(self, lead_ids: Sequence[str]) -> Iterator[list[str]]:
        """Delete the predictions of leads after the block, during which no process drains the queue.

        Yields a list to which the lead of each prediction is added at the end. Raises OSError.
        """
        erased: list[str] = []
        if not self._path.exists() and not self.waiting:
            yield erased
            return
        with ExitStack() as stack:
            with _convert_errors():
                connection = self._begin(stack, None)
            if former := next(self._folder.glob(FORMER_FILES), None):
                raise DiskQueueError(f"{former} may contain a lead: restart the service, or delete the file")
            yield erased
            with _convert_errors():
                erased += [
                    lead_id
                    for (lead_id,) in connection.execute(_ERASE, (orjson.dumps(list(lead_ids)).decode(),))
                ]
                connection.execute("COMMIT")
                # secure_delete clears neither what moved when a page was split, nor the write-ahead log.
                connection.execute("VACUUM")
                truncate_wal(connection)

    def find(self, lead_id: str) -> list[Prediction]:
        """The predictions of a lead that wait. Raises OSError."""
        if not self._path.exists():
            return []
        with _convert_errors(), closing(self._open()) as connection:
            texts = connection.execute(_OF_LEAD, (lead_id,)).fetchall()
        return [prediction for (text,) in texts if (prediction := self._parse(text)) is not None]

    def close(self) -> None:
        """Close the connection that stays open. The queue can be used afterwards; it opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _begin(self, stack: ExitStack, timeout: float | None) -> sqlite3.Connection:
        """A connection in a transaction that ends with the stack, rolled back if it was not committed.

        Raises TimeoutError, sqlite3.Error, OSError or OutsideError.
        """
        stack.enter_context(file_lock(self._folder / "lock", timeout))
        if self._connection is None or not self._path.exists():
            self._prepare()
        connection = stack.enter_context(closing(self._open()))
        connection.execute(f"PRAGMA max_page_count = {max(1, self._limit // PAGE_BYTES)}")
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def _prepare(self) -> None:
        """Create the file, adopt those of a former version, and keep a connection open."""
        self.close()
        self._path.touch(mode=0o660)
        with ExitStack() as stack:
            connection = stack.enter_context(closing(self._open()))
            for statement in _CREATE:
                connection.execute(statement)
            for path in sorted(self._folder.glob(FORMER_FILES)):
                self._adopt(connection, path)
            stack.pop_all()
            self._connection = connection

    def _adopt(self, connection: sqlite3.Connection, path: Path) -> None:
        """Move the predictions of a former version's file, one JSON object a line, into the queue.

        A file whose process still runs is left for the next start, and so is one that cannot be read.
        """
        try:
            with file_lock(path, 0):
                predictions = [p for line in path.read_bytes().split(b"\n") if (p := self._parse(line))]
                connection.execute("BEGIN IMMEDIATE")
                # A process that was killed before the file was deleted has adopted it already.
                existing = {text for (text,) in connection.execute("SELECT prediction FROM queue")}
                new = [p for p in predictions if orjson.dumps(p._asdict()).decode() not in existing]
                connection.execute(_INSERT, (_to_payload(new),))
                connection.execute("COMMIT")
                path.unlink()
        except TimeoutError:
            log.warning("%s is in use: stop the former version, then restart this one", path)
        except (OSError, OutsideError) as problem:
            log.error("A file of the former queue cannot be read: %s", problem)

    def _parse(self, text: str | bytes) -> Prediction | None:
        """A prediction from its JSON; None when it is empty, torn by a crash, or of another version."""
        if not text.strip():
            return None
        try:
            return Prediction(**orjson.loads(text))
        except (orjson.JSONDecodeError, TypeError):
            self._limited_log.warning("A prediction in the queue on disk is damaged and was skipped")
            return None

    def _open(self) -> sqlite3.Connection:
        """A connection to the file, which must exist. Raises sqlite3.Error."""
        address = f"file:{quote(str(self._path.absolute()))}?mode=rw"
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        for pragma in ("synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _count(self, query: str, default: int) -> int:
        """The number that a query returns, or `default` when the queue cannot be read."""
        if not self._path.exists():
            return 0
        try:
            with closing(self._open()) as connection:
                return int(connection.execute(query).fetchone()[0])
        except sqlite3.Error:
            return default


@contextmanager
def _convert_errors() -> Iterator[None]:
    """Raise DiskQueueError, an OSError, for what SQLite and the lock raise."""
    try:
        yield
    except OutsideError as problem:
        raise DiskQueueError(str(problem)) from None
    except sqlite3.Error as problem:
        raise DiskQueueError(describe_error(problem)) from None


def _to_payload(predictions: Sequence[Prediction]) -> str | None:
    """Lead and prediction of each as one JSON text; None when JSON cannot hold one of them."""
    try:
        rows = [(p.lead_id, orjson.dumps(p._asdict()).decode()) for p in predictions]
        return orjson.dumps(rows).decode()
    except orjson.JSONEncodeError:
        return None


def _insert(connection: sqlite3.Connection, payload: str) -> bool:
    """Insert a list; False when it does not fit, and the transaction goes on without it."""
    try:
        connection.execute(_INSERT, (payload,))
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode != sqlite3.SQLITE_FULL or not connection.in_transaction:
            raise
        return False
    return True
