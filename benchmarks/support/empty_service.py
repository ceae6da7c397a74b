"""A BentoML service with an empty async endpoint: the baseline for the latency of the service."""

from __future__ import annotations

import bentoml


@bentoml.service(name="empty", workers=1)
class Empty:
    """The empty service."""

    @bentoml.api
    async def empty(self, lead_id: str = "") -> str:
        """Answer without any work."""
        return lead_id
