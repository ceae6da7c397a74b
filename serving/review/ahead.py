"""Seeing the pages before anybody does: what is counted for all who look is ready when somebody comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request

from serving.house import House
from serving.review.visit import PageRoute

LOOK_EVERY_SECONDS = 1.0
See = Callable[[Request, PageRoute], Awaitable[object]]


def of_nobody(pages: Sequence[PageRoute]) -> list[PageRoute]:
    """The pages that show the same to all: no parameter in the path, and no file to take away."""
    return [page for page in pages if page.method == "GET" and not set("{.") & set(page.path)]


async def look_ahead(house: House, pages: Sequence[PageRoute], home: str, see: See) -> None:
    """See each page once, and again when another model or definition serves; until cancelled."""
    seen = None
    while True:
        now = _serves(house)
        if now != seen:
            for page in of_nobody(pages):
                await see(_request(home + page.path), page)
            seen = now
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def _serves(house: House) -> tuple[str | None, str]:
    scorer = house.watch.in_use.scorer
    model = None if scorer.judge is None else scorer.judge.model.version
    return model, scorer.card.version


def _request(path: str) -> Request:
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "scheme": "http", "path": path, "query_string": b"",
        "headers": [], "path_params": {}, "client": None, "server": None,
    }  # fmt: skip
    return Request(scope)
