"""The first page: does the model beat the rules, and what waits for somebody?"""

from __future__ import annotations

from starlette.responses import Response

from serving.review.visit import PageRoute, Visit


async def show(visit: Visit) -> Response:
    """The overview."""
    return visit.html("overview.html")


ROUTES = (PageRoute("GET", "", show), PageRoute("GET", "/", show))
