"""The local MLflow store of an output folder that was moved or copied.

MLflow stores where artifacts are as absolute locations. In a moved or copied folder these would lead to the
former folder, which may be gone or belong to somebody else.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from features.errors import OutsideError

ARTIFACTS = "mlartifacts"
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def artifacts_uri(out: Path) -> str:
    """The location of the artifacts of an output folder."""
    return (out.resolve() / ARTIFACTS).as_uri()


def point_to_present_folder(store: Path, experiment: str, out: Path) -> None:
    """Make all locations in the SQLite file `store` lead to the artifacts of `out`.

    The former folder is that of the `experiment`; locations elsewhere, such as a bucket, stay as they are.
    Raises OutsideError if the store has to be changed and cannot be.
    """
    if not store.exists():
        return
    try:
        with closing(sqlite3.connect(store, timeout=30)) as connection:
            former, present = _find_location(connection, experiment), artifacts_uri(out)
            is_local = former.startswith("file:") and former.endswith(f"/{ARTIFACTS}")
            if is_local and former != present:
                _replace(connection, former, present)
    except sqlite3.Error as problem:
        raise OutsideError(
            "{store}: cannot be read or changed to the present place of {out} ({problem}). Make the file "
            "writable, then run again.",
            store=store,
            out=out,
            problem=problem,
        ) from problem


def _find_location(connection: sqlite3.Connection, experiment: str) -> str:
    """The location of an experiment; "" in a store that MLflow has not set up yet."""
    if not _has_column(connection, "experiments", "artifact_location"):
        return ""
    query = "SELECT artifact_location FROM experiments WHERE name = ?"
    row = connection.execute(query, (experiment,)).fetchone()
    return str(row[0] or "") if row else ""


def _replace(connection: sqlite3.Connection, former: str, present: str) -> None:
    """Replace the beginning of all locations in or below `former`, in one transaction."""
    with connection:
        for table, column in _LOCATIONS:
            if _has_column(connection, table, column):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (present, len(former) + 1, former, len(former) + 1, f"{former}/"),
                )


def _has_column(connection: sqlite3.Connection, table: str, column: str) -> bool:
    return any(row[1] == column for row in connection.execute(f"PRAGMA table_info({table})"))
