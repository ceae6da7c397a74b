"""Bringing a database's tables up to those of this version."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from serving.store.backends.base import Database, StoreAway
from serving.store.tables import SCHEMA

MIGRATIONS = Path(__file__).with_name("migrations")
log = logging.getLogger(__name__)


def migrate(database: Database) -> None:
    """Bring the tables up to date, one process at a time. Raises StoreAway."""
    database.make()
    if database.read(schema) == SCHEMA:
        return
    with database.migration() as connection:
        before = schema(connection)
        if before != SCHEMA:
            upgrade(connection)
            log.info("The store's tables went from %s to %s", before or "none", SCHEMA)


def schema(connection: Connection) -> str | None:
    """The revision of a database's tables; None where it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    told: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return told


def upgrade(connection: Connection) -> None:
    """Run the migrations that a database lacks, in the transaction of `connection`."""
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
        raise StoreAway(
            f"the tables are of revision {schema(connection)}, this version of Hotlead knows {SCHEMA}"
        ) from None
