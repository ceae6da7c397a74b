"""Stores on each database, for the tests of this package."""

from __future__ import annotations

from tests.helpers.service.stores import server, store, url

__all__ = ["server", "store", "url"]
