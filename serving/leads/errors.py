"""Why a lead cannot be scored. serving/api/error_responses.py turns these errors into HTTP answers."""

from __future__ import annotations

from typing import TypeAlias

from serving.store.store import StoreUnavailable
from serving.web.field_errors import InvalidFields


class UnknownLead(Exception):
    """Nothing is stored about the lead of this id."""


class LeadNotCreated(Exception):
    """A lead did not exist at the moment it is to be scored at. Both times are ms UTC."""

    def __init__(self, as_of: int, created: int) -> None:
        super().__init__("the lead did not exist at that moment")
        self.as_of, self.created = as_of, created


LeadError: TypeAlias = InvalidFields | UnknownLead | LeadNotCreated | StoreUnavailable
"""Why one lead of a batch has no score."""
