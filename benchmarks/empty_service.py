"""A BentoML service with an empty async endpoint: what ours is measured against."""

from __future__ import annotations

import bentoml


@bentoml.service(name="empty", workers=1)
class Empty:
    """Does nothing."""

    @bentoml.api
    async def empty(self, lead_id: str = "") -> str:
        """An answer without any work."""
        return lead_id
