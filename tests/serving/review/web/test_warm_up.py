from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.requests import Request

from serving.review.kpis import queries as kpi_queries
from serving.review.site import PAGES
from serving.review.web import warm_up as ahead
from serving.review.web.page_request import PageRoute
from serving.review.web.warm_up import shared_pages, warm_cache
from tests.helpers.service.review_site import review_app
from tests.helpers.service.service_app import App


def test_pages_of_one_lead_and_files_to_take_away_are_not_seen_ahead() -> None:
    paths = [page.path for page in shared_pages(PAGES)]
    assert {"", "/calls", "/disagreements", "/definition", "/models", "/figures"} <= {*paths}
    assert not [path for path in paths if "{" in path or path.endswith((".csv", ".json"))]
    assert all(page.method == "GET" for page in shared_pages(PAGES))


async def _warm_up_until(holds: Callable[[], bool], app: App, see: ahead.RenderPage) -> None:
    """Render pages until something holds, and for some rounds more."""
    task = asyncio.create_task(warm_cache(app.components, PAGES, "/review", see))
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    task.cancel()


def test_every_page_is_seen_once_and_again_under_another_definition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "LOOK_EVERY_SECONDS", 0.01)
    paths: list[str] = []

    async def see(request: Request, page: PageRoute) -> None:
        paths.append(request.url.path)

    async def two_definitions(app: App) -> list[str]:
        await _warm_up_until(lambda: len(paths) >= len(shared_pages(PAGES)), app, see)
        first_paths = [*paths]
        card = app.settings.crm.with_name("scorecard.toml")
        card.write_text(card.read_text(encoding="utf-8").replace("hot = ", "hot = 1"), "utf-8")
        task = asyncio.create_task(_warm_up_until(lambda: len(paths) > len(first_paths), app, see))
        app.components.refresh()
        await task
        return first_paths

    with review_app(tmp_path) as (app, _):
        opened_paths = asyncio.run(two_definitions(app))
    assert opened_paths == ["/review" + page.path for page in shared_pages(PAGES)]
    assert len(paths) > len(opened_paths)


def test_who_comes_in_first_waits_for_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(connection: object) -> None:
        raise AssertionError("read while somebody waits")

    with review_app(tmp_path) as (app, reviewer):

        async def start() -> None:
            with suppress(TimeoutError):
                await asyncio.wait_for(app.site.warm_cache(), 10)

        monkeypatch.setattr(ahead, "LOOK_EVERY_SECONDS", 60.0)
        app.run_in_loop(start())
        monkeypatch.setattr(kpi_queries, "read_facts", never)
        assert reviewer.page("/review/figures").status_code == 200


_LOADED_AT_START = """
import asyncio, sys
from pathlib import Path
from tests.helpers.service.review_site import review_app

async def start(site):
    task = asyncio.create_task(site.warm_cache())
    while "pages" not in events:
        await asyncio.sleep(0.01)
    task.cancel()

with review_app(Path(sys.argv[1])) as (app, _):
    assert "matplotlib" not in sys.modules, "loaded by an import or by pages without charts"
    from serving.review.web import warm_up
    events, draw = [], warm_up.draw_first_chart
    def draw_and_note():
        draw()
        events.append("drawn")
    async def render(request, page):
        events.append("pages")
    warm_up.draw_first_chart = draw_and_note
    app.site._render_for_warm_up = render
    app.run_in_loop(start(app.site))
    assert events[:2] == ["drawn", "pages"], events
    assert "matplotlib.backends.backend_svg" in sys.modules
"""


def test_charts_can_be_drawn_before_the_first_page_and_load_nothing_before_the_start(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LOADED_AT_START, str(tmp_path)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[4], timeout=300)


def test_pages_are_rendered_where_no_chart_can_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("no folder for fonts")

    async def see(request: Request, page: PageRoute) -> None:
        paths.append(page.path)

    paths: list[str] = []
    monkeypatch.setattr(ahead, "draw_first_chart", fail)
    with review_app(tmp_path) as (app, _):
        asyncio.run(_warm_up_until(lambda: bool(paths), app, see))
    assert paths


def test_a_store_that_is_away_is_no_reason_to_stop(tmp_path: Path) -> None:
    async def see(request: Request, page: PageRoute) -> None:
        paths.append(page.path)

    paths: list[str] = []
    with review_app(tmp_path) as (app, _):
        app.components.store.close()
        asyncio.run(_warm_up_until(lambda: bool(paths), app, see))
    assert paths
