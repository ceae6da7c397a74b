"""Opens the store of an installation for a command, and refuses where the store that it had is missing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url

from features.errors import ConfirmationNeeded, OutsideError
from serving.settings import ServiceSettings
from serving.store.errors import StoreUnavailable
from serving.store.state.identity import StoreMarker, StoreMissing, check_identity
from serving.store.store import Store, database_from_url


def store_marker(settings: ServiceSettings) -> StoreMarker:
    """What remembers the store of an installation."""
    return StoreMarker(settings.out, settings.session_key)


def has_store(settings: ServiceSettings) -> bool:
    """Whether the store was made. One on PostgreSQL counts as made."""
    url = make_url(settings.store_url)
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def unavailable_store(settings: ServiceSettings, why: object) -> OutsideError:
    """The error of a command that found the store unavailable."""
    return OutsideError(
        "The store at {url} is away ({why}). Run this again when it is back.",
        url=settings.shown_store,
        why=str(why),
    )


def check_store(settings: ServiceSettings, is_new: bool = False) -> None:
    """Raise ConfirmationNeeded if the store that this installation had is missing or another one.

    `is_new`: a person confirms that a new store is made, or another one taken. A database that is unavailable
    now is no error.
    """
    marker = store_marker(settings)
    with closing(database_from_url(settings.store_url)) as database:
        try:
            check_identity(database, marker)
        except StoreMissing as problem:
            if is_new:
                marker.confirm_new()
                return
            raise ConfirmationNeeded(
                "The store of this installation is missing at {store}: {reason}. Mount its volume or restore "
                "a backup. If a new store is meant, confirm it once with `hotlead serve --new-store`.",
                store=settings.shown_store,
                reason=problem.reason,
            ) from None
        except StoreUnavailable:
            return


def open_store(settings: ServiceSettings, is_new: bool = False) -> Store:
    """The store of an installation. Raises ConfirmationNeeded as `check_store`, and SettingsError."""
    check_store(settings, is_new)
    marker, key_file = store_marker(settings), settings.pseudonym_key_file
    return Store.open(settings.store_url, settings.spool, marker=marker, key_file=key_file)
