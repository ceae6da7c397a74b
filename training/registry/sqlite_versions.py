"""The versions of a registered model in MLflow's SQLite file, read and changed without MLflow.

This module knows four tables of MLflow. Where they are not as it knows them (an older store that MLflow has
to migrate first, a newer MLflow), `is_readable` says so, and MLflow does the work.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from features.errors import OutsideError

_LONGEST_TAG = 100_000
"""MLflow takes no longer ones."""
BUSY_SECONDS = 15.0
"""How long a store that another process writes to is waited for."""
_WORKSPACE = "workspace"
_WRITTEN = {
    "registered_model_aliases": {"alias", "version", "name"},
    "model_version_tags": {"key", "value", "name", "version"},
}
_READ = {
    "registered_models": {"name"},
    "model_versions": {"name", "version", "run_id", "source", "storage_location"},
}
_FIND = (
    "SELECT v.version, v.run_id, coalesce(v.storage_location, v.source) FROM model_versions v "
    "JOIN registered_model_aliases a ON a.name = v.name AND a.version = v.version "
    "WHERE v.name = ? AND a.alias = ?"
)
_TAGS = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"


@dataclass(frozen=True)
class ModelVersion:
    """A version of the registered model. `folder` has its files; None if MLflow has to fetch them."""

    version: str
    run_id: str
    tags: Mapping[str, str]
    folder: Path | None = None


@dataclass(frozen=True)
class SqliteVersions:
    """The versions of the model `name` in MLflow's SQLite file."""

    file: Path
    name: str

    def find(self, alias: str) -> ModelVersion | None:
        """The version with an alias; None if the alias is not set."""
        with _connect(self.file) as connection:
            row = connection.execute(_FIND, (self.name, alias)).fetchone()
            if row is None:
                return None
            tags = _read_tags(connection, self.name, row[0])
            return ModelVersion(str(row[0]), str(row[1]), tags, _local_path(row[2]))

    def read_tags(self, version: str) -> Mapping[str, str]:
        """The tags of a version; none if there is no such version."""
        with _connect(self.file) as connection:
            return _read_tags(connection, self.name, version)

    def change(self, version: str, tags: Mapping[str, str], aliases: Mapping[str, str | None]) -> None:
        """Write tags of a version and set or remove aliases, all of them or none."""
        with _connect(self.file) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            for key, value in tags.items():
                self._write_tag(connection, version, key, value)
            for alias, target in aliases.items():
                self._set_alias(connection, alias, target)

    def _write_tag(self, connection: sqlite3.Connection, version: str, key: str, value: str) -> None:
        if len(value) > _LONGEST_TAG:
            raise sqlite3.DataError(f"the tag {key} is longer than {_LONGEST_TAG:,} characters")
        place = (key, self.name, version)
        connection.execute("DELETE FROM model_version_tags WHERE key = ? AND name = ? AND version = ?", place)
        connection.execute(
            "INSERT INTO model_version_tags (key, name, version, value) VALUES (?, ?, ?, ?)", (*place, value)
        )

    def _set_alias(self, connection: sqlite3.Connection, alias: str, target: str | None) -> None:
        place = (self.name, alias)
        connection.execute("DELETE FROM registered_model_aliases WHERE name = ? AND alias = ?", place)
        if target is not None:
            connection.execute(
                "INSERT INTO registered_model_aliases (name, alias, version) VALUES (?, ?, ?)",
                (*place, target),
            )


def is_readable(file: Path, name: str) -> bool:
    """Whether the tables of MLflow are as this module knows them, and hold one model of this name at most."""
    with _connect(file) as connection:
        columns = {table: _read_columns(connection, table) for table in (*_WRITTEN, *_READ)}
        is_known = all(columns[table] - {_WORKSPACE} == names for table, names in _WRITTEN.items())
        if not is_known or not all(columns[table] >= names for table, names in _READ.items()):
            return False
        query = "SELECT count(*) FROM registered_models WHERE name = ?"
        if _WORKSPACE in columns["registered_models"]:
            query += " AND workspace <> 'default'"
            return bool(connection.execute(query, (name,)).fetchone()[0] == 0)
        return bool(connection.execute(query, (name,)).fetchone()[0] <= 1)


def _local_path(location: str | None) -> Path | None:
    """The folder that a `file:` URI names; None for any other place."""
    parts = urlsplit(location or "")
    return Path(url2pathname(parts.path)) if parts.scheme == "file" and not parts.netloc else None


def _read_columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _read_tags(connection: sqlite3.Connection, name: str, version: object) -> dict[str, str]:
    return {key: str(value or "") for key, value in connection.execute(_TAGS, (name, version))}


@contextmanager
def _connect(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that begins no transaction by itself. Raises OutsideError for errors of the database."""
    try:
        with closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as problem:
        raise OutsideError(
            "The MLflow store at {uri} does not answer as it should ({why}). "
            "Look at MLFLOW_TRACKING_URI and at the server, then run again.",
            uri=file,
            why=problem,
        ) from problem
