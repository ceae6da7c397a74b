"""The URLs of databases: what they allow, and how they are shown without secrets."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from features.errors import SettingsError
from features.messages import Message

PASSWORD_VARIABLE = "HOTLEAD_DATABASE_PASSWORD"
_FILE_BACKENDS = ("sqlite", "duckdb")
_DRIVERS = {
    "bigquery": "sqlalchemy-bigquery",
    "duckdb": "duckdb",
    "mssql": "pyodbc",
    "mysql": "pymysql",
    "oracle": "oracledb",
    "redshift": "sqlalchemy-redshift redshift_connector",
    "snowflake": "snowflake-sqlalchemy",
}
"""The packages to install for a database, by the first word of its URL."""
_SECRET = re.compile(r"pass|pwd|secret|token|credential|key", re.IGNORECASE)
_USER_AND_PASSWORD = re.compile(r"^([\w+]+://[^:/@]*):[^@]*@")


def database_url(url_text: str, folder: Path) -> URL:
    """The URL of a database; a relative path of a SQLite or DuckDB file is relative to `folder`."""
    try:
        url = make_url(url_text)
    except (ArgumentError, ValueError):
        raise SettingsError(
            "{value!r} is not a database URL such as sqlite:///crm.db or "
            "postgresql+psycopg://user@host/name.",
            value=url_text.split("@")[-1],
        ) from None
    if url.get_backend_name() == "postgresql" and url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() in _FILE_BACKENDS and url.database not in (None, "", ":memory:"):
        path = folder / str(url.database)
        if not path.exists():
            raise SettingsError("{path}: there is no such database file.", path=path)
        url = url.set(database=str(path))
    return url


def mask_password(url: URL) -> str:
    """A database URL without its password, and without parameters such as a token."""
    return url.difference_update_query(filter(_SECRET.search, url.query)).render_as_string(hide_password=True)


def without_password(place: str) -> str:
    """A source for crm.toml: in a URL, an environment variable in place of the password."""
    if "${" in place:
        return place
    return _USER_AND_PASSWORD.sub(rf"\1:${{{PASSWORD_VARIABLE}}}@", place)


def advise_driver(url: URL) -> Message:
    """A sentence that says which package to install for a database."""
    packages = _DRIVERS.get(url.get_backend_name())
    if packages is None:
        return Message("Install it, or name another driver in the URL.")
    return Message("Install it beside Hotlead: .venv/bin/python -m pip install {packages}", packages=packages)


def describe_problem(problem: Exception, url: URL) -> str:
    """The first line of an error, without the password of the URL."""
    line = str(getattr(problem, "orig", None) or problem).strip().splitlines()[0]
    secrets = [str(url.password)] if url.password else []
    secrets += [str(value) for key, value in url.query.items() if _SECRET.search(key)]
    for secret in secrets:
        line = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", line)
    return line
