"""Each page's main act, as a person does it in a browser, in both languages; pictures for the docs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks.support.load import wait_for
from serving.settings import ServiceSettings
from serving.web import api_keys as keys
from tests.conftest import Demo
from tests.helpers.service.review_demo import (
    BrowserWindow,
    ReviewDemo,
    open_window,
    review_demo,
    text_problems,
)

pytestmark = pytest.mark.slow
LANGS = ("en", "ja")
PAGES = (
    "",
    "/calls",
    "/disagreements",
    "/definition",
    "/definition/edit",
    "/models",
    "/figures",
    "/figures/print",
    "/sign-in",
)


@pytest.fixture(scope="module")
def site(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewDemo]:
    with review_demo(demo, tmp_path_factory.mktemp("review")) as running:
        yield running


@pytest.fixture(params=LANGS)
def window(site: ReviewDemo, request: pytest.FixtureRequest) -> Iterator[BrowserWindow]:
    with open_window(site.service.url, request.param) as opened:
        yield opened


def test_the_overview_opens_the_leads_behind_a_number(site: ReviewDemo, window: BrowserWindow) -> None:
    page = window.page
    page.goto(site.url)
    page.wait_for_selector(".plot svg")
    window.check("overview")
    number = page.locator(".agreement a").first
    count = int(number.inner_text().replace(",", ""))
    number.click()
    page.wait_for_url("**/review/disagreements?*")
    listed = page.locator("section[aria-labelledby=open] article")
    assert listed.count() == min(count, 20)
    hot = {"en": "hot", "ja": "ホット"}[window.lang]
    for side in ("model", "rules"):  # the first number is of those whom both call hot
        assert all(hot in tag_text for tag_text in listed.locator(f".tag.{side}").all_inner_texts())


def test_a_lead_is_contacted_in_one_step(site: ReviewDemo, window: BrowserWindow) -> None:
    page = window.page
    page.goto(f"{site.url}/calls?owner=inside_sales")
    window.check("calls")
    first = page.locator("li.call").first
    lead_id = first.locator("h2 a").first.inner_text()
    first.locator("summary").click()
    first.locator("button[value=first_contact]").click()
    page.wait_for_url("**done=steps_done_first_contact*")
    page.goto(f"{site.url}/leads/{lead_id}")
    word = {"en": "First contact", "ja": "初回コンタクト"}[window.lang]
    assert page.locator("tbody th", has_text=word).first.is_visible()


def test_sending_back_needs_a_reason(site: ReviewDemo, window: BrowserWindow) -> None:
    page = window.page
    page.goto(f"{site.url}/calls")
    call = page.locator("li.call").last
    call.locator("summary").click()
    call.locator("button[value=sent_back]").click()
    assert page.locator(".wrong").first.is_visible()
    assert page.locator("[aria-invalid=true]").count() == 1
    window.expect_refusal()
    page.locator("[aria-invalid=true]").fill("no budget")
    page.locator("li.call:has([aria-invalid]) button[value=sent_back]").click()
    page.wait_for_url("**done=steps_done_sent_back*")


def test_a_lead_is_looked_at_and_tried(site: ReviewDemo, window: BrowserWindow) -> None:
    page = window.page
    page.goto(f"{site.url}/calls")
    page.locator("li.call h2 a").first.click()
    page.wait_for_selector(".plot svg")
    window.check("lead")
    page.locator("section[aria-labelledby=if] summary").click()
    number = page.locator("section[aria-labelledby=if] input[name^='w.']").first
    typed = number.input_value()
    number.fill("many")
    number.press("Tab")
    page.wait_for_selector(".wrong.live:not(:empty)")
    number.fill(typed)
    number.press("Tab")
    page.wait_for_selector(".wrong.live:not(:empty)", state="detached")
    assert page.locator("#what-if .note").count() == 0
    budget = page.locator("select[name='w.budget']")
    chosen = budget.input_value()
    others = [
        option
        for option in budget.locator("option").evaluate_all("all => all.map((o) => o.value)")
        if option != chosen
    ]
    budget.select_option(others[0])
    page.wait_for_selector("#what-if .note")
    assert "w.budget" not in page.url  # in place, without leaving the page
    page.locator("summary", has_text={"en": "Override", "ja": "手動"}[window.lang]).click()
    page.locator("input[name=verdict][value=not_hot]").check()
    page.locator("#o-reason").fill("school project")
    page.locator("section[aria-labelledby=record] button.main").click()
    page.wait_for_url("**done=lead_done_override*")
    assert page.locator("h1 .tag").inner_text().split()[0] != {"en": "hot", "ja": "ホット"}[window.lang]


def test_a_reviewer_says_who_was_right(site: ReviewDemo, window: BrowserWindow) -> None:
    page = window.page
    page.goto(f"{site.url}/disagreements")
    page.locator("article summary").first.click()
    page.wait_for_selector(".plot svg")
    window.check("disagreements")
    page.locator("article button.main").first.click()
    assert page.locator(".wrong").count() == 2
    window.expect_refusal()
    page.locator("details[open] input[value=model]").first.check()
    page.locator("details[open] input[name=reason]").first.fill(f"the budget is real ({window.lang})")
    page.locator("details[open] button.main").first.click()
    page.wait_for_url("**done=disagreements_done*")
    csv_text = httpx.get(f"{site.url}/disagreements/verdicts.csv").content.decode("utf-8-sig")
    reasons = [row["reason"] for row in csv.DictReader(io.StringIO(csv_text))]
    assert f"the budget is real ({window.lang})" in reasons


def test_the_definition_is_changed_tried_saved_and_signed(site: ReviewDemo, window: BrowserWindow) -> None:
    page, points = window.page, {"en": "31", "ja": "32"}[window.lang]
    before = _scorecard(site)
    page.goto(f"{site.url}/definition")
    window.check("definition")
    page.locator("a.button.main").click()
    page.locator("#f-intent-rows-trial-points").fill("many")
    page.locator("#f-bands-warm").fill("90")
    page.locator("button[value=try]").first.click()
    assert page.locator("#f-intent-rows-trial-points").input_value() == "many"
    assert page.locator("#f-intent-rows-trial-points-wrong").is_visible()
    window.expect_refusal()
    page.locator("#f-intent-rows-trial-points").fill(points)
    page.locator("button[value=try]").first.click()
    assert page.locator("#f-bands-warm-wrong, #f-bands-hot-wrong").first.is_visible()
    window.expect_refusal()
    page.locator("#f-bands-warm").fill("10")
    page.locator("button[value=try]").first.click()
    assert page.locator("#tried .verdict").is_visible()
    window.check("definition-tried")
    page.locator("#note").fill("Trials buy")
    page.locator("button[value=save]").click()
    page.wait_for_url("**done=definition_done_saved")
    window.check("definition-saved")
    for party in ("marketing", "sales"):
        page.locator("#party").select_option(party)
        page.locator("section[aria-labelledby=sign] button").click()
    page.wait_for_url("**done=definition_done_in_force")
    card = (site.crm_toml.parent / "scorecard.toml").read_text(encoding="utf-8")
    assert f"points = {points}" in card
    assert card.startswith("# What counts as hot")  # comments stay
    wait_for(lambda: _scorecard(site) != before, 5)


def _scorecard(site: ReviewDemo) -> str:
    return str(httpx.get(f"{site.service.url}/v1/model").json()["scorecard"])


def test_an_administrator_promotes_against_the_gate_and_rolls_back(
    site: ReviewDemo, window: BrowserWindow
) -> None:
    page = window.page
    wait_for(lambda: _has_element(page, site, "form[action$=promote]"), 30)
    window.check("models")
    before = _registered(site)
    page.locator("form[action$=promote] button").click()
    assert page.locator(".wrong").is_visible()
    window.expect_refusal()
    page.locator("form[action$=promote] input[name=note]").fill("a trial")
    box = page.locator("form[action$=promote] input[name=override]")
    if box.count():
        box.check()
    page.locator("form[action$=promote] button").click()
    wait_for(lambda: _registered(site) != before, 10)
    wait_for(lambda: _has_element(page, site, "form[action$=rollback]"), 30)
    page.locator("form[action$=rollback] input[name=note]").fill("back")
    page.locator("form[action$=rollback] button").click()
    wait_for(lambda: _registered(site) == before, 10)
    wait_for(lambda: _has_element(page, site, "section[aria-labelledby=done] td"), 10)


def _has_element(page: Any, site: ReviewDemo, selector: str) -> bool:
    page.goto(f"{site.url}/models")
    return bool(page.locator(selector).count())


def _registered(site: ReviewDemo) -> str:
    return str(httpx.get(f"{site.service.url}/v1/model").json()["model"]["registered_version"])


def test_the_figures_are_shown_taken_away_and_printed(site: ReviewDemo, window: BrowserWindow) -> None:
    page = window.page
    page.goto(f"{site.url}/figures")
    page.wait_for_selector(".plot svg")
    window.check("figures")
    with page.expect_download() as download:
        page.locator("section[aria-labelledby=t-channel] a", has_text="CSV").click()
    csv_text = download.value.path().read_text(encoding="utf-8-sig")
    assert csv_text.startswith("source,hot_leads,opportunities,wins,cost")
    window.expect_download()
    page.goto(f"{site.url}/figures/print")
    page.emulate_media(media="print")
    assert not page.locator("header.site").is_visible()
    assert page.locator(".plot svg").count() == 2
    assert text_problems(page) == []
    window.picture("figures-print")


@pytest.mark.parametrize(("width", "lang"), [(360, "ja"), (1280, "en")])
def test_every_page_fits_without_scripts_and_in_the_dark(site: ReviewDemo, width: int, lang: str) -> None:
    hot = httpx.get(f"{site.service.url}/v1/hot").json()["leads"][0]["lead_id"]
    pages = (*PAGES, f"/leads/{hot}", "/definition/1")
    with open_window(site.service.url, lang, width, scripts=False) as window:
        for path in pages:
            assert window.page.goto(site.url + path).status == 200, path
            assert window.page.locator("h1").count() == 1, path
            drawn = window.page.locator(".plot").count()
            assert window.page.locator(".plot svg").count() == drawn, path
    with open_window(site.service.url, lang, width, color_scheme="dark") as window:
        for path in pages:
            window.page.goto(site.url + path)
            window.page.wait_for_load_state("networkidle")
            window.check(f"dark{path.replace('/', '-')}-{width}", keep=False)


def test_a_reviewer_signs_in_by_keyboard_without_scripts_and_sees_what_the_role_may(site: ReviewDemo) -> None:
    """The last one here: once there is a key, nobody comes in without."""
    crm_toml = {"HOTLEAD_CRM": str(site.crm_toml)}
    _, token = keys.add(ServiceSettings.from_environment(crm_toml).keys_file, "reviewer", "Sato")
    wait_for(lambda: httpx.get(site.url).status_code == 303, 10)
    with open_window(site.service.url, "en", scripts=False) as window:
        page = window.page
        page.goto(f"{site.url}/models")
        page.locator("#key").focus()
        page.keyboard.type(token)
        page.keyboard.press("Enter")
        page.wait_for_url("**/review/models")
        assert page.locator("form[action$=approve]").count() == 1
        assert page.locator("form[action$=promote]").count() == 0
        page.goto(f"{site.url}/calls")
        page.locator("li.call summary").first.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # contacted
        page.wait_for_url("**done=steps_done_first_contact*")
        page.locator("form[action$=sign-out] button").click()
        page.wait_for_url("**/review/sign-in*")
