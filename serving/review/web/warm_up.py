"""Seeing the pages before anybody does: what is counted for all who look is ready when somebody comes in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request

from serving.components import House
from serving.review.web.page_request import PageRoute

LOOK_EVERY_SECONDS, AGAIN_SECONDS = 1.0, 300.0
See = Callable[[Request, PageRoute], Awaitable[object]]


def of_nobody(pages: Sequence[PageRoute]) -> list[PageRoute]:
    """The pages that show the same to all: no parameter in the path, and no file to take away."""
    return [page for page in pages if page.method == "GET" and not set("{.") & set(page.path)]


async def look_ahead(house: House, pages: Sequence[PageRoute], home: str, see: See) -> None:
    """See each page once, again when another model or definition serves, and again after a while, so that
    nobody is told what is long past; until cancelled."""
    seen, until = None, 0.0
    while True:
        now = house.watch.in_use.scorer.versions
        if now != seen or time.monotonic() >= until:
            for page in of_nobody(pages):
                await see(_request(home + page.path), page)
            seen, until = now, time.monotonic() + AGAIN_SECONDS
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def _request(path: str) -> Request:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [],
        "path_params": {},
        "client": None,
        "server": None,
    }
    return Request(scope)
