"""Seeing the pages before anybody does: what is counted for all who look is ready when somebody comes in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request

from serving.components import Components
from serving.review.web.page_request import PageRoute

LOOK_EVERY_SECONDS, REPEAT_SECONDS = 1.0, 300.0
RenderPage = Callable[[Request, PageRoute], Awaitable[object]]


def shared_pages(pages: Sequence[PageRoute]) -> list[PageRoute]:
    """The pages that show the same to all: no parameter in the path, and no file to take away."""
    return [page for page in pages if page.method == "GET" and not set("{.") & set(page.path)]


async def warm_cache(
    components: Components, pages: Sequence[PageRoute], home: str, render_page: RenderPage
) -> None:
    """See each page once, again when another model or definition serves, and again after a while, so that
    nobody is told what is long past; until cancelled."""
    last_versions, next_run = None, 0.0
    while True:
        versions = components.model_watcher.live_model.scorer.versions
        if versions != last_versions or time.monotonic() >= next_run:
            for page in shared_pages(pages):
                await render_page(_request(home + page.path), page)
            last_versions, next_run = versions, time.monotonic() + REPEAT_SECONDS
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
