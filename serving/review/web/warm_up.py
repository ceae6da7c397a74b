"""Rendering the pages before anybody opens them: what they load and count is ready for the first reader."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request

from serving.components import Components
from serving.review.charts.render import draw_first_chart
from serving.review.web.page_request import PageRoute

log = logging.getLogger(__name__)
LOOK_EVERY_SECONDS, REPEAT_SECONDS = 1.0, 300.0
RenderPage = Callable[[Request, PageRoute], Awaitable[object]]


def shared_pages(pages: Sequence[PageRoute]) -> list[PageRoute]:
    """The pages that show the same to all: no parameter in the path, and no file to take away."""
    return [page for page in pages if page.method == "GET" and not set("{.") & set(page.path)]


async def warm_cache(
    components: Components, pages: Sequence[PageRoute], home: str, render_page: RenderPage
) -> None:
    """Draw a first chart, and render each page: once, again with another model or definition, and again after
    a while, so that nobody sees old figures. Runs until cancelled."""
    await _load_charts()
    last_versions, next_run = None, 0.0
    while True:
        versions = components.model_watcher.live_model.scorer.versions
        if versions != last_versions or time.monotonic() >= next_run:
            for page in shared_pages(pages):
                await render_page(_request(home + page.path), page)
            last_versions, next_run = versions, time.monotonic() + REPEAT_SECONDS
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _load_charts() -> None:
    try:
        await asyncio.to_thread(draw_first_chart)
    except Exception as fault:  # the pages without charts are warmed up all the same
        log.error("No chart can be drawn", exc_info=fault)


def _request(path: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []})
