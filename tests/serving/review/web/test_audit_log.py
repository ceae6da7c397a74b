"""What people change on the pages, and programs by the API, is in the audit log with their key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.clock import iso, now_ms
from serving.store.state.audit_log import iter_entries
from tests.helpers.service.review_site import Reviewer, add_hot_lead, review_app
from tests.helpers.service.service_app import App
from tests.serving.review.definition.test_page import edit, saved


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[App, Reviewer]]:
    with review_app(tmp_path) as pair:
        yield pair


def log_of(app: App) -> list[tuple[str, str, str, str]]:
    """Action, subject, and the name and role of the key."""
    entries = iter_entries(app.components.store.read)
    return [(entry.action, entry.subject, entry.actor, entry.role) for entry in entries]


def test_a_definition_that_is_saved_signed_and_restored_is_in_the_log(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    admin = Reviewer(app, "admin")
    saved(reviewer, edit(reviewer, intent__rows__interest__points="12"))
    for person, party in ((reviewer, "marketing"), (reviewer, "sales"), (admin, "sales")):
        person.submit("/review/definition/2/sign", {"party": party}, page="/review/definition/2")
    admin.submit("/review/definition/1/back", {}, page="/review/definition/1")
    assert log_of(app) == [
        ("definition_from_file", "1", "scorecard.toml", "file"),
        ("definition_saved", "2", "reviewer", "reviewer"),
        ("definition_signed", "2", "reviewer", "reviewer"),
        ("definition_signed", "2", "admin", "admin"),
        ("definition_in_force", "2", "admin", "admin"),
        ("definition_saved", "3", "admin", "admin"),
    ]


def test_overrides_by_page_and_api_are_in_the_log(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    add_hot_lead(app, "L1")
    form = {"verdict": "not_hot", "reason": "a student"}
    assert reviewer.submit("/review/leads/L1", form, page="/review/leads/L1").status_code == 303
    body = {"lead_id": "L1", "verdict": "hot", "reason": "called", "by": "Bert", "at": iso(now_ms())}
    for status in (201, 200):
        assert app.post("/v1/overrides", {"id": "o1", **body}, role="reviewer").status_code == status
    entries = [e for e in iter_entries(app.components.store.read) if e.action == "override_set"]
    assert [(e.actor, e.lead_id, json.loads(e.detail)["verdict"]) for e in entries] == [
        ("reviewer", "L1", "not_hot"),
        ("reviewer", "L1", "hot"),
    ]
    assert all(e.key_id == app.tokens["reviewer"].split("_")[1] for e in entries)
    assert "a student" not in str(entries)


def test_what_is_asked_of_a_model_is_in_the_log(site: tuple[App, Reviewer]) -> None:
    app, _ = site
    admin = Reviewer(app, "admin")
    form = {"registered": "7", "note": "better at trade fairs"}
    assert admin.submit("/review/models/promote", form, page="/review/models").status_code == 303
    assert log_of(app)[-1] == ("model_requested", "7", "admin", "admin")
