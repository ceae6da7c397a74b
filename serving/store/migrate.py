"""Migrates the tables of a database to those of this version."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from serving.store.backends.base import Database
from serving.store.errors import StoreUnavailable
from serving.store.tables import SCHEMA

MIGRATIONS = Path(__file__).with_name("migrations")
log = logging.getLogger(__name__)


def migrate(database: Database) -> None:
    """Create or migrate the tables, one process at a time. Raises StoreUnavailable."""
    database.create()
    if database.read(read_revision) == SCHEMA:
        return
    with database.migration() as connection:
        before = read_revision(connection)
        if before != SCHEMA:
            upgrade(connection)
            log.info("The store's tables went from %s to %s", before or "none", SCHEMA)


def read_revision(connection: Connection) -> str | None:
    """The revision of a database's tables; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def upgrade(connection: Connection) -> None:
    """Run the missing migrations in the transaction of `connection`. Raises StoreUnavailable."""
    # Imported only when tables are to be migrated: Alembic takes long to import.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise StoreUnavailable(
            f"the tables are of revision {read_revision(connection)}, this version of Hotlead knows {SCHEMA}"
        ) from None
