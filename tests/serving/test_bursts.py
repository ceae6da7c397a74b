"""A link scanner changes no score, whichever way the lead comes: by id, in a request, in a batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from features.clock import from_ms
from serving.review.web.translations import page_texts
from tests.helpers.service.api_requests import NOW, Clock
from tests.helpers.service.review_site import Reviewer
from tests.helpers.service.service_app import CRM_TOML, App, small_app

START = NOW - 3_600_000
KINDS = ("visit",) * 8 + ("quote", "download")
BURST = [{"type": kind, "at": from_ms(START + 60 * i).isoformat()} for i, kind in enumerate(KINDS)]
PEOPLE = [{"type": "visit", "at": from_ms(START - 86_400_000 * i).isoformat()} for i in (1, 2)]
CREATED = from_ms(START - 30 * 86_400_000).isoformat()
COLUMNS = ("score", "stage", "points", "decided_by")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with small_app(tmp_path, Clock()) as service_app:
        yield service_app


def store_lead(app: App, lead_id: str, *requests: list[dict[str, str]], account: str | None = None) -> None:
    lead = {"lead_id": lead_id, "updated_at": CREATED, "created_at": CREATED, "account_id": account}
    assert app.post("/v1/leads", {k: v for k, v in lead.items() if v}).is_success
    for activities in requests:
        rows = [{"lead_id": lead_id, **activity} for activity in activities]
        assert app.post("/v1/activities", rows).status_code == 201


def score(app: App, body: dict[str, Any], as_of: int | None = None) -> tuple[object, ...]:
    """What is told of a lead alone, and in a batch, which must be the same."""
    params = "?explain=all" + ("" if as_of is None else f"&as_of={from_ms(as_of).isoformat()[:23]}Z")
    single = app.post(f"/v1/score{params}", body).json()
    others = [{"lead_id": "other", "attributes": {}}]
    by_column = app.post(f"/v1/score/batch{params}", {"leads": [body, *others]}).json()
    by_lead = app.post(f"/v1/score/batch{params}", {"leads": [body, *others, {"lead_id": 7}]}).json()
    answers = [single, by_column["results"][0]["answer"], by_lead["results"][0]["answer"]]
    shown = [(a["score"], a["stage"], a["decided_by"], a["rules"]) for a in answers]
    assert shown[0] == shown[1] == shown[2]
    return shown[0]


def body(*activities: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"lead_id": "body", "created_at": CREATED, "activities": list(activities), **more}


def test_a_burst_changes_no_score_on_any_way(app: App) -> None:
    store_lead(app, "person", PEOPLE)
    store_lead(app, "scanned", PEOPLE[:1], BURST[:3], BURST[3:5], [*PEOPLE[1:], *BURST[5:]])
    expected = score(app, {"lead_id": "person"})
    assert expected[1] == "cold"
    assert score(app, {"lead_id": "scanned"}) == expected
    assert score(app, body(*PEOPLE, *BURST)) == score(app, body(*PEOPLE)) == expected
    assert score(app, body(*PEOPLE, BURST[8])) != expected


def test_the_mark_reaches_back_when_the_rest_of_the_burst_comes(app: App) -> None:
    store_lead(app, "scanned", PEOPLE, BURST[6:9])
    before = score(app, {"lead_id": "scanned"})
    store_lead(app, "scanned", BURST[:6])
    after = score(app, {"lead_id": "scanned"})
    store_lead(app, "person", PEOPLE)
    assert before[1] == "hot"
    assert after == score(app, {"lead_id": "person"})


@pytest.mark.parametrize("offset", [-1, 1, 60 * 4, 60 * 5 + 1, 60 * 8 + 1, 60 * 20])
def test_as_of_a_moment_only_what_was_known_by_then_is_judged(app: App, offset: int) -> None:
    """In the midst of a burst its first activities count until they are too many for a person."""
    store_lead(app, "scanned", PEOPLE, BURST)
    moment = START + offset
    by_then = [a for a in BURST if a["at"] < from_ms(moment).isoformat()]
    counted = by_then if len(by_then) < 6 else []
    expected = score(app, body(*PEOPLE, *counted), moment)
    assert score(app, {"lead_id": "scanned"}, moment) == expected
    assert score(app, body(*PEOPLE, *BURST), moment) == expected


def test_bursts_of_colleagues_do_not_count_for_the_account(app: App) -> None:
    store_lead(app, "quiet", account="A")
    store_lead(app, "mate", PEOPLE, account="A")
    expected = score(app, {"lead_id": "quiet"})
    store_lead(app, "scanned", BURST[:8], account="A")
    assert score(app, {"lead_id": "quiet"}) == expected
    assert score(app, body(colleagues_activities=[*PEOPLE, *BURST])) == expected


def test_a_burst_of_a_clock_ahead_is_judged_by_the_times_that_were_sent(app: App) -> None:
    """Such times count as now; they do not become one moment by that."""
    ahead = [{"type": "visit", "at": from_ms(NOW + 1_000 + 60 * i).isoformat()} for i in range(9)]
    apart = [{"type": "visit", "at": from_ms(NOW + 1_000 + 5_000 * i).isoformat()} for i in range(9)]
    assert score(app, body(*PEOPLE, *ahead)) == score(app, body(*PEOPLE))
    assert score(app, body(*PEOPLE, *apart)) != score(app, body(*PEOPLE))


def test_bursts_can_be_kept(tmp_path: Path) -> None:
    crm = CRM_TOML.replace("[activities]", '[activities]\nbursts = "keep"')
    with small_app(tmp_path, Clock(), crm) as app:
        store_lead(app, "scanned", PEOPLE, BURST)
        with_burst = score(app, {"lead_id": "scanned"})
        assert with_burst == score(app, body(*PEOPLE, *BURST)) != score(app, body(*PEOPLE))


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_page_of_a_lead_shows_what_does_not_count_and_why(app: App, lang: Any) -> None:
    store_lead(app, "scanned", PEOPLE, BURST)
    page = Reviewer(app, lang=lang).page("/review/leads/scanned").text
    assert page.count(page_texts()["lead_burst"][lang]) == len(BURST)
