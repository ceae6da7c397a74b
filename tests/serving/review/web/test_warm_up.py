from __future__ import annotations

import asyncio
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


async def _for(seconds: float, app: App, see: ahead.RenderPage) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(warm_cache(app.house, PAGES, "/review", see), seconds)


def test_every_page_is_seen_once_and_again_under_another_definition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "LOOK_EVERY_SECONDS", 0.01)
    paths: list[str] = []

    async def see(request: Request, page: PageRoute) -> None:
        paths.append(request.url.path)

    async def two_definitions(app: App) -> list[str]:
        await _for(0.2, app, see)
        first_paths = [*paths]
        card = app.settings.crm.with_name("scorecard.toml")
        card.write_text(card.read_text(encoding="utf-8").replace("hot = ", "hot = 1"), "utf-8")
        task = asyncio.create_task(_for(0.4, app, see))
        app.house.refresh()
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


def test_a_store_that_is_away_is_no_reason_to_stop(tmp_path: Path) -> None:
    async def see(request: Request, page: PageRoute) -> None:
        paths.append(page.path)

    paths: list[str] = []
    with review_app(tmp_path) as (app, _):
        app.house.store.close()
        asyncio.run(_for(0.2, app, see))
    assert paths
